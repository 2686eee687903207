"""Benchmarks: ``python -m benchmarks [NAME…]``. Each runs a named peer beside us in the same run; medians of several runs."""
