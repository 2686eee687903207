"""Limits of a specification: which ones rules recognise, what an account of the others must say, and where it is shown."""

from __future__ import annotations

from typing import Any

import pytest

from zerorepo.errors import UsageError
from zerorepo.target import Outcome, TestCase, TestReport
from zerorepo_rpg.cli.trace_text import trace_lines
from zerorepo_rpg.comparison import compare, parts_of
from zerorepo_rpg.evidence import evidence
from zerorepo_rpg.limit_rules import RULES, WORDED, enforced, recognised, told_apart
from zerorepo_rpg.limits import (
    Limit,
    LimitAccount,
    LimitAnswer,
    LimitPlan,
    LimitSet,
    carried_over,
    check_answer,
    limits_of,
    shown_limits,
)
from zerorepo_rpg.lock import Lock, parse_lock, render, render_lock
from zerorepo_rpg.problem import messages
from zerorepo_rpg.reference_listing import reference_listing, unread_links
from zerorepo_rpg.renames import told_of
from zerorepo_rpg.report import repository_report, to_html, to_markdown
from zerorepo_rpg.rules.limits import line_of
from zerorepo_rpg.spec_model import Constraint, Permission, Priority, QualityAttribute, RepositorySpec
from zerorepo_rpg.spec_references import Concept, Reference, ReferenceKind
from zerorepo_rpg.tracing import trace

from .sample import plan, spec

FAST = QualityAttribute(kind="performance", text="Making a slug should take less than a millisecond.")


def limited(**more: Any) -> RepositorySpec:
    """The sample with a licence and without dependencies."""
    return spec().model_copy(update={"license": "MIT", **more})


# --- by rule


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        (
            "It uses nothing but the standard library and is published under the MIT licence.",
            ("dependencies", "license"),
        ),
        (
            "The package is called `textkit`, uses nothing but the standard library, and is published under the MIT license.",
            ("package-name", "dependencies", "license"),
        ),
        ("The library only uses the standard library.", ("dependencies",)),
        ("Textkit has no third-party dependencies", ("dependencies",)),
        ("It needs Python 3.11 or newer.", ("python-version",)),
        ("All public functions are typed and documented.", ("typed", "documented")),
        ("Every public function is fully annotated.", ("typed",)),
        ("It never uses the network and starts no other processes.", ("permissions",)),
        # What is more than the rule says, or something else, is for a model.
        ("It uses the standard library.", ()),
        ("It uses nothing but the standard library and rich.", ()),
        ("It uses nothing but the standard library and is fast.", ()),
        ("The package is called `textkits`.", ()),
        ("The command is called `textkit`.", ()),
        ("It is published under the GPL.", ()),
        ("It needs Python 3.8 or newer.", ()),
        ("All public functions are typed, documented and fast.", ()),
        ("It reads the files that its command line names.", ()),
        ("", ()),
    ],
)
def test_a_limit_is_recognised_only_when_each_of_its_clauses_is_a_rule(text: str, rules: tuple[str, ...]) -> None:
    assert recognised(text, limited()) == rules
    assert set(rules) <= set(enforced(limited()))


def test_what_a_rule_makes_sure_of_follows_the_specification() -> None:
    alone, reads = "It uses nothing but the standard library.", "It reads the files that its command line names."
    assert recognised(alone, limited(dependencies=("rich",))) == ()
    assert recognised(reads, limited(permissions=(Permission.FILESYSTEM,))) == ("permissions",)
    assert recognised("It opens no files.", limited(permissions=(Permission.FILESYSTEM,))) == ()
    assert "rich" in enforced(limited(dependencies=("rich",)))["dependencies"]
    assert "filesystem" in enforced(limited(permissions=(Permission.FILESYSTEM,)))["permissions"]
    assert "license" not in enforced(limited(license="a licence of our own"))


def test_limits_are_constraints_and_demands_on_quality_each_with_a_priority() -> None:
    found = limits_of(
        limited(
            constraints=(
                Constraint(id="no-globals", text="Nothing is\n  global.", section="what", priority=Priority.NICE),
            ),
            quality_attributes=(
                FAST,
                QualityAttribute(kind="safety", text="It never fails."),
                QualityAttribute(kind="other", text="nothing is global"),
                QualityAttribute(kind="", text="It could be pretty."),
                QualityAttribute(kind="empty", text=" "),
            ),
        )
    )
    assert [(limit.id, limit.kind, str(limit.priority), limit.section) for limit in found] == [
        ("no-globals", "constraint", "NICE", "what"),
        ("making-a-slug-should-take-less", "performance", "SHOULD", ""),
        ("it-never-fails", "safety", "MUST", ""),
        ("it-could-be-pretty", "quality", "NICE", ""),
    ]
    assert found[0].text == "Nothing is global."


