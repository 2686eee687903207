"""``build --watch`` and ``test --watch``: build, wait until something changes, build again.

Every build is a process of its own. It costs a start (some tenths of a second) and makes sure of what nothing else can: changed
rules and plugins are really loaded anew, memory does not grow, and whatever ends a build does not end the watch.

Nothing is missed, because pictures of the workspace decide, not notices of the system: one is taken before each build and one
after, so what changes meanwhile is seen then, whatever was told of it. Knows nothing of targets: which files matter is what the
build reports (``watched``).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from zerorepo.buildfile import BUILD_NAME
from zerorepo.cli.common import GLOBALS, say, start_folder
from zerorepo.cli.notices import POLL_S, Notices
from zerorepo.cli.picture import YOUNG_NS, Picture, take
from zerorepo.cli.watched import ORDERS, VARIABLE, Orders, Report
from zerorepo.digest import DigestFunction
from zerorepo.errors import ExitCode, UsageError
from zerorepo.label import parse_pattern
from zerorepo.workspace import CONFIG_NAME, find_root

_SETTLED_S = 2.0  # files that change without end do not put a build off for longer
_GONE_S = 1.0  # an editor that saves by renaming takes the file away for a moment
_GRACE_S = 5.0  # a build promises to end within 2 s of a signal
_PATIENCE = 3
_LONGEST_PAUSE_S = 60.0
_CONFIGURED = (ExitCode.OK, ExitCode.BUILD_FAILED, ExitCode.TESTS_FAILED, ExitCode.NO_TESTS, ExitCode.BUDGET)
_OUTCOMES: dict[int, str] = {
    ExitCode.OK: "done",
    ExitCode.USAGE: "nothing built",
    ExitCode.TESTS_FAILED: "tests failed",
    ExitCode.NO_TESTS: "no tests",
}


def run(targets: Sequence[str], *, as_json: bool = False, quiet: bool = False) -> ExitCode:
    """Build the command line given, without its ``--watch``, again and again until a signal. UsageError when it cannot work."""
    if as_json:
        raise UsageError(
            "--json ends with one object, and a watch does not end", hint="--events FILE says what happens"
        )
    root = find_root(start_folder())
    package = os.path.relpath(start_folder(), root)
    for text in targets:
        parse_pattern(text, "" if package == "." else package)
    ended = _Ended()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, ended)
    with tempfile.TemporaryDirectory(prefix="zerorepo-watch-") as folder:
        watch = _Watch(root, [*_without_watch(GLOBALS.argv)], Path(folder), ended, quiet=quiet)
        try:
            watch.forever()
        except KeyboardInterrupt:
            watch.stop()
    return ExitCode.INTERRUPTED


class _Ended:
    """Handler of the signals that end the watch. Python drops an exception that it raises while an object is being destroyed:
    so it is remembered, too, and ``check`` raises it again.
    """

    def __init__(self) -> None:
        self._told = False

    def __call__(self, number: int, frame: object) -> None:
        self._told = True
        raise KeyboardInterrupt

    def check(self) -> None:
        if self._told:
            raise KeyboardInterrupt


def _without_watch(argv: Sequence[str]) -> list[str]:
    end = argv.index("--") if "--" in argv else len(argv)
    return [*(word for word in argv[:end] if word != "--watch"), *argv[end:]]


@dataclass(slots=True)
class _Good:
    """The last configuration that was valid: path to text."""

    texts: dict[str, str | None]
    since: str


class _Watch:
    def __init__(self, root: Path, argv: list[str], folder: Path, ended: _Ended, *, quiet: bool) -> None:
        self._root = root
        self._ended = ended
        self._argv = argv
        self._folder = folder
        self._start = Path.cwd()
        self._quiet = quiet
        self._git = next((path / ".git" for path in (root, *root.parents) if (path / ".git").is_dir()), None)
        self._notices = Notices(self._tell)
        self._child: subprocess.Popen[bytes] | None = None
        self._report = Report()
        self._good: _Good | None = None
        self._seen = Picture()
        self._same = 0
        self._last: frozenset[str] = frozenset()

    def forever(self) -> None:
        """Build and wait, in turn. Ends with KeyboardInterrupt."""
        self._seen = self._settled()
        changes: dict[str, str] = {}
        while True:
            self._build(changes)
            changes = self._changes_meanwhile() or self._wait()

    def stop(self) -> None:
        """End a build that is under way as a signal would, and by force when it does not end. A second signal hurries it."""
        child = self._child
        deadline = time.monotonic() + _GRACE_S
        while child is not None and child.poll() is None:
            try:
                if time.monotonic() < deadline:
                    child.send_signal(signal.SIGINT)
                    child.wait(max(0.0, deadline - time.monotonic()))
                else:
                    os.killpg(child.pid, signal.SIGKILL)
                    child.wait()
            except (KeyboardInterrupt, subprocess.TimeoutExpired):
                continue
        self._notices.close()
        self._tell("stopped watching")

    # Waiting

    def _changes_meanwhile(self) -> dict[str, str]:
        """What changed while the build ran, and was not the build itself."""
        changes = {path: kind for path, kind in self._look().items() if not self._is_own(path, kind)}
        self._same = self._same + 1 if changes and changes.keys() == self._last else 0
        self._last = frozenset(changes)
        if self._same >= _PATIENCE:
            pause = min(2.0 ** (self._same - _PATIENCE + 1), _LONGEST_PAUSE_S)
            self._tell(
                f"{_names(changes)} again; as each build may be what changes it, the next begins in {pause:.0f} s"
            )
            time.sleep(pause)
            changes |= self._look()
        return changes

    def _wait(self) -> dict[str, str]:
        """Wait for something that concerns the build to change; what that was."""
        self._last = frozenset()
        while True:
            self._ended.check()
            # Folders may have come. What happened in them before they are watched is found by looking once more.
            if not self._notices.watch([str(self._root / folder) for folder in sorted(self._seen.folders)]):
                self._notices.wait()
            if changes := self._look():
                return changes

    def _look(self) -> dict[str, str]:
        """What has changed since the last look, and concerns the build."""
        later = self._settled()
        changes, self._seen = self._seen.changes(later), later
        return {path: kind for path, kind in sorted(changes.items()) if self._concerns(path, kind)}

    def _settled(self) -> Picture:
        """A picture of the workspace, as soon as nothing has changed for a moment."""
        deadline = time.monotonic() + _SETTLED_S
        while True:
            self._ended.check()
            self._await_workspace()
            skip = frozenset(path for path in self._report.ignored if path != self._report.output)
            picture = take(str(self._root), extra=[*self._report.files, *self._report.absent], skip=skip)
            busy = self._git is not None and (self._git / "index.lock").exists()
            if not (picture.young or busy) or time.monotonic() > deadline:
                return picture
            time.sleep(YOUNG_NS / 2e9)

    def _await_workspace(self) -> None:
        gone_since = time.monotonic()
        told = False
        while not ((self._root / CONFIG_NAME).is_file() and self._start.is_dir()):
            self._ended.check()
            if not told and time.monotonic() - gone_since > _GONE_S:
                what = self._root / CONFIG_NAME if self._start.is_dir() else self._start
                self._say(f"{what} is gone; waiting for it to come back")
                told = True
                self._notices.close()
            time.sleep(POLL_S if told else 0.05)
        if told:
            self._tell("the workspace is back")

    def _concerns(self, path: str, kind: str) -> bool:
        report = self._report
        parents = [str(parent) for parent in Path(path).parents]
        if any(parent in report.ignored for parent in parents):
            return False
        if not report.complete or self._is_config(path) or path in (*report.made, *report.files, *report.absent):
            return True
        # A new name matters only where names were looked at.
        names_matter = kind != "changed" and report.output not in parents
        return names_matter and any(parent in report.folders for parent in parents)

    def _is_own(self, path: str, kind: str) -> bool:
        """Whether a change that happened during the build is the build's: an output or a lock file as it was left."""
        made = self._report.made.get(path)
        if made is None:
            return path.startswith(f"{self._report.output}/")
        if kind == "removed":
            return False
        try:
            return str(DigestFunction.that_made(made).of_file(self._root / path)) == made
        except OSError:
            return False

    # Building

    def _build(self, changes: Mapping[str, str]) -> None:
        self._tell(f"{_names(changes)}, building" if changes else "building")
        texts = self._configuration()
        code, by = self._run({}), ""
        if code == ExitCode.USAGE and (kept := self._kept(texts)) and self._good:
            self._say(f"the configuration is not valid: keeping that of {self._good.since}")
            if not all(map(self._is_config, changes)):
                code, by = self._run(kept), f" by the configuration of {self._good.since}"
                self._report.complete = False  # what the other configuration looks at may be what makes it valid
        elif code in _CONFIGURED and texts == self._configuration():
            self._good = _Good(texts, time.strftime("%H:%M:%S"))
        self._tell(f"{_outcome(code)}{by}, waiting for changes")

    def _run(self, kept: Mapping[str, str | None]) -> int:
        """One build in a process of its own; its exit code."""
        self._ended.check()
        answer = self._folder / "report.json"
        answer.unlink(missing_ok=True)
        orders = Orders(str(answer), {str(self._root / path): text for path, text in kept.items()})
        (self._folder / ORDERS).write_text(json.dumps(asdict(orders)))
        # The same places to import from; a group of its own, so that Ctrl-C reaches it once, through us.
        boot = f"import sys; sys.path[:] = {sys.path!r}; from zerorepo.cli.watched import main; main()"
        try:
            self._child = subprocess.Popen(
                [sys.executable, "-c", boot, *self._argv],
                cwd=self._start,
                env={**os.environ, **self._bytecode(), VARIABLE: str(self._folder / ORDERS)},
                stdin=subprocess.DEVNULL,
                process_group=0,
            )
            code = self._child.wait()
        except OSError as error:
            self._say(f"cannot start a build: {error.strerror}")
            code = ExitCode.BUILD_FAILED
        self._child = None
        report = Report.read(answer)
        # Of a build that got nowhere only these are known, from before.
        self._report = report or Report(output=self._report.output, ignored=self._report.ignored)
        return code

    def _bytecode(self) -> dict[str, str]:
        """Python tells compiled modules from newer source by size and whole seconds: none is compiled of what is too new."""
        limit = time.time_ns() - 2 * 10**9
        new = any(path.endswith(".py") and look[2] > limit for path, look in self._seen.files.items())
        return {"PYTHONDONTWRITEBYTECODE": "1"} if new else {}

    def _configuration(self) -> dict[str, str | None]:
        """Text of each configuration file; None for one that cannot be read."""
        texts: dict[str, str | None] = {}
        for path in filter(self._is_config, self._seen.files):
            texts[path] = None
            with contextlib.suppress(OSError, UnicodeDecodeError):
                texts[path] = (self._root / path).read_bytes().decode()
        return texts

    def _kept(self, texts: Mapping[str, str | None]) -> dict[str, str | None]:
        """Texts to use in place of those that may be wrong; none when the configuration is what it was, or lost a file."""
        if self._good is None or self._good.texts.keys() - texts.keys():
            return {}
        return {path: self._good.texts.get(path) for path in texts if texts[path] != self._good.texts.get(path)}

    def _is_config(self, path: str) -> bool:
        if path.startswith(f"{self._report.output}/"):
            return False
        return path == CONFIG_NAME or path.rpartition("/")[2] == BUILD_NAME

    # Saying

    def _tell(self, text: str) -> None:
        if not self._quiet:
            self._say(text)

    def _say(self, text: str) -> None:
        say(f"[{time.strftime('%H:%M:%S')}] {text}")


def _names(changes: Mapping[str, str]) -> str:
    """``a.txt changed``, ``a.txt, b.txt and 3 more changed``."""
    kinds = set(changes.values())
    shown = ", ".join([*changes][:3]) + (f" and {len(changes) - 3} more" if len(changes) > 3 else "")
    return f"{shown} {kinds.pop() if len(kinds) == 1 else 'changed'}"


def _outcome(code: int) -> str:
    if code < 0:
        return f"the build was ended by {signal.Signals(-code).name}"
    return _OUTCOMES.get(code, "the build failed")


__all__ = ["run"]
