"""A folder for one's own ontology, or for vectors, that cannot be written is told with where it is and what names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from zerorepo.errors import UsageError
from zerorepo_ontology import home
from zerorepo_ontology.cli import _beside
from zerorepo_ontology.home import Added, Home


@pytest.fixture
def taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that stands where the folder should be."""
    file = tmp_path / "taken"
    file.write_text("id,parent,name\na,,approve an invoice\n")
    monkeypatch.setenv("ZEROREPO_ONTOLOGY_HOME", str(file / "ontology"))
    return file


def test_a_file_in_the_way_of_the_folder_is_told(taken: Path) -> None:
    assert home.load() == Home(), "nothing was chosen there before"
    told = r"(?s)cannot be written: Not a directory.*taken.*\$ZEROREPO_ONTOLOGY_HOME says where"
    with pytest.raises(UsageError, match=told):
        home.save(Home())
    with pytest.raises(UsageError, match=told):
        home.take_table(taken)


def test_what_was_chosen_is_there_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZEROREPO_ONTOLOGY_HOME", str(tmp_path / "own"))
    chosen = home.add(
        Home(exclude=("requests",)), Added(name="own.t", rule="ontology_table", attrs={"src": "own/t.csv"})
    )
    home.save(chosen)
    assert home.load() == chosen
    assert 'sources = ["//:own.t"]' in (tmp_path / "own" / "zerorepo.toml").read_text()


def test_vectors_are_not_kept_where_a_file_stands(taken: Path) -> None:
    np = pytest.importorskip("numpy")
    pytest.importorskip("chromadb")
    from zerorepo_ontology.store import Record, VectorStore

    record = Record("f:1", "approve an invoice", "feature", "")
    with pytest.raises(UsageError, match=r"(?s)Nothing can be kept there: File exists.*taken"):
        VectorStore(str(taken), "e", 3).put([record], np.eye(3, dtype=np.float32)[:1])


def test_tables_and_folders_nearby_are_offered(tmp_path: Path) -> None:
    (tmp_path / "own.csv").touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "src").mkdir()
    assert sorted(_beside(tmp_path / "own.cvs")) == [str(tmp_path / "own.csv"), str(tmp_path / "src")]
