"""A bridge to tfmot: this package's quantizers in quantization-aware training on tf_keras, pruning, and the way back.

Importing this module imports tfmot; nothing else in the package does.
"""

import numpy as np
import tensorflow as tf
import tf_keras

from tfrobust import checks, data as datasets
from tfrobust.attacks import Victim
from tfrobust.export.tfmot_config import ActivationQuantizer, KernelQuantizer, QuantizeConfig, quantization, tfmot
from tfrobust.export.twin import TwinActivation, TwinDropout, counterparts, rebuild, twin, twins
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
    "set_ranges",
    "twin",
]

LOSS = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")  # examples weigh 1 together
MOVED = 1 - 0.999  # share of the way to a batch's range that tfmot moves a range in one training pass


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
        ValueError: a layer without counterpart in tf_keras, or images outside [0, 1] or of another shape.

    Example:
        >>> from tfrobust import architectures, data
        >>> quantize_aware(architectures.build("mlp_dqa2"), data.load("digits", n=8).pixels()).output_shape
        (None, 10)

    Reference:
        TensorFlow Model Optimization Toolkit, https://www.tensorflow.org/model_optimization.
    """
    annotated = rebuild(model, _annotated)
    with quantization.quantize_scope():
        aware = quantization.quantize_apply(annotated)
    set_ranges(aware, images)
    return aware


def _require_shape(model, shape):
    expected = tuple(model.input_shape[1:])
    checks.require(shape == expected, f"images must have the model's input shape {expected}.", shape=shape)


def set_ranges(model, images):
    """Set the ranges of a model's 8-bit activations to those that images give.

    For a model that tfmot's `quantize_apply` made; `quantize_aware` does so itself. tfmot begins with -6 to 6, beyond
    which logits are cut off.

    Args:
        model: `tf_keras.Model` of tfmot's layers; its ranges are changed.
        images: images in [0, 1], `[n, height, width, channels]`.

    Raises:
        ValueError: images outside [0, 1] or of another shape than the model's input.

    Example:
        >>> from tfrobust import data
        >>> scheme = tfmot.quantization.keras
        >>> layers = [tf_keras.layers.Flatten(input_shape=(28, 28, 1)), tf_keras.layers.Dense(10)]
        >>> model = scheme.quantize_model(tf_keras.Sequential(layers))
        >>> set_ranges(model, data.load("digits", n=8).pixels())

    Reference:
        B. Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
        Inference", CVPR 2018.
    """
    images = checks.images(images, Bounds())
    _require_shape(model, images.shape[1:])
    normalizations = [layer for layer in model.submodules if isinstance(layer, tf_keras.layers.BatchNormalization)]
    statistics = [layer.get_weights() for layer in normalizations]
    learn = tf.function(lambda: model(images, training=True))
    for layer in model.layers:  # one after the other: each needs the ranges before it
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
    return [*map(_annotate, before), _annotate(last, kernel and QuantizeConfig(kernel, seed=layer.seed))]


def _annotate(layer, config=None):
    if isinstance(layer, TwinActivation | tf_keras.layers.BatchNormalization):
        config = QuantizeConfig(kernel=False)
    elif isinstance(layer, tf_keras.layers.Rescaling | tf_keras.layers.Dropout | TwinDropout):
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
        ValueError: a model of Keras 3, data of another kind or shape, a count below 1, more images in a batch than
            there are, a learning rate that is not positive, or a defense with an objective of its own.

    Example:
        >>> from tfrobust import architectures, data
        >>> model = quantize_aware(architectures.build("mlp"), data.load("digits", n=8).pixels())
        >>> len(fine_tune(model, data.load("digits", "train", 64), batch_size=32))
        1

    Reference:
        A. Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks", ICLR 2018.
    """
    defense = Standard() if defense is None else defense
    message = (
        "the model must be one of tf_keras, as twin and quantize_aware give (tfrobust.training.fit takes Keras 3)."
    )
    checks.require(isinstance(model, tf_keras.Model), message, model=getattr(model, "name", model))
    data = datasets.load(data, "train") if isinstance(data, str) else data
    is_data = isinstance(data, datasets.Dataset)
    checks.require(is_data, "data must be a data set's name or a tfrobust.data.Dataset.", type=type(data).__name__)
    _require_shape(model, data.images.shape[1:])
    for value, name, least in ((epochs, "epochs", 1), (batch_size, "batch_size", 1), (seed, "seed", 0)):
        checks.count(value, name, least)
    checks.require(learning_rate > 0, "learning_rate must be positive.", learning_rate=learning_rate)
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
