"""The same graph of targets for ZeroRepo and for each peer: shapes, writers, and the commands that build them.

A target's output is one line for each input, its MD5: small whatever goes in, and changed whenever an input is. Each tool gets a
folder of its own with its own copy of the sources. Knows nothing of what is measured.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PEERS_BIN = ROOT / ".bench" / "venv" / "bin"
PACKAGE = 100  # targets a folder
JOBS = str(os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class Node:
    """One target: its place (``p3/t7``), whether it has a source of its own, and the places of its dependencies."""

    place: str
    source: str | None
    deps: tuple[str, ...] = ()

    @property
    def inputs(self) -> list[str]:
        """What a tool that names outputs by path reads."""
        return [*([self.source] if self.source else []), *(f"out/{dep}" for dep in self.deps)]


Graph = list[Node]


def _place(index: int) -> str:
    return f"p{index // PACKAGE}/t{index % PACKAGE}"


def _node(index: int, deps: tuple[int, ...] = (), *, source: bool = True) -> Node:
    place = _place(index)
    return Node(place, place.replace("/t", "/s") + ".txt" if source else None, tuple(_place(dep) for dep in deps))


def chain(size: int) -> Graph:
    """Each target needs the one before; only the first has a source."""
    return [_node(index, (index - 1,) if index else (), source=not index) for index in range(size)]


def fan(size: int) -> Graph:
    """``size - 1`` targets with a source each, and one that needs them all."""
    return [*(_node(index) for index in range(size - 1)), _node(size - 1, tuple(range(size - 1)), source=False)]


def layers(size: int, depth: int = 10, needs: int = 2) -> Graph:
    """``depth`` layers; each target has a source and needs ``needs`` of the layer before, chosen by a fixed seed."""
    width, choose = max(needs, size // depth), random.Random(3)
    graph = []
    for index in range(size):
        before = index // width * width - width
        graph.append(_node(index, tuple(choose.sample(range(before, before + width), needs)) if before >= 0 else ()))
    return graph


def write_sources(graph: Graph, folder: Path) -> None:
    """The source files, a line each."""
    for node in graph:
        if node.source:
            path = folder / node.source
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"source of {node.place}\n")


def dependents(graph: Graph, first: str) -> int:
    """How many targets a change of the source of ``first`` concerns, itself included."""
    reached = {first}
    for node in graph:  # dependencies come first
        if not reached.isdisjoint(node.deps):
            reached.add(node.place)
    return len(reached)


# --- writers, one a tool: the graph's files into a folder


def _zerorepo(graph: Graph, folder: Path, rule: str = "digests") -> None:
    (folder / "zerorepo.toml").write_text('[workspace]\nname = "bench"\nplugins = ["bench_rules"]\n')
    shutil.copy(Path(__file__).with_name("bench_rules.py"), folder)
    packages: dict[str, list[str]] = {}
    for node in graph:
        package, name = node.place.split("/")
        table = f'[[target]]\nname = "{name}"\nrule = "{rule}"\n'
        if node.source:
            table += f'srcs = ["{node.source.split("/")[1]}"]\n'
        if node.deps:
            table += f"deps = {json.dumps(['//' + dep.replace('/', ':') for dep in node.deps])}\n"
        packages.setdefault(package, []).append(table)
    for package, tables in packages.items():
        (folder / package).mkdir(exist_ok=True)
        (folder / package / "BUILD.toml").write_text("\n".join(tables))


def _zerorepo_by_process(graph: Graph, folder: Path) -> None:
    _zerorepo(graph, folder, "digests_by_process")


def _ninja(graph: Graph, folder: Path) -> None:
    lines = ["rule digests", "  command = md5sum $in > $out"]
    lines += [f"build out/{node.place}: digests {' '.join(node.inputs)}" for node in graph]
    (folder / "build.ninja").write_text("\n".join(lines) + "\n")


def _make(graph: Graph, folder: Path) -> None:
    lines = [".SUFFIXES:", "all: " + " ".join(f"out/{node.place}" for node in graph)]
    lines += [f"out/{node.place}: {' '.join(node.inputs)}\n\tmd5sum $^ > $@" for node in graph]
    (folder / "Makefile").write_text("\n".join(lines) + "\n")


def _json(graph: Graph, folder: Path) -> None:
    (folder / "graph.json").write_text(json.dumps({f"out/{node.place}": node.inputs for node in graph}))


_MD5 = """\
import hashlib, json
def digests(inputs, out):
    lines = []
    for path in inputs:
        with open(path, "rb") as file:
            lines.append(hashlib.md5(file.read()).hexdigest() + "\\n")
    with open(out, "w") as file:
        file.write("".join(lines))
with open("graph.json") as file:
    GRAPH = json.load(file)
