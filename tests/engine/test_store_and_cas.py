"""What is kept: bytes only, versioned, verified when read; damage costs work, never correctness."""

from __future__ import annotations

import os
import pickle
import sqlite3
from pathlib import Path

import diskcache
import pytest

from zerorepo.cas import BlobMissing, Cas
from zerorepo.digest import Digest, DigestFunction
from zerorepo.errors import EnvironmentFailure
from zerorepo.fileio import sweep, write_atomic
from zerorepo.read_only_store import ReadOnlyStore
from zerorepo.store import Store

XXH3 = DigestFunction.XXH3


def test_a_value_comes_back_as_it_was_also_from_another_process_view(tmp_path: Path) -> None:
    one, other = Store(tmp_path), Store(tmp_path)
    for value in (b"", b"x", b"y" * 200_000):
        one.put(b"k", value)
        assert other.get(b"k") == value
    other.delete(b"k")
    assert one.get(b"k") is None
    assert not one.has(b"k")


def test_keys_are_listed_by_prefix(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for key in (b"a1", b"b1", b"b2", b"c"):
        store.put(key, b"v")
    assert store.keys(b"b") == [b"b1", b"b2"]
    assert len(store.keys()) == 4


class Trap:
    """Would leave a mark when unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return (open, (str(Trap.mark), "w"))

    mark = Path()


def test_a_pickled_row_is_never_unpickled(tmp_path: Path) -> None:
    Trap.mark = tmp_path / "executed"
    Store(tmp_path / "s").close()
    with diskcache.Cache(str(tmp_path / "s")) as raw:
        raw.set(b"k", Trap())
    assert Store(tmp_path / "s").get(b"k") is None
    assert ReadOnlyStore(tmp_path / "s").get(b"k") is None
    assert not Trap.mark.exists()
    assert pickle.loads is not None


def test_a_newer_schema_is_refused_and_an_older_one_begins_anew(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(b"k", b"v")
    store.put(b"zerorepo-schema", b"0")
    store.close()
    assert Store(tmp_path).get(b"k") is None
    Store(tmp_path).put(b"zerorepo-schema", b"99")
    for kind in (Store, ReadOnlyStore):
        with pytest.raises(EnvironmentFailure, match="newer ZeroRepo"):
            kind(tmp_path)


@pytest.mark.parametrize("where", [0, 4096])
def test_a_damaged_database_is_set_aside_and_reported(tmp_path: Path, where: int) -> None:
    store = Store(tmp_path)
    for number in range(200):
        store.put(b"k%d" % number, b"v" * 100)
    store.close()
    path = tmp_path / "cache.db"
    data = bytearray(path.read_bytes())
    data[where : where + 30_000] = b"\xff" * 30_000
    path.write_bytes(data)
    reports: list[str] = []
    store = Store(tmp_path, reports.append)
    for number in range(200):
        store.put(b"k%d" % number, b"w")
    assert [store.get(b"k%d" % number) for number in range(200)] == [b"w"] * 200
    assert len(reports) == 1
    assert "damaged" in reports[0]


def test_a_store_that_cannot_be_written_says_so_at_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store._cache._con.execute("PRAGMA query_only = 1")  # as a read-only file system or a full disk answers
    with pytest.raises(EnvironmentFailure, match="Cannot write to the store"):
        store.put(b"k", b"v")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFailure, match="Cannot open the store") as caught:
        Store(tmp_path / "file" / "s")
    assert str(tmp_path) in str(caught.value.where)


def test_a_read_only_store_sees_its_own_writes_and_leaves_the_disk_alone(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(b"a", b"1")
    store.put(b"big", b"2" * 100_000)
    store.close()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    view = ReadOnlyStore(tmp_path)
    assert view.get(b"a") == b"1"
    assert view.get(b"big") == b"2" * 100_000
    view.put(b"b", b"3")
    view.delete(b"a")
    assert (view.get(b"a"), view.get(b"b")) == (None, b"3")
    view.close()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert ReadOnlyStore(tmp_path / "none").get(b"a") is None
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("size", [0, 10, 31 * 1024, 33 * 1024, 500_000])
def test_a_blob_comes_back_and_a_flipped_bit_does_not(tmp_path: Path, size: int) -> None:
    damaged: list[Digest] = []
    cas = Cas(Store(tmp_path / "s"), tmp_path / "blobs", XXH3, damaged.append)
    data = bytes(index % 251 for index in range(size))
    digest = cas.put(data)
    assert cas.get(digest) == data
    if not size:
        return
    flipped = bytes([data[0] ^ 1]) + data[1:]
    if cas._path(digest).exists():
        cas._path(digest).write_bytes(flipped)
    else:
        cas._store.put(b"b" + digest.hex.encode(), flipped)
    with pytest.raises(BlobMissing):
        cas.get(digest)
    assert damaged == [digest]
    assert not cas.has(digest)
    assert cas.put(data) == digest
    assert cas.get(digest) == data


def test_a_shortened_blob_file_is_no_blob(tmp_path: Path) -> None:
    cas = Cas(Store(tmp_path / "s"), tmp_path / "blobs", XXH3)
    digest = cas.put(b"x" * 100_000)
    cas._path(digest).write_bytes(b"x" * 99_999)
    with pytest.raises(BlobMissing):
        cas.get(digest)


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomic(tmp_path / "f", b"old")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(EnvironmentFailure, match="No space left"):
        write_atomic(tmp_path / "f", b"new", durable=True)
    assert [path.name for path in tmp_path.iterdir()] == ["f"]
    assert (tmp_path / "f").read_bytes() == b"old"


def test_temporary_files_of_dead_processes_are_swept_and_only_those(tmp_path: Path) -> None:
    from zerorepo import fileio

    dead, alive = tmp_path / f".zr-{fileio._HOST}-999999999-0", tmp_path / f".zr-{fileio._HOST}-1-0"
    foreign, other = tmp_path / ".zr-elsewhere-999999999-0", tmp_path / "file"
    for path in (dead, alive, foreign, other):
        path.write_text("")
    sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([alive, foreign, other])
    sweep(tmp_path / "none")


def test_sqlite_is_the_version_that_we_rely_on() -> None:
    assert sqlite3.sqlite_version_info >= (3, 35)
