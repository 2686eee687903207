"""Fixtures of the random graphs."""

from running import random_run

__all__ = ["random_run"]
