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


def dropout_mask_like(x, rate):
    """What dropout multiplies `x` by, of its shape and dtype, if the source of noise makes masks itself; else None.

    A mask is 0 with probability `rate`, else `1 / (1 - rate)`.
    """
    draw = getattr(_source, "dropout_mask", None)
    mask = draw(ops.shape(x), rate) if draw else None
    return None if mask is None else ops.cast(mask, x.dtype)


@contextlib.contextmanager
def noise_source(function):
    """Draw noise by `function(shape, seed_generator)` inside the block; the previous source comes back after it.

    A source may also have a method `dropout_mask(shape, rate)`, for masks that cost less than a uniform number per
    unit; it returns None for a `rate` that it has no such masks for.
    """
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