"""


def _doit(graph: Graph, folder: Path) -> None:
    _json(graph, folder)
    (folder / "dodo.py").write_text(
        _MD5 + "def task_digests():\n    for out, inputs in GRAPH.items():\n"
        "        yield dict(name=out, file_dep=inputs, targets=[out], actions=[(digests, [inputs, out])])\n"
    )


def _scons(graph: Graph, folder: Path) -> None:
    _json(graph, folder)
    (folder / "SConstruct").write_text(
        _MD5 + "import os\nenv = Environment(tools=[])\nDecider('MD5-timestamp')\n"  # the fast one of SCons's manual
        "if 'CACHE' in ARGUMENTS:\n    CacheDir(ARGUMENTS['CACHE'])\n"
        "def action(target, source, env):\n    digests([str(s) for s in source], str(target[0]))\n"
        "for out, inputs in GRAPH.items():\n    env.Command(out, inputs, action)\n"
    )


def _snakemake(graph: Graph, folder: Path) -> None:
    _json(graph, folder)
    (folder / "Snakefile").write_text(
        "import json\nwith open('graph.json') as file:\n    GRAPH = json.load(file)\n"
        "rule all:\n    input: list(GRAPH)\n"
        "rule digests:\n    input: lambda w: GRAPH['out/' + w.name]\n    output: 'out/{name}'\n"
        "    shell: 'md5sum {input} > {output}'\n"
    )


def _redun(graph: Graph, folder: Path) -> None:
    _json(graph, folder)
    (folder / "workflow.py").write_text(
        "from redun import File, task\nredun_namespace = 'bench'\n" + _MD5 + "@task()\n"
        "def make(out: str, inputs: list[File]) -> File:\n"
        "    digests([file.path for file in inputs], out)\n    return File(out)\n"
        "@task(cache=False)\ndef main() -> list[File]:\n    made = {}\n"
        "    for out, inputs in GRAPH.items():\n"
        "        made[out] = make(out, [made[path] if path in made else File(path) for path in inputs])\n"
        "    return list(made.values())\n"
    )


@dataclass(frozen=True, slots=True)
class Tool:
    """A build tool: how its files are written, how it is called, and where it keeps its state."""

    name: str
    write: Callable[[Graph, Path], None]
    arguments: tuple[str, ...]
    state: tuple[str, ...] = ()
    program: str = ""
    most: int = 1_000_000
    """The largest graph that it builds in reasonable time."""

    def command(self) -> list[str]:
        """The command that builds everything."""
        return [find(self.program or self.name) or self.name, *self.arguments]

    def set_up(self, graph: Graph, folder: Path) -> Path:
        """Sources, build files and empty output folders in ``folder``, which is made."""
        folder.mkdir(parents=True)
        write_sources(graph, folder)
        self.write(graph, folder)
        (folder / "places").write_text("\n".join({node.place.split("/")[0] for node in graph}))
        clear(folder)
        return folder

    def forget(self, folder: Path) -> None:
        """Remove outputs and everything that the tool remembers."""
        for name in self.state:
            for path in folder.glob(name):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        clear(folder)


def clear(folder: Path) -> None:
    """Remove the outputs; their folders are there, empty, for the tools that make none."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    for package in (folder / "places").read_text().split():
        (folder / "out" / package).mkdir(parents=True)


def find(program: str) -> str | None:
    """Path of a program: of this Python's environment, of ``benchmarks/peers.sh``, or of the system."""
    return shutil.which(
        program, path=os.pathsep.join([str(Path(sys.executable).parent), str(PEERS_BIN), os.environ["PATH"]])
    )


_BUILD = ("build", "//...", "--quiet")
ZEROREPO = Tool("zerorepo", _zerorepo, _BUILD, (".zerorepo",))
ZEROREPO_BY_PROCESS = Tool("zerorepo, processes", _zerorepo_by_process, _BUILD, (".zerorepo",), "zerorepo")
NINJA = Tool("ninja", _ninja, ("--quiet",), (".ninja_*",))
MAKE = Tool("make", _make, ("--silent", f"-j{JOBS}", "all"))
DOIT = Tool("doit", _doit, ("--verbosity", "0"), (".doit.db*",))
SCONS = Tool("scons", _scons, ("-Q", "-s", f"-j{JOBS}"), (".sconsign*",))
SNAKEMAKE = Tool("snakemake", _snakemake, ("--cores", JOBS, "--quiet", "all"), (".snakemake",), most=10_000)
REDUN = Tool("redun", _redun, ("run", "workflow.py", "main"), (".redun",), most=1_000)
PEERS = (NINJA, MAKE, DOIT, SCONS, SNAKEMAKE, REDUN)


def tools(size: int, *wanted: Tool) -> list[Tool]:
    """ZeroRepo and the wanted peers (all by default) that are installed and can stand a graph of this size."""
    return [ZEROREPO, *(tool for tool in wanted or PEERS if find(tool.program or tool.name) and size <= tool.most)]


__all__ = [
    "PEERS",
    "ZEROREPO",
    "ZEROREPO_BY_PROCESS",
    "Graph",
    "Node",
    "Tool",
    "chain",
    "clear",
    "fan",
    "find",
    "layers",
    "tools",
]
