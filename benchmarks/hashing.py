"""Digests of files beside xxhash itself: one large file, and many middling ones, read from the page cache."""

from __future__ import annotations

import mmap
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import xxhash

from benchmarks.graphs import JOBS
from benchmarks.harness import ratio, table, work_folder
from zerorepo.digest import DigestFunction

MB = 1 << 20


def main(quick: bool = False) -> None:
    """Measure and print. Target: 80 % of xxhash's own single-thread speed on large files, threads for many."""
    large, many, runs = (16 * MB, 50, 3) if quick else (512 * MB, 2_000, 7)
    with work_folder() as folder:
        data = bytes(range(256)) * (large // 256)
        file = folder / "large"
        file.write_bytes(data)
        of_file = DigestFunction.XXH3.of_file
        _show(
            f"Digest of one file of {large // MB} MB",
            large,
            {
                "xxh3_128 of bytes in memory": lambda: xxhash.xxh3_128_digest(data),
                "xxh3_128 of a plain read loop": lambda: _plain(file),
                "xxh3_128 of the file, mapped": lambda: _mapped(file),
                "zerorepo, the file": lambda: of_file(file),
            },
            runs,
        )
        small = [folder / f"f{index}" for index in range(many)]
        for path in small:
            path.write_bytes(data[: 256 << 10])
        _show(
            f"Digests of {many:,} files of 256 KB",
            many * (256 << 10),
            {
                "xxh3_128 of bytes in memory": lambda: [xxhash.xxh3_128_digest(data[: 256 << 10]) for _ in small],
                "xxh3_128 of a plain read loop": lambda: [_plain(path) for path in small],
                f"the same in {JOBS} threads": lambda: _threads(_plain, small),
                "zerorepo, one by one": lambda: [of_file(path) for path in small],
                f"zerorepo, {JOBS} threads": lambda: _threads(of_file, small),
            },
            runs,
        )


def _plain(path: Path) -> bytes:
    hasher, buffer = xxhash.xxh3_128(), bytearray(256 << 10)
    view = memoryview(buffer)
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(buffer):
            hasher.update(view[:size])
    return hasher.digest()


def _mapped(path: Path) -> bytes:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        return xxhash.xxh3_128_digest(mapped)


def _threads(function: Callable[[Path], object], paths: list[Path]) -> None:
    with ThreadPoolExecutor(int(JOBS)) as pool:
        list(pool.map(function, paths, chunksize=50))


def _show(title: str, size: int, cases: dict[str, Callable[[], object]], runs: int) -> None:
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(runs):
        for name, case in cases.items():
            started = time.perf_counter()
            case()
            times[name].append(time.perf_counter() - started)
    speeds = {name: size / statistics.median(values) for name, values in times.items()}
    best = next(iter(speeds.values()))
    rows = [("what", "speed", "of the first")]
    rows += [(name, f"{speed / 1e9:.2f} GB/s", ratio(speed, best)) for name, speed in speeds.items()]
    table(f"{title}; medians of {runs}", rows)


if __name__ == "__main__":
    main()
