"""The papers' small networks for 28x28 digits."""

import keras

from tfrobust.architectures import blocks
from tfrobust.architectures.policy import Policy

DIGITS = (28, 28, 1)


def lenet(policy=Policy(), input_shape=DIGITS, classes=10, name="lenet"):
    """LeNet: conv5-20, pool2, conv5-50, pool2, dense 500, logits, with an activation after each hidden layer.

    Args:
        policy: a `Policy`; its activation follows both convolutions (after pooling) and the dense layer.
        input_shape: `(height, width, channels)`, at least 16 x 16.
        classes: number of logits.
        name: name of the Keras model.

    Returns:
        `keras.Model` from images in [0, 1], `[batch, *input_shape]`, to logits `[batch, classes]`.

    Example:
        >>> lenet(Policy("dqa2")).count_params() - lenet().count_params()  # 3 x 4 threshold spacings
        12

    Reference:
        Z. Yan, Y. Guo, C. Zhang, "Deep Defense: Training DNNs with Improved Adversarial Robustness", NeurIPS 2018,
        table 4; used for the DQA and MC-dropout papers too (our reading).
    """
    images = keras.Input(input_shape, name="images")
    x = blocks.conv_pool_activate(images, policy, 20, 5, position=0)
    x = blocks.conv_pool_activate(x, policy, 50, 5, position=1)
    x = keras.layers.Flatten(name="flatten")(x)
    x = blocks.dense_activate(x, policy, 500, position=2)
    return keras.Model(images, blocks.logits(x, classes), name=name)


def mlp(policy=Policy(), input_shape=DIGITS, classes=10, name="mlp"):
    """Multilayer perceptron 784-500-150-10.

    Args:
        policy: a `Policy`.
        input_shape: `(height, width, channels)`.
        classes: number of logits.
        name: name of the Keras model.

    Returns:
        `keras.Model` from images in [0, 1] to logits.

    Example:
        >>> mlp().count_params() == 785 * 500 + 501 * 150 + 151 * 10
        True

    Reference:
        Z. Yan, Y. Guo, C. Zhang, "Deep Defense: Training DNNs with Improved Adversarial Robustness", NeurIPS 2018.
    """
    images = keras.Input(input_shape, name="images")
    x = keras.layers.Flatten(name="flatten")(images)
    x = blocks.dense_activate(x, policy, 500, position=0, is_first=True)
    x = blocks.dense_activate(x, policy, 150, position=1)
    return keras.Model(images, blocks.logits(x, classes), name=name)


def _cnn(filters, policy, input_shape, classes, name):
    """Three 3x3 convolutions, each with 2x2 pooling, then a dense layer twice as wide as the last one."""
    images = keras.Input(input_shape, name="images")
    x = images
    for position, width in enumerate(filters):
        x = blocks.conv_pool_activate(x, policy, width, 3, position, padding="same")
    x = keras.layers.Flatten(name="flatten")(x)
    x = blocks.dense_activate(x, policy, 2 * filters[-1], position=len(filters))
    return keras.Model(images, blocks.logits(x, classes), name=name)


def cnn_small(policy=Policy(), input_shape=DIGITS, classes=10, name="cnn_small"):
    """The SQA paper's SMALL network: convolutions of 16, 32, 64 filters and two dense layers.

    Kernel 3, pooling after each convolution and the dense width (2 x 64) are our reading.

    Args:
        policy: a `Policy`; `"sqa"` quantizes after the first (2 levels) and second (3 levels) convolution.
        input_shape: `(height, width, channels)`, at least 8 x 8.
        classes: number of logits.
        name: name of the Keras model.

    Returns:
        `keras.Model` from images in [0, 1] to logits.

    Example:
        >>> cnn_small(Policy("sqa")).output_shape
        (None, 10)

    Reference:
        Anonymous, "Stochastic Quantized Activation: To Prevent Overfitting in Fast Adversarial Training",
        submission under review, section 4.1.
    """
    return _cnn((16, 32, 64), policy, input_shape, classes, name)


def cnn_large(policy=Policy(), input_shape=DIGITS, classes=10, name="cnn_large"):
    """The SQA paper's LARGE network: convolutions of 64, 128, 256 filters and two dense layers.

    Args:
        policy: a `Policy`, as for `cnn_small`.
        input_shape: `(height, width, channels)`, at least 8 x 8.
        classes: number of logits.
        name: name of the Keras model.

    Returns:
        `keras.Model` from images in [0, 1] to logits.

    Example:
        >>> cnn_large(Policy("sqa")).output_shape
        (None, 10)

    Reference:
        Anonymous, "Stochastic Quantized Activation: To Prevent Overfitting in Fast Adversarial Training",
        submission under review, section 4.1.
    """
    return _cnn((64, 128, 256), policy, input_shape, classes, name)
