# Two commands set everything up on a machine with Python 3.10 or newer: `make demo` and `make test` (`make test-all` adds the slow tests).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export TF_CPP_MIN_LOG_LEVEL ?= 3
# Two processes: much of a test's time is one thread's, building graphs.
PARALLEL := -n 2 --dist worksteal

.PHONY: install demo test test-all lint benchmarks notebooks clean

install: $(VENV)/.installed

$(VENV)/.installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

demo: install
	$(BIN)/tfrobust demo

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# What must hold on either backend is held to the same tables on Keras's JAX backend.
ON_JAX := test_quantizers test_layers test_architectures test_architecture_sizes test_large_architectures test_surgery \
  test_summary test_norms_losses test_training test_free_training test_deep_defense test_handover

test: MARKED := -m "not slow"
test test-all: lint
	$(BIN)/python -m pytest $(PARALLEL) $(MARKED)
	KERAS_BACKEND=jax $(BIN)/python -m pytest $(PARALLEL) $(MARKED) $(ON_JAX:%=tests/%.py)

benchmarks: install
	$(BIN)/python benchmarks/steps.py
	$(BIN)/python benchmarks/attacks.py
	$(BIN)/python benchmarks/uncertainty.py
	$(BIN)/python benchmarks/tflite.py

clean:
	rm -rf $(VENV) build dist *.egg-info
