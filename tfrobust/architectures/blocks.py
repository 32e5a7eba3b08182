"""The pieces that architectures are put together from; a policy decides which quantizers they carry."""

import re

import keras
from keras import layers as keras_layers

from tfrobust import layers, quantizers
from tfrobust.layers.changes import SQA_LEVELS

BOUNDED = ("dqa", "fixed", "dorefa")  # activations


def activate(x, policy, position=None, label=None):
    """The activation after the `position`-th hidden layer (from 0) under `policy`, and the dropout after that.

    Residual networks give a `label` for the layers' names, and a position only where it is 0 or 1: those get SQA.
    """
    label = _label(position, label)
    x = _activation(x, policy, position, label)
    return layers.MCDropout(policy.dropout, name=f"dropout_{label}")(x) if policy.dropout else x


def _label(position, label):
    return position + 1 if label is None else label


def _activation(x, policy, position, label):
    kind, bits = re.fullmatch(r"(\w+?)(\d*)", policy.activation).groups()
    name = f"activation_{label}"
    if kind == "dqa":
        return layers.DQA(int(bits), name=name)(x)
    if kind == "fixed":
        return layers.FixedQuantizedActivation(int(bits), name=name)(x)
    if kind == "dorefa_activations":
        return layers.QuantizedActivation(policy.activation, name=name)(x)
    x = keras_layers.ReLU(name=name)(x)
    if kind == "sqa" and position in range(len(SQA_LEVELS)):
        x = layers.SQA(SQA_LEVELS[position], name=f"sqa_{label}")(x)
    return x


def conv(x, policy, filters, kernel_size, position=None, padding="valid", *, label=None, **settings):
    """Convolution; the network's first one (position 0) keeps a float kernel and gets the images.

    `label` as for `activate`; `settings` are those of a Keras convolution.
    """
    label, is_first = _label(position, label), position == 0
    inputs = x.shape[-1] * kernel_size**2
    settings = {"padding": padding, "name": f"conv_{label}", **settings, **_quantizers(policy, is_first)}
    x = layers.QuantConv2D(filters, kernel_size, **settings)(x)
    return _passed_on(x, policy, inputs, label, is_first)


def norm(x, label):
    """Batch normalization with the settings that residual networks were published with."""
    return keras_layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"norm_{label}")(x)


def conv_norm(x, policy, filters, kernel_size, position=None, *, label=None, strides=1):
    """Convolution over padded images and batch normalization, whose bias makes one of the convolution idle."""
    label = _label(position, label)
    settings = {"padding": "same", "label": label, "strides": strides, "use_bias": False}
    return norm(conv(x, policy, filters, kernel_size, position, **settings), label)


def conv_activate(x, policy, filters, kernel_size, position, padding="same", **settings):
    """Convolution and activation."""
    return activate(conv(x, policy, filters, kernel_size, position, padding, **settings), policy, position)


def conv_pool_activate(x, policy, filters, kernel_size, position, padding="valid"):
    """Convolution, 2x2 max pooling, activation.

    Pooling comes first: for a monotone activation (ReLU, DQA) the function is the same, at a quarter of the
    activations, and the gradient goes to the largest input instead of to the first of many equal levels.
    """
    x = conv(x, policy, filters, kernel_size, position, padding)
    x = keras_layers.MaxPooling2D(2, name=f"pool_{position + 1}")(x)
    return activate(x, policy, position)


def dense(x, policy, units, position, is_first=False):
    """Hidden dense layer."""
    inputs = x.shape[-1]
    x = layers.QuantDense(units, name=f"dense_{position + 1}", **_quantizers(policy, is_first))(x)
    return _passed_on(x, policy, inputs, position + 1, is_first)


def dense_activate(x, policy, units, position, is_first=False):
    """Hidden dense layer and activation."""
    return activate(dense(x, policy, units, position, is_first), policy, position)


def _quantizers(policy, is_first):
    """What `policy` says about a hidden layer with weights."""
    quantized = {"input_quantizer": policy.input} if is_first else {"kernel_quantizer": policy.kernel}
    return {"kernel_initializer": _start(policy, is_first)[0], **quantized}


def _passed_on(x, policy, inputs, label, is_first):
    """Outputs of a layer, brought to the size that they have in the float network; the gradient may be quantized."""
    gain = _start(policy, is_first)[1]
    if gain is not None:
        x = keras_layers.Rescaling(gain * inputs**-0.5, name=f"scale_{label}")(x)
    if policy.gradient and not is_first:
        x = layers.QuantizedGradient(policy.gradient, name=f"gradient_{label}")(x)
    return x


def _start(policy, is_first):
    """`(initial kernel, gain)` of a hidden layer: its outputs are multiplied by gain / sqrt(inputs), if by anything.

    Our reading, as the MC-dropout paper's networks hardly train without (LeNet with binary weights and dropout, after
    234 steps on MNIST: 12 % right, with it 87 %): a quantized weight is as large in a wide layer as in a narrow one,
    and the usual start's weights round to 0 in 2 to 4 bits, nearly all of them. So k-bit kernels start with -1, 0 and 1
    times their step, weights that are drawn with a mean that stands out from their noise.
    """
    quantizer = None if is_first else quantizers.get(policy.kernel)
    if isinstance(quantizer, quantizers.KBit):
        step = 2.0 ** (1 - quantizer.bits)
        return keras.initializers.RandomUniform(-step, step), 2 / step
    if isinstance(quantizer, quantizers.BinaryStochastic):
        return keras.initializers.RandomUniform(-1.0, 1.0), 1.0
    if isinstance(quantizer, quantizers.DoReFaWeights) and quantizer.bits > 1:
        return _initializer(policy), 2.0  # weights of deviation about 1/2, however small the float ones
    return _initializer(policy), 1.0 if isinstance(quantizer, quantizers.Binary) else None


def _initializer(policy):
    """Initial float kernels.

    Quantizers over [-1, 1] need inputs of about that size. With Keras's default the first convolution of LeNet feeds
    DQA values of deviation 0.11 (MNIST, at the start), 99.6 % of them between the outer thresholds, where the
    pseudo-gradient is nearly a straight line, and training ends in a network that hides its gradient
    (zoo/recipes/LOG.md has the figures); with this start the deviation is 0.57.
    """
    return "he_normal" if policy.activation.startswith(BOUNDED) else "glorot_uniform"


def logits(x, classes):
    """The float readout layer; in float32 whatever the rest computes in, as losses and attacks live on differences."""
    return keras_layers.Dense(classes, dtype="float32", name="logits")(x)