def test_limits_by_rule_are_told_apart_from_those_that_a_model_must_see() -> None:
    alone = Constraint(id="alone", text="It uses nothing but the standard library.", section="what")
    known, rest = told_apart(limited(constraints=(alone,), quality_attributes=(FAST,)))
    assert [(limit.id, limit.rules) for limit in known] == [("alone", ("dependencies",))]
    assert [limit.text for limit in rest] == [FAST.text]


@pytest.mark.parametrize(
    ("text", "priority"),
    [
        ("A lookup may not take more than a millisecond.", "MUST"),
        ("No call may take longer than a second.", "MUST"),
        ("It must answer in 1 s, and should the cache be cold, in 2 s.", "MUST"),
        ("It must never lose data, whatever could happen.", "MUST"),
        ("It should be quick.", "SHOULD"),
        ("It may be quick.", "NICE"),
    ],
)
def test_a_demand_has_the_priority_of_its_verb_and_a_prohibition_is_none_that_may_be_left(
    text: str, priority: str
) -> None:
    (found,) = limits_of(limited(constraints=(), quality_attributes=(QualityAttribute(kind="x", text=text),)))
    assert found.priority == priority


# --- accounts

A, B = Limit(id="a", text="A."), Limit(id="b", text="B.", priority=Priority.SHOULD)


@pytest.mark.parametrize(
    ("accounts", "wrong"),
    [
        ([LimitAccount(id="a", library=True), LimitAccount(id="b", features=("f",))], []),
        ([LimitAccount(id="a", library=True)], ["b: the limit `b` is left out"]),
        (
            [LimitAccount(id="a", library=True), LimitAccount(id="b", why="No."), LimitAccount(id="b", why="No.")],
            ["accounts for the limit `b` twice"],
        ),
        (
            [LimitAccount(id="a", library=True), LimitAccount(id="b", why="No."), LimitAccount(id="c", why="No.")],
            ["which was not asked about"],
        ),
        (
            [LimitAccount(id="a", features=("g",)), LimitAccount(id="b", rules=("s",))],
            ["the feature `g`, which does not exist", "the rule `s`, which is none of those listed"],
        ),
        ([LimitAccount(id="a"), LimitAccount(id="b", why=" ")], ["a: names nothing", "b: names nothing"]),
    ],
)
def test_an_account_names_each_limit_once_and_only_what_there_is(
    accounts: list[LimitAccount], wrong: list[str]
) -> None:
    found = messages(check_answer(LimitAnswer(limits=tuple(accounts)), (A, B), ["f"], ["r"]))
    assert len(found) == len(wrong)
    assert all(any(part in line for line in found) for part in wrong), found


def account(limit: Limit, **more: Any) -> LimitPlan:
    """A limit with what meets it."""
    return LimitPlan(**limit.model_dump(), **more)


@pytest.mark.parametrize(
    ("old", "features", "kept"),
    [
        (account(A, features=("f",)), {"f": "F"}, ("f",)),
        (account(A, features=("f", "g")), {"f": "F"}, ("f",)),
        (account(A, features=("f",)), {"f": "F", "new": "New"}, None),
        (account(A, features=("f",)), {"f": "Renamed"}, None),
        (account(A, features=("g",)), {"f": "F"}, None),
        (account(A, features=("g",), rules=("r",)), {"f": "F"}, None),
        (account(A, rules=("r",)), {"f": "F", "new": "New"}, ()),
        (account(A, library=True), {"f": "F", "new": "New"}, ()),
        (account(A, rules=("gone",)), {"f": "F"}, None),
        (account(A, why="No."), {"f": "F"}, ()),
        (account(A, why="No."), {"f": "F", "new": "New"}, None),
        (account(A.model_copy(update={"text": "Else."}), library=True), {"f": "F"}, None),
        (account(A.model_copy(update={"priority": Priority.NICE}), library=True), {"f": "F"}, None),
        (account(A.model_copy(update={"section": "elsewhere"}), library=True), {"f": "F"}, ()),
        (account(B, library=True), {"f": "F"}, None),
    ],
)
def test_what_is_said_of_a_limit_holds_until_something_that_it_depends_on_changes(
    old: LimitPlan, features: dict[str, str], kept: tuple[str, ...] | None
) -> None:
    found, asking = carried_over((A,), (old,), features, {"f": "F", "g": "G"}, ("r",))
    if kept is None:
        assert (found, asking) == ((), (A,))
    else:
        assert asking == () and [each.features for each in found] == [kept]


def test_what_a_rule_meets_is_asked_about_again_when_the_specification_may_have_changed_the_rule() -> None:
    old = (account(A, rules=("permissions",)), account(B, rules=("typed",)))
    kept, asking = carried_over((A, B), old, {}, {}, ("permissions", "typed"), WORDED)
    assert ([each.id for each in kept], asking) == (["b"], (A,))
    closed, open_ = (enforced(limited(permissions=granted)) for granted in ((), (Permission.NETWORK,)))
    assert closed["permissions"] != open_["permissions"] and set(closed) <= RULES


