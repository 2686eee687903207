"""Files of every size and kind are hashed as their bytes are, and one that changes meanwhile neither kills nor blocks anybody."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import random
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import xxhash

from zerorepo import filehash, leased
from zerorepo.digest import Digest, DigestFunction

XXH3 = DigestFunction.XXH3
MB = 1 << 20
SIZES = [0, 1, 65_535, 65_536, 65_537, MB - 1, MB, MB + 1, 2 * MB - 1, 2 * MB, 3 * MB + 5, 16 * MB, 33 * MB + 1]


def content(size: int) -> bytes:
    block = random.Random(size).randbytes(min(size, 100_003) or 1)
    return (block * (size // len(block) + 1))[:size]


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    path.write_bytes(content(40 * MB))
    return path


def local(path: Path) -> bool:
    return leased._is_local(path.stat().st_dev)


@pytest.mark.parametrize("size", SIZES)
def test_every_size_is_hashed_as_its_bytes_are(tmp_path: Path, size: int) -> None:
    data = content(size)
    (tmp_path / "f").write_bytes(data)
    assert XXH3.of_file(tmp_path / "f") == Digest(xxhash.xxh3_128_hexdigest(data), size) == XXH3.of_bytes(data)
    sha256 = DigestFunction.SHA256
    assert (
        sha256.of_file(str(tmp_path / "f")) == Digest(hashlib.sha256(data).hexdigest(), size) == sha256.of_bytes(data)
    )


def test_a_file_that_tells_no_size_is_hashed_whole() -> None:
    path = Path("/proc/version")
    assert path.stat().st_size == 0
    assert XXH3.of_file(path) == XXH3.of_bytes(path.read_bytes())


def test_what_is_no_regular_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", Path("/dev/zero")):
        with pytest.raises(OSError, match="Not a regular file") as caught:
            XXH3.of_file(path)
        assert caught.value.errno == errno.EINVAL
        assert caught.value.filename == str(path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        with pytest.raises(OSError):
            XXH3.of_file(tmp_path / "s")
    with pytest.raises(IsADirectoryError):
        XXH3.of_file(tmp_path)
    (tmp_path / "broken").symlink_to("nowhere")
    with pytest.raises(FileNotFoundError):
        XXH3.of_file(tmp_path / "broken")


def test_no_descriptor_stays_open(tmp_path: Path, large: Path) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = descriptors()
    XXH3.of_files([large, tmp_path, tmp_path / "none", large])
    assert descriptors() == before


def test_a_large_local_file_is_mapped_and_the_lease_is_returned(large: Path) -> None:
    if not local(large):
        pytest.skip("the temporary folder is on a file system that is not leased")
    handle = os.open(large, os.O_RDONLY)
    try:
        seen: list[int] = []
        assert leased.map_leased(handle, os.fstat(handle), lambda view: seen.append(len(view))) == 40 * MB
        assert seen == [16 * MB, 16 * MB, 8 * MB]
        os.close(os.open(large, os.O_WRONLY | os.O_NONBLOCK))  # EWOULDBLOCK if there was a lease
    finally:
        os.close(handle)


def test_a_file_that_somebody_has_open_for_writing_is_read(large: Path) -> None:
    with large.open("r+b"):
        handle = os.open(large, os.O_RDONLY)
        assert leased.map_leased(handle, os.fstat(handle), lambda view: None) == 0
        os.close(handle)
        assert XXH3.of_file(large) == XXH3.of_bytes(content(40 * MB))


def test_who_wants_to_write_waits_for_one_window_at_most(large: Path) -> None:
    if not local(large):
        pytest.skip("the temporary folder is on a file system that is not leased")
    handle = os.open(large, os.O_RDONLY)
    truncating = threading.Thread(target=os.truncate, args=(large, 0))
    seen: list[bytes] = []

    def take(view: memoryview) -> None:
        truncating.start()
        deadline = time.monotonic() + 20
        while fcntl.fcntl(handle, fcntl.F_GETLEASE) == fcntl.F_RDLCK:
            assert time.monotonic() < deadline
        assert large.stat().st_size == 40 * MB  # it waits
        seen.append(bytes(view))

    try:
        assert leased.map_leased(handle, os.fstat(handle), take) == 16 * MB
    finally:
        os.close(handle)
    truncating.join(20)
    assert not truncating.is_alive()
    assert XXH3.of_bytes(seen[0]) == XXH3.of_bytes(content(40 * MB)[: 16 * MB])
    assert large.stat().st_size == 0


HASHES = """
import sys, time
from zerorepo.digest import DigestFunction
end, done = time.monotonic() + 3, 0
print("started", flush=True)
while time.monotonic() < end:
    done += DigestFunction.XXH3.of_file(sys.argv[1]).size >= 0
print(done)
"""


def test_a_file_that_is_truncated_and_rewritten_all_the_time_does_not_kill_who_hashes_it(large: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HASHES, str(large)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    dice, data = random.Random(1), content(40 * MB)
    while process.poll() is None:
        os.truncate(large, dice.randrange(40 * MB))
        if dice.random() < 0.5:
            large.write_bytes(data)
        time.sleep(dice.random() * 0.02)
    assert process.returncode == 0
    assert int(process.stdout.read()) > 3
    process.stdout.close()
    large.write_bytes(data)
    assert XXH3.of_file(large) == XXH3.of_bytes(data)


@pytest.mark.parametrize("function", list(DigestFunction))
@pytest.mark.parametrize("threads", [None, 1, 3])
def test_many_files_are_hashed_in_order_and_each_error_is_in_its_place(
    tmp_path: Path, function: DigestFunction, threads: int | None
) -> None:
    paths: list[Path | str] = []
    for index, size in enumerate([5 * MB, 10, 0, 3 * MB, 200_000, 2 * MB, 17 * MB, 70_000, 1]):
        path = tmp_path / f"f{index}"
        path.write_bytes(content(size))
        paths += [path, str(path)]
    paths[4:4] = [tmp_path / "missing", tmp_path]
    found = function.of_files(paths, threads=threads)
    assert isinstance(found[4], FileNotFoundError)
    assert isinstance(found[5], IsADirectoryError)
    assert [each for each in found if not isinstance(each, OSError)] == [
        function.of_file(path) for path in paths[:4] + paths[6:]
    ]
    assert function.of_files([]) == []


def test_large_files_are_hashed_at_the_same_time(tmp_path: Path) -> None:
    """Two files whose hashing waits for one another: it ends only when both are under way."""
    met = threading.Barrier(2)

    class Meets:
        def update(self, data: object) -> None:
            met.wait(20)

        def hexdigest(self) -> str:
            return "0"

    for name in ("a", "b"):
        (tmp_path / name).write_bytes(content(100_000))
    how = filehash.Hashing(lambda data: "0", Meets, 10_000)
    assert filehash.hash_files([tmp_path / "a", tmp_path / "b"], how, 2) == [("0", 100_000)] * 2


def test_a_file_that_goes_between_the_look_and_the_thread_is_an_error_of_that_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(content(3 * MB))
    look = filehash._open

    def open_then_remove(path: filehash.PathText) -> tuple[int, os.stat_result]:
        found = look(path)
        if path == tmp_path / "b":
            (tmp_path / "b").unlink()
        return found

    monkeypatch.setattr(filehash, "_open", open_then_remove)
    first, second = XXH3.of_files([tmp_path / "a", tmp_path / "b"])
    assert first == XXH3.of_bytes(content(3 * MB))
    assert isinstance(second, FileNotFoundError)
