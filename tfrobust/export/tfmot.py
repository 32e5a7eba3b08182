"""A bridge to tfmot: this package's quantizers in quantization-aware training on tf_keras, pruning, and the way back.

Importing this module imports tfmot; nothing else in the package does.
"""

import keras
import numpy as np
import tensorflow as tf
import tf_keras

from tfrobust import checks, data as datasets
from tfrobust.attacks import Victim
from tfrobust.export.quiet import import_tfmot
from tfrobust.export.twin import TwinActivation, counterparts, quantized, rebuild, twin, twins
from tfrobust.quantizers import DQAQuantizer, get
from tfrobust.training import Standard
from tfrobust.training.defenses import AbstractDefense
from tfrobust.types import Bounds

__all__ = [
    "ActivationQuantizer",
    "KernelQuantizer",
    "QuantizeConfig",
    "copy_back",
    "fine_tune",
    "prune",
    "quantize_aware",
    "twin",
]

tfmot = import_tfmot()
quantization = tfmot.quantization.keras
LOSS = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")  # examples weigh 1 together
MOVED = 1 - 0.999  # share of the way to a batch's range that tfmot moves a range in one training pass
BITS_8 = {"num_bits": 8, "per_axis": False}


class _Before8Bits:
    """Mixed in front of a tfmot quantizer of 8 bits: a quantizer of this package first; 8 bits hold its values."""

    def __init__(self, quantizer, **settings):
        super().__init__(**settings)
        self.quantizer = get(quantizer)

    def build(self, tensor_shape, name, layer):
        weights = super().build(tensor_shape, name, layer)
        if isinstance(self.quantizer, DQAQuantizer):
            _order_weights(layer)
            shape = (2**self.quantizer.bits,)
            weights["spacing"] = layer.add_weight(f"{name}_spacing", shape=shape, initializer="zeros")
        return weights

    def __call__(self, inputs, training, weights, **kwargs):
        if self.quantizer is not None:
            inputs = quantized(self.quantizer, inputs, weights.get("spacing"))
        return super().__call__(inputs, training, weights, **kwargs)

    def get_config(self):
        return {**super().get_config(), "quantizer": keras.saving.serialize_keras_object(self.quantizer)}


def _order_weights(wrapper):
    """List the weights of a wrapped layer before those of its quantizers.

    tfmot lists a bias first or last, as the layer is built before or after its wrapper: a file would load in disorder.
    """
    listed = {id(weight) for weight in wrapper._trainable_weights}
    wrapper._trainable_weights += [w for w in wrapper.layer.trainable_weights if id(w) not in listed]


@tf_keras.utils.register_keras_serializable("tfrobust")
class KernelQuantizer(_Before8Bits, quantization.quantizers.LastValueQuantizer):
    """tfmot quantizer for kernels: one of this package's, then 8 bits of the range that it gives.

    Args:
        quantizer: a name such as `"binary"`, a quantizer object, or None for 8 bits alone.
    """

    def __init__(self, quantizer=None, **settings):
        super().__init__(quantizer, **{**BITS_8, "symmetric": True, "narrow_range": True, **settings})


@tf_keras.utils.register_keras_serializable("tfrobust")
class ActivationQuantizer(_Before8Bits, quantization.quantizers.MovingAverageQuantizer):
    """tfmot quantizer for activations: one of this package's (DQA's thresholds are trained), then 8 bits.

    Args:
        quantizer: a name such as `"dqa2"`, a quantizer object, or None for 8 bits alone.
    """

    def __init__(self, quantizer=None, **settings):
        super().__init__(quantizer, **{**BITS_8, "symmetric": False, "narrow_range": False, **settings})


