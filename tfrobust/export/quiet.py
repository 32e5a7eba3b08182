"""Keeping the chatter of converter and interpreter from the user."""

import contextlib
import logging
import os
import warnings


@contextlib.contextmanager
def quiet():
    """Silence Python warnings, TensorFlow's logger, and what C++ code prints to standard error, inside the block."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    stderr = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        logger.setLevel(level)
