"""Keeping from the user's process what other packages do to it: their chatter, and tfmot's choice of Keras."""

import contextlib
import logging
import os
import warnings

LEGACY_KERAS = "TF_USE_LEGACY_KERAS"


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


def import_tfmot():
    """Import tfmot, without the variable that it sets: that would turn the whole process's tf.keras into Keras 2."""
    import tensorflow as tf

    _ = tf.keras.layers  # tf.keras is lazy: this decides which Keras it is, by the variable as it is now
    before = os.environ.get(LEGACY_KERAS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import tensorflow_model_optimization
    finally:
        if before is None:
            os.environ.pop(LEGACY_KERAS, None)
        else:
            os.environ[LEGACY_KERAS] = before
    return tensorflow_model_optimization
