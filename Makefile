# Two commands set everything up on a machine with Python 3.10 or newer: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export TF_CPP_MIN_LOG_LEVEL ?= 3
# Two processes: much of a test's time is one thread's, building graphs.
PARALLEL := -n 2 --dist worksteal

.PHONY: install demo test lint benchmarks notebooks clean

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

# The second run holds what has no backend of its own to the same tables on Keras's JAX backend.
test: lint
	$(BIN)/python -m pytest $(PARALLEL)
	KERAS_BACKEND=jax $(BIN)/python -m pytest $(PARALLEL) tests/test_quantizers.py tests/test_layers.py \
	  tests/test_architectures.py tests/test_architecture_sizes.py tests/test_large_architectures.py \
	  tests/test_surgery.py tests/test_summary.py tests/test_norms_losses.py tests/test_training.py tests/test_free_training.py

benchmarks: install
	$(BIN)/python benchmarks/steps.py
	$(BIN)/python benchmarks/attacks.py
	$(BIN)/python benchmarks/uncertainty.py
	$(BIN)/python benchmarks/tflite.py

clean:
	rm -rf $(VENV) build dist *.egg-info
