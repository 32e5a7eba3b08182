"""The twin of a Keras 3 model in tf_keras (Keras 2), which tfmot needs: same weights, same logits."""

import functools

import keras
import numpy as np
import tensorflow as tf
import tf_keras

from tfrobust import checks, layers
from tfrobust.layers import graph
from tfrobust.layers.activations import thresholds
from tfrobust.layers.noise import RANDOM_STATE, SavesRandomState, uniform_like
from tfrobust.layers.preparation import drop
from tfrobust.quantizers import DQAQuantizer, get

SAME_ARGUMENTS = {  # Keras 3 layer -> those of its arguments that its namesake in tf_keras takes too
    "Conv2D": ("filters", "kernel_size", "strides", "padding", "use_bias"),
    "Dense": ("units", "use_bias"),
    "BatchNormalization": ("axis", "momentum", "epsilon", "center", "scale"),
    "MaxPooling2D": ("pool_size", "strides", "padding"),
    "AveragePooling2D": ("pool_size", "strides", "padding"),
    "ZeroPadding2D": ("padding", "data_format"),
    "Rescaling": ("scale", "offset"),
    "Dropout": ("rate",),
    **{name: () for name in ("Add", "Concatenate", "Flatten", "GlobalAveragePooling2D", "ReLU")},
}
KERNELS = {"QuantConv2D": "Conv2D", "QuantDense": "Dense"}  # layer of this package -> the Keras layer under it


def twin(model):
    """Rebuild a model in tf_keras.

    Formula: `twin(x) = model(x)`, up to rounding (for random layers: where they are given the same noise; each draws
    from a state of its own, with its layer's seed).

    Args:
        model: functional or sequential `keras.Model` of the layers that the architectures of this package use.

    Returns:
        `tf_keras.Model` with the same weights; latent kernels and DQA's thresholds can be trained on.

    Raises:
        ValueError: a model of tf_keras already, or a layer without counterpart; it is named.

    Example:
        >>> from tfrobust import architectures
        >>> twin(architectures.build("mlp_dqa2")).output_shape
        (None, 10)

    Reference:
        tf_keras, the continuation of Keras 2, https://github.com/keras-team/tf-keras.
    """
    return rebuild(model, twins)


def rebuild(model, convert):
    """A tf_keras model wired and weighted as `model` is, of the layers that `convert` gives for each of its layers.

    The weights of a layer go to the last of them.
    """
    is_foreign = isinstance(model, tf_keras.Model)
    message = "the model must be one of Keras 3; prepare one of tf_keras by tfmot's quantize_annotate_layer."
    checks.require(not is_foreign, message, model=getattr(model, "name", model))
    graph.check(model)
    known = {}  # a layer that is called twice stays one layer

    def call(layer, *args, **kwargs):
        if id(layer) not in known:
            known[id(layer)] = layer, convert(layer)
        return functools.reduce(lambda value, made: made(value), known[id(layer)][1], *args)

    inputs = [tf_keras.Input(x.shape[1:], dtype=x.dtype) for x in model.inputs]
    built = tf_keras.Model(inputs, graph.run(model, inputs, call), name=model.name)
    for layer, made in known.values():
        if layer.weights:
            made[-1].set_weights(layer.get_weights())
    return built


def counterparts(layer):
    """The tf_keras layers that do what a layer does, but for the quantizer of its kernel, which stays latent.

    Raises:
        ValueError: there are none.
    """
    kind = type(layer).__name__
    base = KERNELS.get(kind, kind)
    rounds_inputs = kind in KERNELS and layer.input_quantizer is not None
    seed = getattr(layer, "seed", None)
    before = [TwinActivation(layer.input_quantizer, seed=seed, name=f"{layer.name}_input")] if rounds_inputs else []
    if base in SAME_ARGUMENTS and _is_plain(layer, SAME_ARGUMENTS[base]):
        arguments = {name: layer.get_config()[name] for name in SAME_ARGUMENTS[base]}
        return [*before, getattr(tf_keras.layers, base)(**arguments, name=layer.name)]
    if isinstance(layer, layers.Standardize):
        mean, std = np.array(layer.mean), np.array(layer.std)
        return [tf_keras.layers.Rescaling((1 / std).tolist(), (-mean / std).tolist(), name=layer.name)]
    if graph.is_quantized_activation(layer):
        sets = layer.spacing.shape[1:] if isinstance(layer, layers.DQA) else ()
        is_random = getattr(layer, "stochastic", "always") == "always"
        return [TwinActivation(layer.quantizer, sets, is_random, seed=seed, name=layer.name)]
    if isinstance(layer, layers.MCDropout):
        return [TwinDropout(layer.rate, seed=seed, name=layer.name)]
    if isinstance(layer, layers.QuantizedGradient):  # does nothing at inference; fine-tuning keeps float gradients
        return [tf_keras.layers.Activation("linear", name=layer.name)]
    known = ", ".join(sorted(SAME_ARGUMENTS))
    raise ValueError(f"a layer must have a counterpart in tf_keras ({known}). Received: {layer.name!r}, a {kind}")


