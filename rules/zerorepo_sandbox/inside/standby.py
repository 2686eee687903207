"""A run of pytest that has begun before there is anything to run, so that forks do not begin anew: they go on with it.

What is done once is what does not depend on tests: plugins, options, the fixtures of plugins. What a run does when it begins and
what is its own (the streams that it captures, what is imported first) each fork does. A request that this cannot serve leaves the
run that has begun, by pytest's own way out, and has one of its own. Knows nothing of worlds.
"""

# ruff: noqa: PTH116, PTH119
# Os.path alone: what is loaded here is paid for in every run.

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import pytest

from . import recorder, runner

_HELD, _MOST = 32, 256
"""The descriptors below are held while pytest begins: a fork has others under these numbers."""


class _Asked(Protocol):
    """What is to be run. See ``runner.Run``."""

    files: dict[str, bytes]

    def request(self) -> tuple[dict[str, Any], int, str, int | None]: ...


class _CannotWait(Exception):
    """pytest holds something open that forks do not have."""


class _StandBy:
    """A pytest plugin. ``serve`` is given descriptors that forks have to keep, and returns in forks alone."""

    def __init__(self, work: str, tmp: str, rec: recorder.Recorder, serve: Callable[[Iterable[int]], _Asked]) -> None:
        self._work = work
        self._tmp = tmp
        self._recorder = rec
        self._serve = serve
        self.asked: _Asked | None = None
        self.course: recorder.Course | None = None
        self.held = _hold()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """All has begun; next would be to look for tests."""
        config = session.config
        capture: Any = config.pluginmanager.getplugin("capturemanager")
        capture.stop_global_capturing()
        kept = _opened()
        self.let_go()
        recorder.know_as_begun()
        asked = self.asked = self._serve(kept)
        request, report_fd, secret, apart_fd = asked.request()
        if not self._can(request, asked.files):
            raise KeyboardInterrupt
        config.pluginmanager.unregister(self)
        _set(config, request["tests"], recorder.traceback_style(request, apart_fd), [self._recorder])
        self.course = recorder.Course(self._recorder, request, report_fd, secret, apart_fd)
        capture.start_global_capturing()
        capture.suspend_global_capture()
        self._recorder.before_imports()

    def let_go(self) -> None:
        """Of the descriptors that were held."""
        while self.held:
            os.close(self.held.pop())

    def _can(self, request: Mapping[str, Any], files: Iterable[str]) -> bool:
        """Whether it would have begun like this one. Files ``conftest.py`` are loaded while pytest begins."""
        here = (request["work"], request["tmp"]) == (self._work, self._tmp)
        return here and bool(request["capture"]) and not any(os.path.basename(path) == "conftest.py" for path in files)

    def go_on(self, code: int) -> None:
        """In a fork, when pytest has ended."""
        assert self.asked is not None
        if self.course is not None:
            self.course.end(code)
        else:
            recorder.run(*self.asked.request())


def stand_by(work: str, tmp: str, serve: Callable[[Iterable[int]], _Asked]) -> None:
    """Begin, and ``serve``. Returns only when this pytest cannot wait."""
    rec = recorder.Recorder()
    standby = _StandBy(work, tmp, rec, serve)
    try:
        code = int(pytest.main([*recorder.arguments(work, tmp, "short"), work], plugins=[rec, standby]))
    except BaseException as error:
        if standby.asked is not None:
            runner.die(error)
        raise
    finally:
        standby.let_go()
    if standby.asked is not None:
        runner.end_with(lambda: standby.go_on(code))


def _set(config: pytest.Config, tests: list[str], style: str, plugins: list[object]) -> None:
    """What the command line says when it is known from the start."""
    parameters = config.invocation_params
    args = (*(f"--tb={style}" if each.startswith("--tb=") else each for each in parameters.args[:-1]), *tests)
    config.invocation_params = type(parameters)(args=args, plugins=plugins, dir=parameters.dir)
    config.args = list(tests)
    for options in (config.option, config.known_args_namespace):
        options.file_or_dir = list(tests)
        options.tbstyle = style


def _hold() -> list[int]:
    held = [os.open(os.devnull, os.O_RDONLY)]
    while held[-1] < _HELD:
        held.append(os.dup(held[-1]))
    return held


def _opened() -> list[int]:
    """What pytest has opened since and not closed: the null device for its log. Anything else forks could not do without."""
    null = os.stat(os.devnull)
    found = []
    for fd in range(_HELD + 1, _MOST):
        with contextlib.suppress(OSError):
            seen = os.fstat(fd)
            if not stat.S_ISCHR(seen.st_mode) or seen.st_rdev != null.st_rdev:
                raise _CannotWait
            found.append(fd)
    return found
