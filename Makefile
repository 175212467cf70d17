# Two commands do everything: `make demo` and `make test`. The rest builds on the environment they make.
PYTHON ?= python3
BIN := .venv/bin
UV_VERSION := 0.13.9
ACCOUNTS ?= 5000

export UV_PYTHON := $(CURDIR)/.venv/bin/python
export DO_NOT_TRACK := 1
# Each of a hundred processes that the tests start would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE
export PREFECT_SERVER_ANALYTICS_ENABLED := false

.PHONY: setup demo stack test test-system lint types docs bench lock clean

setup: .venv/.done

.venv/.done: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "trimtab needs Python 3.11 or newer; try make PYTHON=python3.11"'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"
	$(BIN)/python -m uv pip sync --quiet --require-hashes --compile-bytecode requirements.lock
	$(BIN)/python -m uv pip install --quiet --no-deps --no-build-isolation --editable .
	@echo "compiling the solver: about a minute, once"
	$(BIN)/python -c "from tasks.core.solver.entry import warm_up; warm_up()"
	@touch $@

demo: setup
	$(BIN)/trimtab demo --accounts $(ACCOUNTS)

# All that trimtab runs on, started on this machine for trial: deploy/stack. Its options, such as --free-ports, in STACK.
stack: setup
	$(BIN)/python -m deploy.stack up $(STACK)

# Its books are small: on two processors, threads of Polars beside those of the other process only take turns.
test: setup
	POLARS_MAX_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not system"

# These wait for servers and for the death of processes more than they compute.
test-system: setup
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m system

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

# Warnings are errors; the pages are docs/_build/index.html and need no server.
docs: setup
	$(BIN)/python -m docs.generate
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet --fresh-env docs docs/_build

bench: setup
	$(BIN)/python -m tests.benchmarks.night
	$(BIN)/python -m tests.benchmarks.kernel
	$(BIN)/python -m tests.benchmarks.households
	$(BIN)/python -m tests.benchmarks.gate
	$(BIN)/python -m tests.benchmarks.monitor
	$(BIN)/python -m tests.benchmarks.export
	$(BIN)/python -m tests.benchmarks.queue --postgres
	$(BIN)/python -m tests.benchmarks.pull --postgres

lock: setup
	$(BIN)/python -m uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
		--extra demo --group pyproject.toml:dev --group pyproject.toml:docs pyproject.toml --output-file requirements.lock

clean:
	rm -rf .venv var
