# Homeport: `make up` starts it, `make test` tests it, `make` shows the rest.

VENV   := .venv
BIN    := $(VENV)/bin
PYTHON ?=
ARGS   ?=
PEERS  ?=
# Quiet, and the same wherever it runs: only what the lock files name is installed.
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
export PEERS

# The stamps hold the folder they were made in: a .venv does not survive being moved.
ifneq ($(shell cat $(VENV)/installed 2>/dev/null),$(CURDIR))
MOVED := moved
endif

.PHONY: help install up example test clients mutants check lock wheel bench reliability pilot pilot-eval clean moved needs
.DEFAULT_GOAL := help

help: ## show this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r name what; do printf '%-18s %s\n' "$$name" "$$what"; done

install: $(VENV)/installed ## .venv with .venv/bin/homeport; starts nothing
	@:

up: install ## install, then start the gateway; ARGS="--listen 127.0.0.1:9000"
	@exec $(BIN)/homeport up $(ARGS)

example: $(VENV)/installed ## a small app on Homeport; NAME=ai-transform|terminal|payment-drafts|local-calls PORT=8480
	@$(if $(PORT),PORT="$(PORT)" )$(BIN)/python -m examples $(NAME) $(ARGS)

test: check needs ## the whole test suite, installing what it needs; ARGS="tests/unit -k name"
	@$(if $(ARGS),:,$(BIN)/python -m tests.clients.installing)
	@$(BIN)/python -m pytest $(if $(ARGS),$(ARGS),--numprocesses=auto --maxprocesses=4 --dist=loadfile)

clients: $(VENV)/tested ## ask through every client again, and write what was seen into docs/clients.md
	@$(BIN)/python -m tests.clients.installing
	@UPDATE_CLIENTS=1 $(BIN)/python -m pytest tests/clients/test_matrix.py

mutants: $(VENV)/tested ## put small faults into the modules that promise most, count those no test sees; ARGS="breaker --sample 40"
	@$(BIN)/python -m tests.mutants $(ARGS)

check: $(VENV)/tested ## lint, format, types, layers, budgets
	@failed=; \
	for part in "ruff check" "ruff format --check" mypy lint-imports "python -m pytest --quiet tests/architecture"; do \
		echo "— $$part"; $(BIN)/$$part || failed="$$failed, $$part"; \
	done; \
	[ -z "$$failed" ] || { echo "make check: failed in$${failed#,}" >&2; exit 1; }

bench: $(VENV)/installed ## measure this gateway beside nginx; PEERS=1 adds other gateways
	@$(BIN)/python -m bench $(ARGS)

reliability: $(VENV)/tested ## inject every fault there is, and write what came of it into docs/reliability.md; ARGS="year owner" does parts
	@$(BIN)/python -m tests.reliability $(ARGS)

pilot: $(VENV)/installed ## train the bundled model anew
	@$(MAKE) -C pilot train PYTHON="$(CURDIR)/$(BIN)/python"

pilot-eval: $(VENV)/installed ## measure the bundled model
	@$(MAKE) -C pilot eval PYTHON="$(CURDIR)/$(BIN)/python"

wheel: $(VENV)/installed ## dist/homeport-*.whl
	@rm -rf dist
	@$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .
	@ls dist/*.whl

lock: $(VENV)/installed ## write the lock files from pyproject.toml; ARGS=--upgrade takes newer versions
	@$(PIP) install 'uv>=0.9,<1'
	@scripts/lock $(BIN)/uv $(ARGS)

clean: ## remove what these commands made, but for models and data
	@rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find src tests bench pilot -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

needs:
	@tests/needs --install

moved:

$(VENV)/installed: requirements.lock requirements-build.lock pyproject.toml $(MOVED)
	@scripts/venv $(VENV) "$(PYTHON)"
	@echo "Installing Homeport into $(VENV) …"
	@$(PIP) install --require-hashes -r requirements.lock -r requirements-build.lock
	@$(PIP) install --no-deps --no-build-isolation --no-index --editable .
	@printf '%s' "$(CURDIR)" > $@

$(VENV)/tested: $(VENV)/installed requirements-dev.lock
	@echo "Installing what the tests need into $(VENV) …"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@
