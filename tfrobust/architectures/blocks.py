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
    """Convolution; the network's first one (position 0) keeps a float kernel and gets the images."""
    settings = _quantizers(policy, is_first=position == 0)
    name = f"conv_{position + 1}"
    return layers.QuantConv2D(filters, kernel_size, padding=padding, name=name, **settings)(x)


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
    x = layers.QuantDense(units, name=f"dense_{position + 1}", **_quantizers(policy, is_first))(x)
    return activate(x, policy, position)


def _quantizers(policy, is_first):
    """What `policy` says about a hidden layer with weights."""
    quantized = {"input_quantizer": policy.input} if is_first else {"kernel_quantizer": policy.kernel}
    return {"kernel_initializer": _initializer(policy), **quantized}


def _initializer(policy):
    """Initial kernels of hidden layers.

    Quantizers over [-1, 1] need inputs of about that size. With Keras's default the first convolution of LeNet feeds
    DQA values of deviation 0.11 (MNIST, at the start), 99.6 % of them between the outer thresholds, where the
    pseudo-gradient is nearly a straight line, and training ends in a network that hides its gradient
    (zoo/recipes/LOG.md has the figures); with this start the deviation is 0.57.
    """
    return "he_normal" if policy.activation.startswith(("dqa", "fixed")) else "glorot_uniform"


def logits(x, classes):
    """The float readout layer."""
    return keras_layers.Dense(classes, name="logits")(x)
