# Everything a user or a test machine needs; `make` alone prints this list.
# A different interpreter: make env PYTHON=/path/to/python3.13. More pytest options: make test ARGS="-k cem -x".

SHELL := /bin/bash
VENV := $(CURDIR)/.venv
RUN := PATH="$(VENV)/bin:$$PATH" $(VENV)/bin/python

.DEFAULT_GOAL := help
.PHONY: help env demo test test-slow bench clean

help:  ## print this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 12

env:  ## create or update .venv with everything (idempotent)
	@bash tools/env.sh

demo: env  ## reconstruct real data, write results/demo/
	@$(RUN) demos/impedance/reconstruct_tank.py

test test-slow bench: export OMP_NUM_THREADS = 1

test: env  ## run the test suite on all cores, at most four
	@$(RUN) -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile $(ARGS)

test-slow: env  ## run the slow tests as well
	@$(RUN) -m pytest -m "not bench" $(ARGS)

bench: env  ## run the benchmarks, write results/bench.json and the table bench.md
	@$(RUN) -m benchmarks $(ARGS)

clean:  ## remove caches and build files (keeps .venv and results/)
	@rm -rf build dist *.egg-info .pytest_cache .ruff_cache
	@find . -path ./.venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
