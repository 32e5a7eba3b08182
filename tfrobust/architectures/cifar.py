"""The Deep Defense paper's networks for CIFAR-10."""

import keras

from tfrobust.architectures import blocks, colour
from tfrobust.architectures.policy import Policy


def convnet(policy=Policy(), input_shape=colour.CIFAR, classes=10, mean=colour.MEAN, std=colour.STD, name="convnet"):
    """ConvNet: conv5-32, max pool 2, conv5-32, average pool 2, conv5-64, average pool 2, conv4-64, logits.

    The first three convolutions pad the image, the fourth covers all that is left of it and is written as a dense
    layer, which has the same weights (our reading: only so do the tabulated sizes meet).

    Args:
        policy: a `Policy`; its activation follows each hidden layer, in the first after pooling.
        input_shape: `(height, width, channels)`, at least 8 x 8.
        classes: number of logits.
        mean, std: what pixels are standardised by inside the model, one number or one per channel.
        name: name of the Keras model.

    Returns:
        `keras.Model` from images in [0, 1], `[batch, *input_shape]`, to logits `[batch, classes]`.

    Raises:
        ValueError: `mean` or `std` that does not fit the channels.

    Example:
        >>> convnet(Policy("dqa2")).output_shape
        (None, 10)

    Reference:
        Z. Yan, Y. Guo, C. Zhang, "Deep Defense: Training DNNs with Improved Adversarial Robustness", NeurIPS 2018,
        table 4.
    """
    images = keras.Input(input_shape, name="images")
    x, policy = colour.standardized(images, policy, mean, std)
    x = blocks.conv_pool_activate(x, policy, 32, 5, position=0, padding="same")
    for position, filters in ((1, 32), (2, 64)):
        x = blocks.conv_activate(x, policy, filters, 5, position)
        x = keras.layers.AveragePooling2D(2, name=f"pool_{position + 1}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = blocks.dense_activate(x, policy, 64, position=3)
    return keras.Model(images, blocks.logits(x, classes), name=name)


def nin(policy=Policy(), input_shape=colour.CIFAR, classes=10, mean=colour.MEAN, std=colour.STD, name="nin"):
    """Network in network: three stages of one spatial and two 1x1 convolutions, with pooling in between.

    conv5-192, conv1-160, conv1-96, max pool 2; conv5-192, conv1-192, conv1-192, average pool 2; conv3-192, conv1-192,
    conv1-classes, mean over all positions. That last convolution and the mean, both linear, are written the other way
    round: the same function and the same weights, in a readout like every other network's.

    Args:
        policy: a `Policy`; its activation follows each hidden layer (in the third after pooling).
        input_shape: `(height, width, channels)`, at least 4 x 4.
        classes: number of logits.
        mean, std: what pixels are standardised by inside the model, one number or one per channel.
        name: name of the Keras model.

    Returns:
        `keras.Model` from images in [0, 1], `[batch, *input_shape]`, to logits `[batch, classes]`.

    Raises:
        ValueError: `mean` or `std` that does not fit the channels.

    Example:
        >>> nin(Policy("fixed2")).output_shape
        (None, 10)

    Reference:
        M. Lin, Q. Chen, S. Yan, "Network In Network", ICLR 2014; widths of Z. Yan, Y. Guo, C. Zhang, "Deep Defense:
        Training DNNs with Improved Adversarial Robustness", NeurIPS 2018, table 4.
    """
    images = keras.Input(input_shape, name="images")
    x, policy = colour.standardized(images, policy, mean, std)
    x = blocks.conv_activate(x, policy, 192, 5, position=0)
    x = blocks.conv_activate(x, policy, 160, 1, position=1)
    x = blocks.conv_pool_activate(x, policy, 96, 1, position=2)
    for position, kernel_size in ((3, 5), (4, 1), (5, 1)):
        x = blocks.conv_activate(x, policy, 192, kernel_size, position)
    x = keras.layers.AveragePooling2D(2, name="pool_6")(x)
    for position, kernel_size in ((6, 3), (7, 1)):
        x = blocks.conv_activate(x, policy, 192, kernel_size, position)
    return keras.Model(images, colour.readout(x, classes), name=name)
