# recsys-zoo: `make demo` and `make test` are all it takes; the environment in .venv makes itself on first use.
# It needs Python 3.10 to 3.13 and make, nothing else. On Linux without a GPU, UV_TORCH_BACKEND=cpu saves gigabytes.

BIN := .venv/bin
STAMP := .venv/.installed
SUITABLE := import ensurepip, sys, venv; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))

# uv reads its own variable for folders of local wheels, separated by commas.
empty :=
space := $(empty) $(empty)
comma := ,
ifneq ($(strip $(PIP_FIND_LINKS)),)
export UV_FIND_LINKS ?= $(subst $(space),$(comma),$(strip $(PIP_FIND_LINKS)))
endif

.PHONY: help demo test lint bench clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' Makefile

demo: $(STAMP) ## Synthetic data, three models trained, compared and asked for recommendations
	$(BIN)/recsys demo

test: $(STAMP) ## Run the tests; options for pytest go into ARGS, as in make test ARGS="-k ranking"
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile $(ARGS)

lint: $(STAMP) ## Check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP) ## Run every script in benchmarks/, one after another
	@set -e; for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python "$$script"; done

clean: ## Remove the environment and all caches; your data and runs stay
	rm -rf .venv build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find recsys tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# Written last, so that an interrupted installation is taken up again; a change of either file brings .venv up to date.
# Bytecode is compiled at once, as pip does: a command that imports Lightning then starts 8 s sooner the first time.
# RecBole comes without its requirements: one of them, ray<=2.6.3, installs only on Python 3.10 and 3.11.
$(STAMP): pyproject.toml constraints.txt
	@started=$$(date +%s); \
	if ! $(BIN)/python -c 'import pip; $(SUITABLE)' >/dev/null 2>&1; then \
		for python in $(PYTHON) python3 python3.12 python3.11 python3.13 python3.10 none; do \
			if "$$python" -c '$(SUITABLE)' >/dev/null 2>&1; then break; fi; \
		done; \
		if [ "$$python" = none ]; then \
			echo "No Python 3.10 to 3.13 with venv and ensurepip here. Install one (Debian, Ubuntu: python3-venv)" >&2; \
			echo "or name it: make PYTHON=/path/to/python3.12 ..." >&2; \
			exit 1; \
		fi; \
		"$$python" -m venv --clear .venv || exit 1; \
	fi; \
	echo "Installing into .venv with $$($(BIN)/python --version) ..."; \
	if $(BIN)/python -m pip install -q -c constraints.txt uv \
		&& $(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[dev]' \
		&& $(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python -c constraints.txt --no-deps recbole; \
	then installer=uv; \
	else \
		echo "uv could not do it; going on with pip, which takes a few minutes ..." >&2; \
		$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]' \
			&& $(BIN)/python -m pip install -q -c constraints.txt --no-deps recbole || exit 1; \
		installer=pip; \
	fi; \
	megabytes=$$(($$(du -sk .venv | cut -f 1) / 1024)); \
	echo "Installed in $$(($$(date +%s) - started)) s with $$installer; .venv takes $$megabytes MB."; \
	touch $@
