"""What hypothesis draws worlds, edits and builds from. Every draw is independent of what a build did, so that a seed replays.

Worlds have no cycles: ``b`` targets need nothing, plans and ``g`` may need ``b``, ``h`` also ``g``, ``k`` also ``h``, and ``t``
anything but later ``t``.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st
from world import Mix, World

BASES = [f"b{n}" for n in range(4)]
TOPS = [f"t{n}" for n in range(6)]
TEXTFILES = [f"s{n}" for n in range(5)]
GLOBBED = ["d/x0.txt", "d/x1.txt", "d/y/x2.txt", "d/x3.md"]
GLOBS = [["d/*.txt"], ["d/**"], ["d/y/*.txt", "d/*.md"]]
OPTIONAL = ["opt", "s4", "d/x0.txt"]
PLANS = ["p0", "p1"]
LISTS = ["l0", "l1"]
DECLARED = ["//gen:g0", "//gen:g1", "//gen:g2", "//gen/n0:h0", "//gen/n0:h1", "//gen/n1:h0", "//gen/n0/m0:k0"]
RENAMED_DECLARED = {"g0": "g2", "g1": "g0", "h0": "h1", "k0": "k1", "n0": "n1", "n1": "n0", "m0": "m1"}
OUTS = ["", "", "o/a", "o/b", "o/in/c"]

texts = st.sampled_from(["A", "", "AB", "AC", "B", "BA", "C", "A\n", "!fail", "!transient"])
good_texts = st.sampled_from(["A", "", "AB", "AC", "B", "BA", "C", "A\n"])
index = st.integers(0, 11)
few = st.lists(index, max_size=2)


@st.composite
def _lines(draw: st.DrawFn, names: list[str], labels: list[str], inner: dict[str, list[str]]) -> str:
    """A plan: targets of some names, and expansions."""
    words = st.sampled_from([*TEXTFILES[:3], "l0", "?opt", "*d/*.txt", *labels])
    lines = [
        " ".join([name, *draw(st.lists(words, max_size=2))])
        for name in draw(st.lists(st.sampled_from(names), max_size=3))
    ]
    if draw(index):  # else a name may stand there twice, which fails
        lines = list({line.partition(" ")[0]: line for line in lines}.values())
    for name, plans in inner.items():
        if plan := draw(st.sampled_from(["", *plans])):
            lines.insert(draw(st.integers(0, len(lines))), f"{name} @{plan}")
    return "".join(f"{line}\n" for line in lines)


_BASE_LABELS = ["//:b0", "//:b1"]
plan_texts = {
    "plan.txt": _lines(["g0", "g1", "g2"], _BASE_LABELS, {"n0": ["p0", "//:b0", "p0"], "n1": ["p1", "//:b1"]}),
    "p0": _lines(["h0", "h1"], [*_BASE_LABELS, "//gen:g0", "//gen:g1"], {"m0": ["p2", "p2"]}),
    "p1": _lines(["h0", "h1"], [*_BASE_LABELS, "//gen:g0"], {"m0": ["p2"]}),
    "p2": _lines(["k0"], ["//:b1", "//gen:g0", "//gen/n0:h0"], {}),
}
lists = st.lists(st.sampled_from([*_BASE_LABELS, *DECLARED, "noise"]), max_size=3).map("\n".join)


@dataclass
class Draft:
    """A target as drawn: numbers that are made names once it is known what there is."""

    srcs: list[int]
    deps: list[int]
    glob: int
    maybe: int
    more: int
    via: int
    flags: int
    out: int
    note: str

    def base(self, world: World) -> Mix:
        """A target that needs no other."""
        files = [path for path in [*TEXTFILES, *PLANS, *LISTS] if path in world.sources]
        return Mix(
            srcs=[files[number % len(files)] for number in self.srcs],
            glob=GLOBS[self.glob % 3] if self.glob < 4 else [],
            poll=self.flags & 24 == 24,
            first=self.flags & 7 == 7,
            executable=self.flags & 3 == 2,
            note=self.note,
        )

    def top(self, world: World, name: str) -> Mix:
        """A target that may need earlier ones."""
        files = [path for path in [*TEXTFILES, *LISTS] if path in world.sources]
        names = list(world.targets)
        below = names[: names.index(name)] if name in world.targets else names
        labels = [*[f"//:{each}" for each in below[::-1]], *DECLARED]
        taken = {mix.out for other, mix in world.targets.items() if other != name}
        out = OUTS[self.out % len(OUTS)]
        return Mix(
            srcs=[files[number % len(files)] for number in self.srcs],
            glob=GLOBS[self.glob % 3] if self.glob < 6 else [],
            maybe=OPTIONAL[self.maybe % 3] if self.maybe < 6 else "",
            poll=self.flags & 24 == 24,
            deps=list(dict.fromkeys(labels[number % len(labels)] for number in self.deps)),
            more=LISTS[self.more] if self.more < len(LISTS) else "",
            via=labels[self.via % len(labels)] if self.via < 4 else "",
            scan=self.flags & 3 == 1,
            first=self.flags & 4 == 4,
            out="" if out in taken else out,
            executable=self.flags & 34 == 34,
            note=self.note,
        )


drafts = st.builds(
    Draft, few, st.lists(index, max_size=3), index, index, index, index, st.integers(0, 63), index, st.sampled_from(["", "n"])
)  # fmt: skip


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A whole world."""
    world = World({path: draw(texts) for path in TEXTFILES[:4]})
    world.sources |= {path: draw(texts) for path in GLOBBED[: draw(st.integers(0, 3))]}
    world.sources |= {path: draw(text) for path, text in plan_texts.items()}
    world.sources |= {path: draw(lists) for path in LISTS}
    for name in [*BASES[:2], *TOPS[: draw(st.integers(1, 4))]]:
        draft = draw(drafts)
        world.targets[name] = draft.base(world) if name in BASES else draft.top(world, name)
    return world


@dataclass(frozen=True)
class Demand:
    """A build: what is asked for, and how."""

    what: str
    picks: list[int]
    without: int | None
    jobs: int
    keep_going: bool
    overwrite: bool


demands = st.builds(
    Demand,
    st.sampled_from(["all", "all", "all", "some", "some", "gen", "root"]),
    st.lists(index, min_size=1, max_size=3),
    st.none() | st.none() | index,
    st.integers(1, 4),
    st.sampled_from([True, True, False]),
    st.sampled_from([False, False, False, True]),
)
