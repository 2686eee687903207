"""Digests of files beside xxhash and hashlib themselves: one large file, many small and middling ones, from the page cache."""

from __future__ import annotations

import hashlib
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import xxhash

from benchmarks.harness import ratio, table, work_folder
from zerorepo.digest import DigestFunction

KB, MB = 1 << 10, 1 << 20


def main(quick: bool = False) -> None:
    """Measure and print. Target: 80 % of xxhash's own single-thread speed on large files, threads for many."""
    large, share, runs = (16 * MB, 50, 3) if quick else (512 * MB, 1, 7)
    data = bytes(range(256)) * (large // 256)
    with work_folder() as folder:
        for function, new in ((DigestFunction.XXH3, xxhash.xxh3_128), (DigestFunction.SHA256, hashlib.sha256)):
            _one_large(folder, data, function, new, runs)
        for size, count in ((KB, 10_000), (64 * KB, 4_000), (256 * KB, 2_000), (MB, 500), (8 * MB, 64)):
            _many(folder, data[:size], count // share + 2, runs)


def _one_large(folder: Path, data: bytes, function: DigestFunction, new: Callable[..., Any], runs: int) -> None:
    file = folder / "large"
    file.write_bytes(data)
    cases = {
        "bytes in memory": lambda: new(data).hexdigest(),
        "a plain read loop": lambda: _plain(file, new),
        "zerorepo, the file": lambda: function.of_file(file),
    }
    _show(f"{function} of one file of {len(data) // MB} MB", len(data), 1, cases, runs)
    file.unlink()


def _many(folder: Path, data: bytes, count: int, runs: int) -> None:
    files = [folder / f"f{index}" for index in range(count)]
    for path in files:
        path.write_bytes(data)
    names = [str(path) for path in files]
    xxh3, sha256 = DigestFunction.XXH3, DigestFunction.SHA256
    cases: dict[str, Callable[[], object]] = {
        "a plain read loop, xxh3": lambda: [_plain(path, xxhash.xxh3_128) for path in names],
        "zerorepo, one by one, xxh3": lambda: [xxh3.of_file(path) for path in names],
        "zerorepo, all at once, xxh3": lambda: xxh3.of_files(names),
        "zerorepo, one by one, sha256": lambda: [sha256.of_file(path) for path in names],
        "zerorepo, all at once, sha256": lambda: sha256.of_files(names),
    }
    _show(f"{count:,} files of {len(data) // KB} KB", count * len(data), count, cases, runs)
    for path in files:
        path.unlink()


def _plain(path: Path | str, new: Callable[..., Any]) -> str:
    hasher, buffer = new(), bytearray(256 * KB)
    view = memoryview(buffer)
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - what one would write who counts microseconds
        while size := file.readinto(buffer):
            hasher.update(view[:size])
    return str(hasher.hexdigest())


def _show(title: str, size: int, files: int, cases: dict[str, Callable[[], object]], runs: int) -> None:
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(runs):
        for name, case in cases.items():
            started = time.perf_counter()
            case()
            times[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(values) for name, values in times.items()}
    first = next(iter(medians.values()))
    rows = [("what", "speed", "a file", "of the first", "best of each")]
    rows += [
        (
            name,
            f"{size / took / 1e9:.2f} GB/s",
            f"{took / files * 1e6:,.1f} us",
            ratio(first, took),
            ratio(min(times[next(iter(times))]), min(times[name])),
        )
        for name, took in medians.items()
    ]
    table(f"{title}; medians of {runs}", rows)


if __name__ == "__main__":
    main()
