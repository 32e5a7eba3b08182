"""Shared fixtures: every test starts from the same random state; TensorFlow-only tests are skipped elsewhere."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest

# Warnings are errors (setup.cfg); these come from other people's code and nothing here can change them.
FOREIGN_WARNINGS = (
    # Keras 3 variables on TensorFlow, under numpy 2, whenever one is turned into an array (so at every save).
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning",
)


def pytest_configure(config):
    for line in FOREIGN_WARNINGS:
        config.addinivalue_line("filterwarnings", line)


def pytest_collection_modifyitems(items):
    if keras.backend.backend() == "tensorflow":
        return
    for item in items:
        if "tensorflow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="needs the TensorFlow backend"))


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(0)


@pytest.fixture
def rng():
    return np.random.default_rng(0)
