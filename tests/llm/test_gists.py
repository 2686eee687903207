"""The log of which question was asked for an action that goes by its gist."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from zerorepo_llm.gists import Gists


def key(number: int) -> str:
    """One of 32 hexadecimal digits."""
    return f"{number:032x}"


def test_the_last_question_of_a_gist_is_remembered(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    assert Gists(folder).behind(key(1)) is None
    Gists(folder).note(key(1), key(2))
    Gists(folder).note(key(3), key(4))
    Gists(folder).note(key(1), key(5))
    assert (Gists(folder).behind(key(1)), Gists(folder).behind(key(3))) == (key(5), key(4))


def test_what_is_known_is_not_written_again(tmp_path: Path) -> None:
    for _ in range(3):
        Gists(tmp_path).note(key(1), key(2))
    (log,) = tmp_path.iterdir()
    assert log.read_text().count("\n") == 1


def test_a_line_that_was_cut_off_is_passed_over(tmp_path: Path) -> None:
    Gists(tmp_path).note(key(1), key(2))
    (log,) = tmp_path.iterdir()
    with log.open("a") as file:
        file.write(key(3)[:9])
    Gists(tmp_path).note(key(4), key(5))
    Gists(tmp_path).note(key(6), key(7))
    assert [Gists(tmp_path).behind(key(each)) for each in (1, 3, 6)] == [key(2), None, key(7)]


def test_a_log_that_was_removed_is_forgotten_and_begun_anew(tmp_path: Path) -> None:
    for number in range(9):
        Gists(tmp_path).note(key(number), key(1))
    (log,) = tmp_path.iterdir()
    log.unlink()
    assert Gists(tmp_path).behind(key(3)) is None
    Gists(tmp_path).note(key(10), key(11))
    assert (Gists(tmp_path).behind(key(3)), Gists(tmp_path).behind(key(10))) == (None, key(11))


def _note_many(folder: str, first: int) -> None:
    for number in range(first, first + 300):
        Gists(Path(folder)).note(key(number), key(number + 1))


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    assert Gists(tmp_path).behind(key(0)) is None
    with ProcessPoolExecutor(3, get_context("spawn")) as pool:
        list(pool.map(_note_many, [str(tmp_path)] * 3, (0, 1000, 2000)))
    assert [path.name for path in tmp_path.iterdir()] == [".behind"]
    for first in (0, 1000, 2000):
        assert [Gists(tmp_path).behind(key(each)) for each in range(first, first + 300)] == [
            key(each + 1) for each in range(first, first + 300)
        ]
