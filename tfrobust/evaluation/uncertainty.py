"""Monte-Carlo estimates: what many passes of a random model say together, and how far they differ."""

import functools
import itertools
import weakref
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from tfrobust import checks, layers
from tfrobust.types import Bounds

IMAGES_AT_ONCE = 500  # bounds the memory: a chunk's activations, and its probabilities in all passes
MASKS_BY_BYTE = 2 * np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype("float32")  # [byte, bit]

_compiled = weakref.WeakKeyDictionary()  # model -> its compiled passes, which die with it


class Uncertainty(NamedTuple):
    """What many passes say of each image.

    `summed` is the softmax summed over the passes, `[n, classes]`; `predicted`, its largest class, and `variance`, the
    variance of the softmax over the passes, mean over the classes, are `[n]`.
    """

    summed: np.ndarray
    predicted: np.ndarray
    variance: np.ndarray


def uncertainty(model, x, passes=50, seed=0):
    """Ask a model many times, and measure how far its answers differ.

    Formula: with `p_k = softmax(f_k(x))` the class is `argmax_c sum_k p_kc`, the uncertainty
    `mean_c (1/K sum_k (p_kc - mean_k p_kc)^2)`. A network with dropout draws masks for each image; random weights are
    drawn once per pass for all images of a chunk, as in any batch. What precedes a network's first random layer is
    computed once.

    Args:
        model: `keras.Model` from images to logits, or any other callable, which is called as it is; one that draws
            nothing has variance 0.
        x: images in [0, 1], `[n, height, width, channels]`.
        passes: K, at least 1.
        seed: seed of the draws of `tfrobust.layers`; the model's own random state stays as it is.

    Returns:
        `Uncertainty`.

    Raises:
        ValueError: `passes` below 1, images outside [0, 1], or a model that returns no logits.

    Example:
        >>> from tfrobust import architectures, data
        >>> images = data.load("digits", n=4).pixels()
        >>> found = uncertainty(architectures.build("lenet_mcd"), images, passes=10)
        >>> found.summed.sum(axis=1).round(3).tolist(), bool((found.variance > 0).all())
        ([10.0, 10.0, 10.0, 10.0], True)

    Reference:
        Y. Guan, "Adversarial Example Defense and Detection using Quantized Neural Networks with Inference Time
        Dropout", University of Toronto, ECE1784 report, eq. 12.
    """
    x = checks.images(x, Bounds(0.0, 1.0))
    checks.count(passes, "passes")
    sample = _passes_of(model) if isinstance(model, keras.Model) else _called_passes(model)
    parts = []
    for start in range(0, len(x), IMAGES_AT_ONCE):
        chunk = x[start : start + IMAGES_AT_ONCE]
        parts.append(_estimate(np.asarray(sample(chunk, passes, (seed, start))), len(chunk)))
    return Uncertainty(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _estimate(logits, images):
    """`Uncertainty` from the logits of all passes, `[passes, images, classes]`."""
    checks.logits(logits[0], images)
    probabilities = np.asarray(ops.softmax(logits))
    summed = probabilities.sum(axis=0)
    return Uncertainty(summed, summed.argmax(axis=-1), probabilities.var(axis=0).mean(axis=-1))


def _called_passes(model):
    """All passes of a callable, one after the other."""
    return lambda x, passes, key: np.stack([np.asarray(model(x)) for _ in range(passes)])


def _passes_of(model):
    """All passes of a Keras model, which draw from a seed."""
    return _compiled_passes(model) if keras.backend.backend() == "tensorflow" else _drawn_passes(model)


def _drawn_passes(model):
    """All passes, one after the other, on any backend."""

    def sample(x, passes, key):
        generator = keras.random.SeedGenerator(int(np.random.SeedSequence(key).generate_state(1)[0] >> 1))
        with layers.noise_source(lambda shape, _: keras.random.uniform(shape, seed=generator)):
            return np.stack([ops.convert_to_numpy(model(x)) for _ in range(passes)])

    return sample


def _compiled_passes(model):
    """`(images, passes, key) -> logits [passes, images, classes]` as one graph, compiled once per model."""
    if model not in _compiled:
        import tensorflow as tf

        fixed, rest = _split(model)

        @tf.function(autograph=False, reduce_retracing=True)
        def sample(x, passes, key):
            start = fixed(x)

            def one(index):
                with layers.noise_source(_Stateless(tf.random.experimental.stateless_fold_in(key, index))):
                    return rest(start)

            return tf.map_fn(one, tf.range(passes), fn_output_signature=tf.float32)

        _compiled[model] = lambda x, passes, key: sample(tf.constant(x), tf.constant(passes), tf.constant(key))
    return _compiled[model]


class _Stateless:
    """A source of noise that draws from `key` and the number of the draw in the network, and from no state."""

    def __init__(self, key):
        self.key, self.draws = key, itertools.count()

    def __call__(self, shape, seed_generator):
        import tensorflow as tf

        del seed_generator
        return tf.random.stateless_uniform(shape, self._next_key())

    def dropout_mask(self, shape, rate):
        """At rate 1/2 one bit per unit: numbers for each took 40 % of the time of `lenet_mcd`."""
        if rate != 0.5:
            return None
        import tensorflow as tf

        size = tf.reduce_prod(shape)
        words = tf.random.stateless_uniform([(size + 31) // 32], self._next_key(), None, None, tf.int32)
        eighths = tf.gather(MASKS_BY_BYTE, tf.cast(tf.bitcast(words, tf.uint8), tf.int32))  # one lookup per byte
        return tf.reshape(tf.reshape(eighths, [-1])[:size], shape)

    def _next_key(self):
        import tensorflow as tf

        return tf.random.experimental.stateless_fold_in(self.key, next(self.draws))


def _split(model):
    """The model as two functions: what precedes its first random layer (nothing if it is no chain), and the rest."""
    chain = _chain(model)
    if chain is None:
        weak = weakref.proxy(model)
        return _in_turn([]), lambda x: weak(x)
    first = next((place for place, layer in enumerate(chain) if _may_draw(layer)), len(chain))
    return _in_turn(chain[:first]), _in_turn(chain[first:])


def _in_turn(chain):
    return lambda x: functools.reduce(lambda x, layer: layer(x), chain, x)


def _chain(model):
    """A model's layers if each takes the output of the one before, else None."""
    chain = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    try:
        given = [layer.input for layer in chain] + [model.output]
        made = [model.input] + [layer.output for layer in chain]
    except (AttributeError, ValueError):  # what Keras raises for a layer in no graph, and for one in several places
        return None
    return chain if all(a is b for a, b in zip(given, made, strict=True)) else None


def _may_draw(layer):
    """Whether a layer's output may differ from pass to pass; of a layer of unknown make it is assumed."""
    if isinstance(layer, layers.QuantConv2D | layers.QuantDense):
        return any(getattr(quantizer, "random", False) for quantizer in (layer.input_quantizer, layer.kernel_quantizer))
    is_known = type(layer).__module__.startswith(("keras.", "tfrobust.")) and not isinstance(layer, keras.Model)
    return not is_known or len(layer.variables) > len(layer.weights)  # a random state is no weight
