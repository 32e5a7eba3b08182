"""Where layers get their uniform noise from: one seam, so that an exporter can put another source in."""

import contextlib

import keras
from keras import ops

RANDOM_STATE = "random_state"


def _keras_uniform(shape, seed_generator):
    return keras.random.uniform(shape, seed=seed_generator)


_source = _keras_uniform


def uniform_like(x, seed_generator):
    """Uniform numbers in [0, 1) of the shape of `x`, in its dtype."""
    return ops.cast(_source(ops.shape(x), seed_generator), x.dtype)


@contextlib.contextmanager
def noise_source(function):
    """Draw noise by `function(shape, seed_generator)` inside the block; the previous source comes back after it."""
    global _source
    previous, _source = _source, function
    try:
        yield
    finally:
        _source = previous


class SavesRandomState:
    """Mixed in front of a Keras layer with a `seed_generator`: a loaded layer draws what the saved one would have.

    Keras itself saves only weights, so random layers would start their sequence anew.
    """

    def save_own_variables(self, store):
        super().save_own_variables(store)
        store[RANDOM_STATE] = self.seed_generator.state

    def load_own_variables(self, store):
        if RANDOM_STATE in store.keys():
            self.seed_generator.state.assign(store[RANDOM_STATE])
        super().load_own_variables({name: store[name] for name in store.keys() if name != RANDOM_STATE})
