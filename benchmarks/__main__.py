"""``python -m benchmarks [NAME…]``: run all benchmarks, or those named."""

from __future__ import annotations

import importlib
import sys

ALL = ("startup",)

for name in sys.argv[1:] or ALL:
    if name not in ALL:
        sys.exit(f"no benchmark `{name}`; there are {', '.join(ALL)}")
    importlib.import_module(f"benchmarks.{name}").main()
