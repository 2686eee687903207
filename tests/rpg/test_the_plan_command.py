"""``zerorepo plan``: what a change touches before anyone is asked, the change itself, planning anew without losing the old one."""

from __future__ import annotations

from pathlib import Path

from zerorepo_rpg.delta import State, delta
from zerorepo_rpg.graph import RPGGraph
from zerorepo_rpg.lock import parse_lock, render
from zerorepo_rpg.scan import scan

from .commands import zerorepo
from .sample import plan


def test_a_dry_run_shows_the_change_as_a_tree_and_changes_nothing(workspace: Path) -> None:
    assert zerorepo(workspace, "plan").returncode == 0
    spec, lock = workspace / "spec.md", (workspace / "zerorepo.lock").read_bytes()
    spec.write_text(spec.read_text().replace("missing values always come last", "missing values always come first"))
    shown = zerorepo(workspace, "plan", "--dry-run")
    assert shown.returncode == 0 and "1 reworded" in shown.stdout
    tree = shown.stdout[shown.stdout.index("~ sort-rows") :].splitlines()
    assert tree[1].strip() == "feature sort-rows: is asked about"
    assert tree[2].strip() == "interface querying/sort_rows in plaintable/querying/selection.py"
    assert "would run //:plaintable.spec" in shown.stdout and "model calls: at least" in shown.stdout
    assert (workspace / "zerorepo.lock").read_bytes() == lock
    changed = zerorepo(workspace, "plan")
    assert changed.returncode == 0 and "3 changed, 57 kept" in changed.stdout
    assert "//querying:sort_rows.test" in changed.stdout
    told = changed.stdout[changed.stdout.index("4 modules: cohesion ") :].splitlines()
    assert told[2].split()[:4] == ["reading", "3", "features,", "cohesion"]
    assert any("a move would improve it: " in line for line in told)


def test_planning_anew_that_fails_restores_the_plan(workspace: Path) -> None:
    lock = (workspace / "zerorepo.lock").read_bytes()
    failed = zerorepo(workspace, "--set", "llm.transcripts=[]", "plan", "--fresh")
    assert failed.returncode == 1 and "restored zerorepo.lock" in failed.stderr
    assert (workspace / "zerorepo.lock").read_bytes() == lock
    # Killed in between: the next command puts it back.
    (workspace / "zerorepo.lock").rename(workspace / "zerorepo.lock.before-fresh")
    again = zerorepo(workspace, "plan")
    assert again.returncode == 0 and "no difference" in again.stdout
    assert (workspace / "zerorepo.lock").read_bytes() == lock
    assert zerorepo(workspace, "plan", "--fresh", "--dry-run").returncode == 2


def test_planning_keeps_the_code_that_exists_and_says_what_is_new_beside_it(workspace: Path) -> None:
    code = workspace / "old" / "plaintable" / "querying"
    code.mkdir(parents=True)
    (code / "selection.py").write_text(
        "def select_columns(table: Table, names: Sequence[str]) -> Table: ...\ndef sort_rows(x): ...\n"
    )
    assert zerorepo(workspace, "init", ".", "--from", "old").returncode == 0
    done = zerorepo(workspace, "plan")
    assert done.returncode == 0 and "beside existing code: " in done.stdout
    assert "modified querying/sort_rows: another signature" in done.stdout
    assert "new reading/read_table: nothing of that name" in done.stdout
    assert (
        "plaintable/querying/selection.py::sort_rows"
        in parse_lock((workspace / "zerorepo.lock").read_text()).existing.by_id
    )


def test_the_delta_is_by_content_in_building_order(tmp_path: Path) -> None:
    planned = plan()
    assert {each.state for each in delta(planned, RPGGraph())} == {State.NEW}
    for path, text in {
        "textkit/words/splitting.py": "def split_words(text:str)->list[str]:\n    return text.split()\ndef clean(text): ...\n",
        "textkit/old.py": 'def slugify(text: str, *, separator: str = "-") -> str: ...\n',
        "textkit/__init__.py": "",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    found = delta(planned, scan(tmp_path).graph)
    states = {each.id: (each.state, each.why) for each in found}
    assert states["words/split_words"] == (State.EXISTING, "the same signature")
    assert states["words/clean"] == (State.MODIFIED, "another signature")
    assert states["slug/slugify"] == (State.MODIFIED, "moves to textkit/slug/core.py")
    assert states["slug/unique_slug"][0] is State.NEW
    place = {each.id: number for number, each in enumerate(found)}
    assert all(place[used] < place[name] for name, uses in planned.uses().items() for used in uses)


def test_a_lock_with_existing_code_goes_round() -> None:
    text = render(parse_lock('schema = 2\n\n[[node]]\nid = "a"\nname = "a"\nlevel = "MODULE"\n'))
    assert parse_lock(text).existing.by_id["a"].source == "human" and render(parse_lock(text)) == text


def test_planning_by_people_need_not_wait_for_them(workspace: Path) -> None:
    assert zerorepo(workspace, "plan").returncode == 0
    settings, spec = workspace / "zerorepo.toml", workspace / "spec.md"
    settings.write_text(settings.read_text().replace('provider = "replay"', 'provider = "desk"'))
    spec.write_text(spec.read_text().replace("missing values always come last", "missing values come where they like"))
    lock = (workspace / "zerorepo.lock").read_bytes()
    stopped = zerorepo(workspace, "plan", "--no-wait")
    assert stopped.returncode == 1 and "parse the section shaping" in stopped.stderr
    assert (workspace / "zerorepo.lock").read_bytes() == lock
    assert "cost: none, since the provider `desk`" in zerorepo(workspace, "plan", "--dry-run").stdout