@tf_keras.utils.register_keras_serializable("tfrobust")
class QuantizeConfig(quantization.QuantizeConfig):
    """tfmot's description of a layer: which of this package's quantizers its kernel and its output pass through.

    Args:
        kernel: quantizer of `layer.kernel`, by name or as an object; None leaves 8 bits, `False` no quantization.
        activation: the same for the layer's output, after its activation function.

    Example:
        >>> annotate = tfmot.quantization.keras.quantize_annotate_layer
        >>> layer = annotate(tf_keras.layers.Dense(10, input_shape=(4,)), QuantizeConfig("binary", "dqa2"))
        >>> with tfmot.quantization.keras.quantize_scope():
        ...     model = tfmot.quantization.keras.quantize_apply(tf_keras.Sequential([layer]))
        >>> len(model.layers[-1].trainable_weights)  # kernel, bias, DQA's thresholds
        3

    Reference:
        B. Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
        Inference", CVPR 2018, for the 8 bits.
    """

    def __init__(self, kernel=None, activation=None):
        self.kernel = kernel if kernel is False else KernelQuantizer(kernel)
        self.activation = activation if activation is False else ActivationQuantizer(activation)

    def get_weights_and_quantizers(self, layer):
        return [] if self.kernel is False else [(layer.kernel, self.kernel)]

    def get_activations_and_quantizers(self, layer):
        del layer
        return []

    def set_quantize_weights(self, layer, quantize_weights):
        if quantize_weights:
            (layer.kernel,) = quantize_weights

    def set_quantize_activations(self, layer, quantize_activations):
        pass

    def get_output_quantizers(self, layer):
        del layer
        return [] if self.activation is False else [self.activation]

    def get_config(self):
        parts = {"kernel": self.kernel, "activation": self.activation}
        serialize = keras.saving.serialize_keras_object
        return {name: part if part is False else serialize(part.quantizer) for name, part in parts.items()}


def quantize_aware(model, images):
    """A tf_keras model of a network of this package for quantization-aware training in 8 bits, through tfmot.

    Formula: every kernel and every activation is `q_8(q(v))`, with q the network's own quantizer if it has one there.

    Args:
        model: `keras.Model`, see `twin`.
        images: images in [0, 1], `[n, height, width, channels]`, from which the ranges of the 8 bits are taken (tfmot
            alone begins with -6 to 6, and needs thousands of steps to leave that).

    Returns:
        `tf_keras.Model` with the same weights, to be trained on (`fine_tune`) and exported (`to_tflite`).

    Raises:
        ValueError: a layer without counterpart in tf_keras, or images outside [0, 1].

    Example:
        >>> from tfrobust import architectures, data
        >>> quantize_aware(architectures.build("mlp_dqa2"), data.load("digits", n=8).pixels()).output_shape
        (None, 10)

    Reference:
        TensorFlow Model Optimization Toolkit, https://www.tensorflow.org/model_optimization.
    """
    images = checks.images(images, Bounds())
    annotated = rebuild(model, _annotated)
    with quantization.quantize_scope():
        aware = quantization.quantize_apply(annotated)
    _set_ranges(aware, images)
    return aware


def _set_ranges(model, images):
    """Set the ranges of activations to those of `images`, layer after layer: each needs the ones before it."""
    normalizations = [layer for layer in model.submodules if isinstance(layer, tf_keras.layers.BatchNormalization)]
    statistics = [layer.get_weights() for layer in normalizations]
    learn = tf.function(lambda: model(images, training=True))
    for layer in model.layers:
        ends = [weight for weight in layer.non_trainable_weights if _is_range(weight.name)]
        for end in ends:
            end.assign(0.0)
        if ends:
            learn()
        takes_all = isinstance(getattr(layer, "quantizer", None), quantization.quantizers.AllValuesQuantizer)
        for end in ends:
            end.assign(end if takes_all else end / MOVED)
    for layer, weights in zip(normalizations, statistics, strict=True):
        layer.set_weights(weights)


def _is_range(name):
    """Whether a weight is an end of a range of activations (those of kernels follow the kernel by themselves)."""
    return name.endswith(("_min:0", "_max:0")) and "kernel" not in name


def _annotated(layer):
    """The layer's counterparts, each with what tfmot shall do to it."""
    *before, last = counterparts(layer)
    kernel = getattr(layer, "kernel_quantizer", None)
    return [*map(_annotate, before), _annotate(last, QuantizeConfig(kernel) if kernel is not None else None)]


def _annotate(layer, config=None):
    if isinstance(layer, TwinActivation | tf_keras.layers.BatchNormalization):
        config = QuantizeConfig(kernel=False)
    elif isinstance(layer, tf_keras.layers.Rescaling | tf_keras.layers.Dropout):
        config = QuantizeConfig(kernel=False, activation=False)
    return quantization.quantize_annotate_layer(layer, config)


