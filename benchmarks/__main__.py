"""``python -m benchmarks [--quick] [NAME…]``: run all benchmarks, or those named; ``--quick`` only shows that they work."""

from __future__ import annotations

import importlib
import sys

ALL = (
    "startup", "null", "leaf", "clean", "allhits", "memory", "hashing", "query", "graph", "model_calls", "writing", "sandbox",
    "ontology", "plan_edits",
)  # fmt: skip
EXTRA = ("why", "mutation")

names = [word for word in sys.argv[1:] if word != "--quick"]
for name in names:
    if name not in ALL + EXTRA:
        sys.exit(f"no benchmark `{name}`; there are {', '.join(ALL + EXTRA)}")
for name in names or ALL:
    importlib.import_module(f"benchmarks.{name}").main(quick="--quick" in sys.argv[1:])
