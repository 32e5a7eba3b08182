"""The pieces that architectures are put together from; a policy decides which quantizers they carry."""

import re

from keras import layers as keras_layers

from tfrobust import layers

SQA_LEVELS = (2, 3)  # after the first and the second activation (lambda = 1 and 2 in the paper)


def activate(x, policy, position):
    """The activation after the `position`-th hidden layer (from 0) under `policy`."""
    name, bits = re.fullmatch(r"([a-z]+)(\d*)", policy.activation).groups()
    label = f"activation_{position + 1}"
    if name == "dqa":
        return layers.DQA(int(bits), name=label)(x)
    if name == "fixed":
        return layers.FixedQuantizedActivation(int(bits), name=label)(x)
    x = keras_layers.ReLU(name=label)(x)
    if name == "sqa" and position < len(SQA_LEVELS):
        x = layers.SQA(SQA_LEVELS[position], name=f"sqa_{position + 1}")(x)
    return x


def conv(x, policy, filters, kernel_size, position, padding="valid"):
    """Convolution; the network's first one (position 0) stays float."""
    kernel = None if position == 0 else policy.kernel
    label = f"conv_{position + 1}"
    return layers.QuantConv2D(filters, kernel_size, padding=padding, kernel_quantizer=kernel, name=label)(x)


def conv_pool_activate(x, policy, filters, kernel_size, position, padding="valid"):
    """Convolution, 2x2 max pooling, activation.

    Pooling comes first: for a monotone activation (ReLU, DQA) the function is the same, at a quarter of the
    activations, and the gradient goes to the largest input instead of to the first of many equal levels.
    """
    x = conv(x, policy, filters, kernel_size, position, padding)
    x = keras_layers.MaxPooling2D(2, name=f"pool_{position + 1}")(x)
    return activate(x, policy, position)


def dense_activate(x, policy, units, position, is_first=False):
    """Hidden dense layer and activation."""
    kernel = None if is_first else policy.kernel
    x = layers.QuantDense(units, kernel_quantizer=kernel, name=f"dense_{position + 1}")(x)
    return activate(x, policy, position)


def logits(x, classes):
    """The float readout layer."""
    return keras_layers.Dense(classes, name="logits")(x)
