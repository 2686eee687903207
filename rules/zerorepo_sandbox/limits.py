"""How much a run may use, and the word for each way in which a run can end. Knows nothing of how either is enforced."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from zerorepo.values import Value


class Verdict(StrEnum):
    """Why a run ended. Only ``OK`` can pass; what passed is then decided test by test."""

    OK = "ok"
    """The run went to its end and its report is complete. Tests may still have failed."""
    TIMEOUT = "timeout"
    CPU = "cpu"
    """It used up its processor time."""
    PROCESSES = "processes"
    """It had as many processes and threads at once as it may."""
    MEMORY = "memory"
    DISK = "disk"
    """It filled its disk, or made too many files."""
    OUTPUT = "output"
    """It printed, or reported, more than allowed."""
    CRASH = "crash"
    """It ended without a complete report: ``os._exit``, a signal, a killed runner."""
    TAMPERED = "tampered"
    """The report contradicts itself, or a test that must fail did not."""
    NO_TESTS = "no_tests"
    """No test was found, or every test was skipped."""
    REFUSED = "refused"
    """The static screen found code that reaches for the test runner; nothing was run."""


class Limits(Value):
    """What one run may use. Memory, processor time and processes are those of the whole tree of processes, not of each."""

    wall_s: float = Field(default=60.0, gt=0, le=86_400)
    """Seconds on the clock."""
    cpu_s: int = Field(default=60, gt=0)
    """Seconds of processor time."""
    memory_mb: int = Field(default=1024, ge=64)
    processes: int = Field(default=64, ge=4)
    """Processes and threads."""
    file_mb: int = Field(default=64, gt=0)
    """Size of one file."""
    disk_mb: int = Field(default=256, gt=0)
    """Size of the work folder, and again of ``/tmp``; both live in memory."""
    inodes: int = Field(default=20_000, gt=0)
    """Files and folders that may exist at once."""
    output_kb: int = Field(default=8192, gt=0)
    """What may be printed; more ends the run."""
    report_kb: int = Field(default=4096, gt=0)
    """Size of the test report; more ends the run."""


COMMAND_LIMITS = Limits(wall_s=600.0, cpu_s=600, memory_mb=2048, processes=256, file_mb=512, disk_mb=512)
"""Defaults for build commands, which compile and pack rather than test one module."""
