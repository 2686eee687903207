# One command for each chore; the scripts do the work, so that nothing here is needed to run them.
.PHONY: setup example check test bench
setup: ; bash scripts/setup.sh test
example: ; bash scripts/quickstart.sh
check: ; bash scripts/check.sh
test: ; bash scripts/test.sh
bench: ; .venv/bin/python -m benchmarks