def _is_plain(layer, given):
    """Whether no argument that the counterpart is not given differs from what it takes for granted."""
    usual = {"groups": 1, "dilation_rate": (1, 1), "data_format": "channels_last", "activation": "linear"}
    usual |= {"negative_slope": 0.0, "max_value": None, "threshold": 0.0, "keepdims": False}
    config = layer.get_config()
    return all(name in given or config.get(name, value) == value for name, value in usual.items())


def twins(layer):
    """The tf_keras layers that do what a layer does."""
    *before, last = counterparts(layer)
    quantizer = getattr(layer, "kernel_quantizer", None)
    if quantizer is not None:
        last = TWINS[type(last)](kernel_quantizer=quantizer, seed=layer.seed, **last.get_config())
    return [*before, last]


def quantized(quantizer, x, seed_generator, spacing=None):
    """`x` after a quantizer, on tensors of tf_keras; one that is random rounds to nearest without a `seed_generator`.

    `spacing` are the numbers that DQA trains.
    """
    x = tf.convert_to_tensor(x)
    if spacing is not None:
        return quantizer(x, thresholds=thresholds(tf.convert_to_tensor(spacing)))
    draws = quantizer.random and seed_generator is not None
    return quantizer(x, uniform_like(x, seed_generator) if draws else None)


def generator(owner, seed, name=RANDOM_STATE):
    """A `SeedGenerator` whose state belongs to a tf_keras layer, but is none of its weights."""
    made = keras.random.SeedGenerator(seed)
    # A SavedModel must own each variable that its functions change, and every public way makes it a weight.
    owner._track_trackable(made.state.value, name)
    return made


class Draws(SavesRandomState):
    """Mixed in front of a tf_keras layer: a random state of its own, saved with the layer, but none of its weights."""

    def __init__(self, *args, seed=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.seed = seed
        self.seed_generator = generator(self, seed)

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}


@tf_keras.utils.register_keras_serializable("tfrobust")
class TwinActivation(Draws, tf_keras.layers.Layer):
    """A quantizer as a tf_keras layer; `sets` is the shape of DQA's sets of thresholds."""

    def __init__(self, quantizer, sets=(), is_random=True, **kwargs):
        super().__init__(**kwargs)
        self.quantizer = get(quantizer)
        self.sets, self.is_random, self.spacing = tuple(sets), is_random, None

    def build(self, input_shape):
        if isinstance(self.quantizer, DQAQuantizer):
            shape = (2**self.quantizer.bits, *self.sets)
            self.spacing = self.add_weight(name="spacing", shape=shape, initializer="zeros")
        super().build(input_shape)

    def call(self, inputs):
        return quantized(self.quantizer, inputs, self.seed_generator if self.is_random else None, self.spacing)

    def get_config(self):
        own = {"quantizer": keras.saving.serialize_keras_object(self.quantizer), "sets": self.sets}
        return {**super().get_config(), **own, "is_random": self.is_random}


class QuantizesKernel(Draws):
    """Mixed in front of a tf_keras layer with a kernel: its quantizer, by name or as an object."""

    def __init__(self, *args, kernel_quantizer, **kwargs):
        super().__init__(*args, **kwargs)
        self.kernel_quantizer = get(kernel_quantizer)

    def quantized(self, kernel):
        return quantized(self.kernel_quantizer, kernel, self.seed_generator)

    def get_config(self):
        return {**super().get_config(), "kernel_quantizer": keras.saving.serialize_keras_object(self.kernel_quantizer)}


@tf_keras.utils.register_keras_serializable("tfrobust")
class TwinConv2D(QuantizesKernel, tf_keras.layers.Conv2D):
    """A tf_keras convolution with a quantized kernel."""

    def convolution_op(self, inputs, kernel):
        return super().convolution_op(inputs, self.quantized(kernel))


@tf_keras.utils.register_keras_serializable("tfrobust")
class TwinDense(QuantizesKernel, tf_keras.layers.Dense):
    """A tf_keras dense layer with a quantized kernel."""

    def call(self, inputs):
        outputs = tf.matmul(inputs, self.quantized(self.kernel))
        return self.activation(outputs if self.bias is None else outputs + self.bias)


@tf_keras.utils.register_keras_serializable("tfrobust")
class TwinDropout(Draws, tf_keras.layers.Layer):
    """Dropout that stays on."""

    def __init__(self, rate, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate

    def call(self, inputs):
        return drop(inputs, uniform_like(inputs, self.seed_generator), self.rate)

    def get_config(self):
        return {**super().get_config(), "rate": self.rate}


TWINS = {tf_keras.layers.Conv2D: TwinConv2D, tf_keras.layers.Dense: TwinDense}