def test_only_what_bears_on_a_module_is_shown_to_it() -> None:
    limits = LimitSet(
        known=(account(A, rules=("r",)),),
        asked=(account(B, features=("f", "g")), account(Limit(id="c", text="C."), library=True), account(A)),
    )
    assert shown_limits(limits, ["f"]).splitlines() == [
        "SHOULD, constraint, on f: B.",
        "MUST, constraint, on the whole library: C.",
    ]
    assert shown_limits(limits, ["x"]) == "MUST, constraint, on the whole library: C."
    assert shown_limits(LimitSet(known=limits.known), ["f"]) == ""


# --- the lock

ACCOUNTS = (
    account(
        Limit(id="fast", text='It "is" fast.', kind="performance", priority=Priority.SHOULD), features=("make-slug",)
    ),
    account(Limit(id="pure", text="It is pure.", section="what"), library=True, rules=("typed",), why="It says so."),
)


def test_accounts_are_in_the_lock_to_the_byte_and_only_then_is_it_of_the_newest_schema() -> None:
    planned = plan().model_copy(update={"limits": LimitSet(known=(account(A, rules=("r",)),), asked=ACCOUNTS)})
    text = render_lock(planned, {"limits": "d1"})
    assert "\nschema = 4\n" in text and "library = true\n" in text and '"r"' not in text
    lock = parse_lock(text)
    assert lock.limits == ACCOUNTS and render(lock) == text
    found = lock.plan()
    assert found is not None and found.limits == LimitSet(asked=ACCOUNTS)
    assert "\nschema = 1\n" in render_lock(plan(), {})
    old = parse_lock(render_lock(plan(), {"features": "d"}))
    assert old.limits == ()


@pytest.mark.parametrize(
    ("before", "after", "wrong"),
    [
        ('id = "pure"', 'id = "fast"', "The limit `fast` is written twice"),
        ("library = true", 'library = "somewhat"', "`library`"),
        ('kind = "performance"', 'sort = "performance"', "Unknown key `sort` in [[limit]]"),
        ('priority = "SHOULD"', 'priority = "OUGHT"', "`priority`"),
    ],
)
def test_a_limit_that_a_person_wrote_wrongly_is_refused_with_its_line(before: str, after: str, wrong: str) -> None:
    text = render(Lock(limits=ACCOUNTS))
    assert text.count(before) == 1
    with pytest.raises(UsageError) as caught:
        parse_lock(text.replace(before, after))
    assert wrong in str(caught.value) and "zerorepo.lock:" in str(caught.value)


def test_a_changed_account_is_part_of_the_difference_of_two_plans() -> None:
    new = (ACCOUNTS[0].model_copy(update={"features": ("unique-slug",)}), ACCOUNTS[1])
    found = compare(parts_of(Lock(limits=ACCOUNTS)), parts_of(Lock(limits=new)))
    assert [(each.kind, each.id, list(each.fields)) for each in found.changes] == [("limit", "fast", ["features"])]


# --- who is told


def test_the_sentence_of_a_limit_stands_behind_the_nodes_that_it_bears_on() -> None:
    planned = plan().model_copy(update={"limits": LimitSet(asked=ACCOUNTS)})
    told = told_of(planned, spec().requirements)
    assert told["slug/slugify"].sentences == ("It can make-slug.", ACCOUNTS[0].text)
    assert told["words/clean"].sentences == told_of(plan(), spec().requirements)["words/clean"].sentences


def test_a_specification_is_traced_to_what_meets_its_limits() -> None:
    alone = Constraint(id="alone", text="It uses nothing but the standard library.", section="what")
    traced = limited(
        constraints=(
            alone,
            Constraint(id="pure", text="It is pure.", section="what"),
            Constraint(id="odd", text="It is odd.", section="what"),
            Constraint(id="new", text="It is new.", section="what"),
            Constraint(id="neat", text="It is neat.", section="what", priority=Priority.NICE),
        ),
        quality_attributes=(FAST,),
    )
    limits = {limit.id: limit for limit in limits_of(traced)}
    fast = limits["making-a-slug-should-take-less"]
    sample = plan()
    lock = Lock(
        requirements=spec().requirements,
        features=sample.features,
        interfaces=sample.interfaces,
        limits=(
            account(fast, features=("make-slug",)),
            account(limits["pure"], library=True),
            account(limits["odd"], why="Nothing is."),
            account(limits["neat"], why="Nobody tidies."),
            account(Limit(id="gone", text="It was asked for once."), library=True),
        ),
    )
    found = trace(traced, lock)
    lines = list(trace_lines(found))
    assert lines[lines.index("limits") :] == [
        "limits",
        "  It uses nothing but the standard library. (MUST, constraint)",
        "    by rule: dependencies",
        f"  {FAST.text} (SHOULD, performance)",
        "    make-slug: slug/slugify in textkit/slug/core.py",
        "  It is neat. (NICE, constraint)",
        "    nothing meets it: Nobody tidies.",
        "  It is new. (MUST, constraint)",
        "  It is odd. (MUST, constraint)",
        "    nothing meets it: Nothing is.",
        "  It is pure. (MUST, constraint)",
        "    the whole library",
        "new: the plan does not say what meets the limit `new` (It is new.) [limit_met]",
        "odd: nothing meets the limit `odd`, which must be met (It is odd.) [limit_met]",
    ]