def fine_tune(model, data, defense=None, *, epochs=1, batch_size=128, learning_rate=1e-4, seed=0, callbacks=()):
    """Train a tf_keras model on, clean or adversarially; what `tfrobust.training.fit` is for Keras 3.

    Args:
        model: `tf_keras.Model` from images in [0, 1] to logits, e.g. of `twin` or `quantize_aware`.
        data: a data set's name (its training split is used) or a `tfrobust.data.Dataset`.
        defense: `Standard()` (None) or `AdversarialTraining(attack, …)`.
        epochs, batch_size: as usual; the rest of a shuffled epoch is left out.
        learning_rate: of Adam, constant.
        seed: seed of order and attacks.
        callbacks: of tf_keras.

    Returns:
        Mean loss of each epoch, as a list.

    Raises:
        ValueError: a count below 1, more images in a batch than there are, or a defense with an objective of its own.

    Example:
        >>> from tfrobust import architectures, data
        >>> model = quantize_aware(architectures.build("mlp"), data.load("digits", n=8).pixels())
        >>> len(fine_tune(model, data.load("digits", "train", 64), batch_size=32))
        1

    Reference:
        A. Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks", ICLR 2018.
    """
    defense = Standard() if defense is None else defense
    data = datasets.load(data, "train") if isinstance(data, str) else data
    checks.count(epochs, "epochs")
    checks.count(batch_size, "batch_size")
    checks.require(batch_size <= len(data), f"batch_size must be at most {len(data)}.", batch_size=batch_size)
    is_plain = type(defense).objective is AbstractDefense.objective and defense.replays == 1
    checks.require(is_plain, "defense must be Standard or AdversarialTraining.", defense=defense)
    model.compile(tf_keras.optimizers.Adam(learning_rate), LOSS)
    return list(_losses(model, data, defense, epochs, batch_size, seed, callbacks))


def _losses(model, data, defense, epochs, batch_size, seed, callbacks):
    """Train, and give the mean loss of each epoch; `model.fit` would make examples before the steps they are for."""
    call = tf.function(lambda x: model(x, training=False), reduce_retracing=True)
    victim = Victim(call, data.pixels(slice(0, 4)), eot=1)
    steps, hooks = len(data) // batch_size, tf_keras.callbacks.CallbackList(list(callbacks), model=model)
    hooks.on_train_begin()
    for epoch in range(epochs):
        hooks.on_epoch_begin(epoch)
        rng, losses = np.random.default_rng([seed, epoch]), []
        order = rng.permutation(len(data))[: steps * batch_size].reshape(steps, batch_size)
        for step, index in enumerate(order):
            hooks.on_train_batch_begin(step)
            made = defense.examples(victim, data.pixels(index), data.labels[index], rng, epoch + step / steps)
            losses.append(float(model.train_on_batch(*made)))
            hooks.on_train_batch_end(step)
        hooks.on_epoch_end(epoch)
        yield float(np.mean(losses))
    hooks.on_train_end()


def prune(model, data, sparsity=0.5, **settings):
    """Set the smallest weights of a network's float kernels to zero through tfmot, while it trains on.

    Formula: in each kernel the `sparsity` smallest `|w|` are 0.

    Args:
        model: `keras.Model`, see `twin`; kernels with a quantizer of their own stay as they are.
        data: see `fine_tune`.
        sparsity: share of zeros, in (0, 1).
        **settings: further arguments of `fine_tune`.

    Returns:
        None; the model's weights are changed in place, ready for `to_tflite`.

    Raises:
        ValueError: `sparsity` outside (0, 1), no kernel to prune, or an argument that `fine_tune` refuses.

    Example:
        >>> from tfrobust import architectures, data
        >>> model = architectures.build("mlp")
        >>> prune(model, data.load("digits", "train", 64), 0.75, batch_size=32)
        >>> round(float((np.asarray(model.get_layer("dense_1").kernel) == 0).mean()), 2)
        0.75

    Reference:
        M. Zhu, S. Gupta, "To Prune, or Not to Prune: Exploring the Efficacy of Pruning for Model Compression", 2017.
    """
    checks.require(0 < sparsity < 1, "sparsity must lie in (0, 1).", sparsity=sparsity)
    schedule = tfmot.sparsity.keras.ConstantSparsity(sparsity, begin_step=0, frequency=1)
    found = []

    def convert(layer):
        *before, last = twins(layer)
        if type(last) in (tf_keras.layers.Conv2D, tf_keras.layers.Dense):
            found.append(layer.name)
            last = tfmot.sparsity.keras.prune_low_magnitude(last, pruning_schedule=schedule)
        return [*before, last]

    pruned = rebuild(model, convert)
    checks.require(found, "the model must have a convolution or dense layer with a float kernel.", model=model.name)
    fine_tune(pruned, data, callbacks=[tfmot.sparsity.keras.UpdatePruningStep()], **settings)
    copy_back(tfmot.sparsity.keras.strip_pruning(pruned), model)


def copy_back(twin, model):
    """Give a Keras 3 model the weights of its twin, trained on in the meantime."""
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(twin.get_layer(layer.name).get_weights())
