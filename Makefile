# Every target makes what it needs, so each can be the first one that you run, and a second run is
# instant. The environment is .venv; its versions are those of constraints.txt.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# pip's own account goes to a file; what a person needs to know is one sentence.
INSTALL = @$(PIP) install -q -c constraints.txt $(1) >.venv/pip.log 2>&1 || { \
  grep -m 1 ERROR .venv/pip.log >&2; \
  echo "actgrad: could not install $(1). This needs a package index: a network, or pip's settings for a" \
    "mirror (PIP_INDEX_URL) or a folder of wheels (PIP_FIND_LINKS). All that pip said: .venv/pip.log" >&2; \
  exit 1; }
FUZZ ?= 20000
DATA ?= ../shared/data
TRAININGS_ARGS ?=
EXTRAS ?=
DEMO_EXTRAS := tensorflow-cpu,keras,workbench
TEST_EXTRAS := tensorflow-cpu,torch,jax,keras,onnx,workbench,dask,test
TEST_ARGS ?=
BENCH_ARGS ?=
# The tests start Python some hundred times, and each start would compile the package anew without bytecode.
BYTECODE := PYTHONDONTWRITEBYTECODE=
# A file at a time, in the order that tests/conftest.py gives them: by number of tests, files of few long ones
# would be the last.
PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder
DEMO_ARGS ?= examples/spiky.py:spiky --data digits --output runs/demo --overwrite

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Two pips in one environment at the same time break it, also under `make -j`.
.NOTPARALLEL:
.PHONY: help setup integrations demo test test-gpu bench-gpu test-all coverage lint bench trainings fuzz docs package clean

help:
	@echo "make setup   an environment with everything, for working on actgrad"
	@echo "make demo    train a network on real images with an activation of your own"
	@echo "make test    the tests; 7 to 15 minutes (TEST_ARGS='-k name' chooses)"
	@echo "make integrations   install the libraries that take an activation; their tests then run too"
	@echo "make test-all   those that are exhaustive too; 40 minutes"
	@echo "make coverage   how much of the package the tests run, in per cent"
	@echo "make lint    ruff and mypy"
	@echo "make bench   measure speed and memory; half an hour   (BENCH_ARGS=--quick, or '--only torch builtins')"
	@echo "make test-gpu, bench-gpu   the same on a GPU   (PYTHON_GPU=python of an environment with PyTorch for it)"
	@echo "make trainings   train on MNIST and Fashion-MNIST; an hour   (DATA=folder, TRAININGS_ARGS=...)"
	@echo "make fuzz    random programs against Python  (FUZZ=20000 sets how many)"
	@echo "make modes   run every mode of every framework, and write docs/modes.md"
	@echo "make docs    build the documentation into site/"
	@echo "make package build wheel and sdist, and try them in clean environments  (EXTRAS='core torch')"
	@echo "make clean   remove everything that these made"
	@echo "PYTHON=python3.12 chooses the interpreter (3.11 or newer); now: $(PYTHON)"

# One stamp for each set of packages, made again when pyproject.toml or constraints.txt has changed.
READY := .venv/.ready
NEEDS := pyproject.toml constraints.txt | $(READY)