def test_the_report_says_of_each_limit_what_meets_it() -> None:
    unmet = account(Limit(id="z", text="It is <odd>.", priority=Priority.NICE), why="Nothing is.")
    counted = account(Limit(id="y", text="It counts."), features=("word-count",))
    limits = LimitSet(known=(account(A, rules=("dependencies", "license")),), asked=(*ACCOUNTS, counted, unmet))
    planned = plan().model_copy(update={"limits": limits})
    cases = (TestCase(name="tests/slug/test_slugify.py::test_joins", outcome=Outcome.PASSED),)
    report = TestReport(passed=True, status="ok", cases=cases)
    proofs = evidence(planned, spec(), report, {}, {})
    text = to_markdown(repository_report(planned, report, {}, proofs))
    assert "| A. | constraint | MUST | by rule: dependencies, license | kept |" in text
    assert '| It "is" fast. | performance | SHOULD | slug/slugify | tests pass |' in text
    assert "| It is pure. | constraint | MUST | by rule: typed; the whole library | designed for |" in text
    assert "| It counts. | constraint | MUST | counting/word_count | not proven |" in text
    assert "| It is <odd>. | constraint | NICE | Nothing is. | not met |" in text
    page = to_html(repository_report(planned, report, {}, proofs, failed=["slug/slugify"]), "A")
    assert '<tr class="bad"><td>It is &lt;odd&gt;.</td>' in page
    assert '<tr class="bad"><td>It &quot;is&quot; fast.</td>' in page, "a node that failed meets nothing"
    assert "Limits" not in to_markdown(repository_report(plan(), report, {}, proofs))


def test_an_error_names_the_line_on_which_a_sentence_begins() -> None:
    text = "# T\n\nOne thing. It is\npure, and more.\n\n- It is small.\n"
    assert line_of(text, "It is pure, and more.") == 3
    assert line_of(text, "It is small.") == 6
    assert line_of(text, "It is nowhere.") == 1


# --- references


def test_references_are_listed_with_the_places_of_their_concepts() -> None:
    code = Reference(
        kind=ReferenceKind.CODE,
        title="old",
        target="old.py",
        text="[old](old.py):  the old one",
        concepts=(
            Concept(name="slugify", cite="old.py::slugify", text="Make\na slug." + "x" * 400),
            Concept(name="Table", cite="old.py::Table", text="Table"),
            Concept(name="Row", cite="line 9", text="Rows and cells."),
            Concept(name="Cell", cite="line 9", text="Rows and cells."),
        ),
    )
    note = Reference(kind=ReferenceKind.TEXT, title="n", text="A note.", concepts=(Concept(name="N", cite="line 1"),))
    link = Reference(kind=ReferenceKind.LINK, title="l", target="https://example.org", text="a link")
    lines = reference_listing((code, note, link), "slugs").splitlines()
    assert lines[0] == "old.py (code): [old](old.py): the old one"
    assert lines[1].startswith("  slugify [old.py::slugify]: Make a slug.xxx") and lines[1].endswith("…")
    assert lines[2:] == [
        "  Table [old.py::Table]",
        "  Row, Cell [line 9]: Rows and cells.",
        "note: A note.",
        "https://example.org (link, not read): a link",
    ]
    assert unread_links((code, note, link)) == ["https://example.org"]
    assert reference_listing((), "slugs") == ""


def test_of_many_concepts_those_nearest_to_the_question_are_shown_in_their_order() -> None:
    concepts = tuple(
        Concept(name=name, cite=f"page {number}", text=f"all about {name}")
        for number, name in enumerate(["apples", "slugs", "pears", "addresses"], 1)
    )
    many = Reference(kind=ReferenceKind.PDF, title="m", target="m.pdf", text="m", concepts=concepts)
    assert reference_listing((many,), "turn addresses into slugs", limit=2).splitlines() == [
        "m.pdf (pdf): m",
        "  slugs [page 2]: all about slugs",
        "  addresses [page 4]: all about addresses",
        "  (and 2 more)",
    ]
