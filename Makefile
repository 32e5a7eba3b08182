# Two commands set everything up on a machine with Python 3.10 or newer: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export TF_CPP_MIN_LOG_LEVEL ?= 3

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
	$(BIN)/python -m pytest
	KERAS_BACKEND=jax $(BIN)/python -m pytest tests/test_quantizers.py tests/test_layers.py \
	  tests/test_architectures.py tests/test_norms_losses.py

benchmarks: install
	$(BIN)/python benchmarks/steps.py
	$(BIN)/python benchmarks/attacks.py

clean:
	rm -rf $(VENV) build dist *.egg-info