$(READY):
	@command -v $(PYTHON) >/dev/null || { \
	  echo "actgrad: '$(PYTHON)' was not found. Install Python 3.11 or newer, or name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "actgrad: needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

$(READY)-demo: $(NEEDS)
	@echo "Installing TensorFlow, Keras and what the command needs (once; some minutes)."
	$(call INSTALL,-e '.[$(DEMO_EXTRAS)]')
	@touch $@

# First, alone and pinned: a looser request, also through another package, may bring a newer build
# with gigabytes of GPU libraries.
$(READY)-torch: $(NEEDS)
	@echo "Installing PyTorch (once; some minutes)."
	$(call INSTALL,torch==2.13.0)
	@touch $@

$(READY)-test: $(READY)-torch $(NEEDS)
	@echo "Installing the other frameworks and the test tools (once; some minutes)."
	$(call INSTALL,-e '.[$(TEST_EXTRAS)]')
	@touch $@

# Libraries that take an activation: in the tests, and to measure beside. PyTorch is named again so that
# none of them brings another. Some are installed alone: three ask for torchvision, which they use here for
# nothing, and whose usual build does not go with PyTorch's for the CPU; Brevitas asks for an old setuptools,
# rational-activations for PyTorch 1.7. Of yolov5 one file is used, which needs PyTorch alone. timm cannot do
# without torchvision, which would break transformers: these two have a folder of their own.
$(READY)-integrations: $(READY)-test $(NEEDS)
	@echo "Installing the libraries that take an activation (once; some minutes)."
	$(call INSTALL,torch==2.13.0 -e '.[integrations]')
	$(call INSTALL,--no-deps snntorch spikingjelly norse executorch ruamel.yaml brevitas rational-activations yolov5)
	$(call INSTALL,--no-deps --upgrade --target .venv/apart timm torchvision)
	@touch $@

$(READY)-lint: $(NEEDS)
	$(call INSTALL,-e '.[lint]')
	@touch $@

$(READY)-docs: $(NEEDS)
	$(call INSTALL,-e '.[docs]')
	@touch $@

setup: $(READY)-test $(READY)-lint $(READY)-docs
	@echo "Ready: $(BIN)/python, $(BIN)/actgrad"

# With these, `make test` also runs the tests that need them.
integrations: $(READY)-integrations

demo: $(READY)-demo
	TF_CPP_MIN_LOG_LEVEL=3 KERAS_BACKEND=tensorflow $(BIN)/actgrad train $(DEMO_ARGS)

test: $(READY)-test
	$(BYTECODE) TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python -m pytest $(PARALLEL) $(TEST_ARGS)

test-all: $(READY)-integrations
	$(BYTECODE) TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python -m pytest $(PARALLEL) -m "not gpu" $(TEST_ARGS)

# How much of the package the tests run, in per cent of lines and branches; half an hour.
coverage: $(READY)-integrations
	$(BYTECODE) TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python -m pytest $(PARALLEL) -m "not gpu" --cov --cov-report= $(TEST_ARGS)
	$(BIN)/python -m coverage report --format=total

lint: $(READY)-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)-integrations
	TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python benchmarks/run.py $(BENCH_ARGS)

# On the machine's GPU, with an environment that has a build of PyTorch for it: PYTHON_GPU=path
PYTHON_GPU ?= $(BIN)/python

test-gpu: $(READY)-test
	$(PYTHON_GPU) -m pytest -m gpu tests/devices $(TEST_ARGS)

bench-gpu: $(READY)-test
	$(PYTHON_GPU) benchmarks/gpu.py $(BENCH_ARGS)

# What is finished is kept: started again, it goes on.
trainings: $(READY)-test
	$(BIN)/python benchmarks/trainings.py --data $(DATA) --output runs/trainings $(TRAININGS_ARGS)

fuzz: $(READY)-test
	ACTGRAD_FUZZ=$(FUZZ) $(BIN)/python -m pytest -n auto -m "not gpu" tests/fuzz tests/agreement $(TEST_ARGS)
	$(BIN)/python benchmarks/ulp.py --print

modes: $(READY)-test
	@mkdir -p build && rm -f build/modes
	ACTGRAD_MODES=$(CURDIR)/build/modes $(BYTECODE) TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python -m pytest $(PARALLEL) \
	  -m "not gpu" tests/frameworks --deselect tests/frameworks/test_modes_page.py $(TEST_ARGS)
	$(BIN)/python -m tests.modes build/modes

docs: $(READY)-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

package:
	$(PYTHON) .ci/package $(EXTRAS)

clean:
	rm -rf .venv build dist site runs .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
