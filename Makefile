# Two commands do everything: `make demo` and `make test`. The rest builds on the environment they make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Those that pyproject.toml names.
PYTHONS := $(shell sed -n 's/.*Python :: \(3\.[0-9]*\)".*/\1/p' pyproject.toml)
UV_VERSION := 0.13.9
ACCOUNTS ?= 5000
# Processes that tests run in; 0 is this one.
WORKERS ?= 2

export UV_PYTHON := $(abspath $(BIN)/python)
export UV_COMPILE_BYTECODE ?= 1
export DO_NOT_TRACK := 1
# Each of a hundred processes that the tests start would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE
export PREFECT_SERVER_ANALYTICS_ENABLED := false

.PHONY: setup demo lab stack test test-core coverage test-system lint types docs bench soak lock pythons clean

setup: $(VENV)/.done

$(VENV)/.done: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; found = "%d.%d" % sys.version_info[:2]; sys.exit(None if found in "$(PYTHONS)".split() else \
		"trimtab has been tried on Python $(PYTHONS), this is " + found + "; name one of them: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"
	$(BIN)/python -m uv pip sync --quiet --require-hashes requirements.lock
	$(BIN)/python -m uv pip install --quiet --no-deps --no-build-isolation --editable .
	@echo "compiling the solver: about a minute, once"
	$(BIN)/python -c "from tasks.core.solver.entry import warm_up; warm_up()"
	@touch $@

demo: setup
	$(BIN)/trimtab demo --accounts $(ACCOUNTS)

# The packaged studies of the policy lab. What the home has of them already is not computed again.
lab: setup
	for study in examples/lab/*.toml; do $(BIN)/trimtab lab run $$study || exit; done

# All that trimtab runs on, started on this machine for trial: deploy/stack. Its options, such as --free-ports, in STACK.
stack: setup
	$(BIN)/python -m deploy.stack up $(STACK)

# Its books are small: on two processors, threads of Polars beside those of the other process only take turns.
test: setup
	POLARS_MAX_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not system"

# The part that decides needs no Prefect, no database and no server: `.ci/run` tries it on every Python of the machine.
test-core: setup
	POLARS_MAX_THREADS=1 $(BIN)/python -m pytest -m "not slow" tests/tasks/core

# These tests take every branch of it, but for what pyproject.toml leaves out with its reason.
coverage: setup
	POLARS_MAX_THREADS=1 $(BIN)/python -m coverage run -m pytest -m "not slow" tests/tasks/core
	$(BIN)/python -m coverage report

# These wait for servers and for the death of processes more than they compute.
test-system: setup
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m system

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell

types: setup
	$(BIN)/mypy

# Warnings are errors; the pages are docs/_build/index.html and need no server.
docs: setup
	$(BIN)/python -m docs.generate
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet --fresh-env docs docs/_build

# Every run adds its figures to tests/benchmarks/results.csv, which results.svg is drawn from; commit those of a quiet machine.
bench: setup
	$(BIN)/python -m tests.benchmarks.night
	$(BIN)/python -m tests.benchmarks.drift
	$(BIN)/python -m tests.benchmarks.kernel
	$(BIN)/python -m uv pip install --quiet --no-deps "taxrebalance==0.2.0" # it asks for an older OSQP, which it does not use
	$(BIN)/python -m tests.benchmarks.peers
	$(BIN)/python -m tests.benchmarks.households
	$(BIN)/python -m tests.benchmarks.lab
	$(BIN)/python -m tests.benchmarks.gate
	$(BIN)/python -m tests.benchmarks.monitor
	$(BIN)/python -m tests.benchmarks.export
	$(BIN)/python -m tests.benchmarks.queue --postgres
	$(BIN)/python -m tests.benchmarks.pull --postgres

# A year of nights on real prices, with a broker, corporate actions, flows, damaged and late files, people who race and processes that are
# killed; about two hours. Its report is written to soak/. Other sizes: SOAK="--accounts 200 --days 40 --kills 20".
soak: setup
	POLARS_MAX_THREADS=2 $(BIN)/python -m tests.soak $(SOAK)

lock: setup
	$(BIN)/python -m uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
		--extra demo --extra lab --extra kafka --extra nats --group pyproject.toml:dev --group pyproject.toml:docs pyproject.toml --output-file requirements.lock

pythons:
	@echo $(PYTHONS)

clean:
	rm -rf $(VENV) var
