"""AlexNet and VGG16, the substitutes of the DQA paper's black-box attacks."""

import keras

from tfrobust.architectures import blocks, colour
from tfrobust.architectures.policy import Policy

VGG16_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # filters and convolutions of each stage


def alexnet(policy=Policy(), input_shape=colour.CIFAR, classes=10, mean=colour.MEAN, std=colour.STD, name="alexnet"):
    """AlexNet in one tower, without local response normalization.

    Images of 128 x 128 and more get the published layout: conv11-64 of stride 4, conv5-192, conv3-384, conv3-256,
    conv3-256, overlapping pooling after the first, second and fifth, dense 4096 twice. Smaller ones (our reading, the
    paper does not say): conv3-64 of stride 1, 2x2 pooling at the same places, dense 1024 twice. The published dropout
    is left to the policy.

    Args:
        policy: a `Policy`.
        input_shape: `(height, width, channels)`, at least 8 x 8.
        classes: number of logits.
        mean, std: what pixels are standardised by inside the model, one number or one per channel.
        name: name of the Keras model.

    Returns:
        `keras.Model` from images in [0, 1] to logits.

    Raises:
        ValueError: `mean` or `std` that does not fit the channels.

    Example:
        >>> alexnet(Policy("dqa2")).output_shape
        (None, 10)

    Reference:
        A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet Classification with Deep Convolutional Neural Networks",
        NIPS 2012; one tower as in A. Krizhevsky, "One Weird Trick for Parallelizing Convolutional Neural Networks",
        arXiv 2014.
    """
    images, large = keras.Input(input_shape, name="images"), colour.is_large(input_shape)
    x, policy = colour.standardized(images, policy, mean, std)
    size, strides, window, units = (11, 4, 3, 4096) if large else (3, 1, 2, 1024)
    for position, (filters, kernel_size) in enumerate(((64, size), (192, 5), (384, 3), (256, 3), (256, 3))):
        settings = {"padding": "same", "strides": strides if position == 0 else 1}
        x = blocks.conv(x, policy, filters, kernel_size, position, **settings)
        if position in (0, 1, 4):
            x = keras.layers.MaxPooling2D(window, 2, name=f"pool_{position + 1}")(x)
        x = blocks.activate(x, policy, position)
    x = keras.layers.Flatten(name="flatten")(x)
    for position in (5, 6):
        x = blocks.dense_activate(x, policy, units, position)
    return keras.Model(images, blocks.logits(x, classes), name=name)


def vgg16(policy=Policy(), input_shape=colour.CIFAR, classes=10, mean=colour.MEAN, std=colour.STD, name="vgg16"):
    """VGG with 13 convolutions, each with batch normalization, and dense layers.

    Batch normalization takes the place of the convolutions' biases, as in today's reference weights; without it a
    network this deep hardly starts to train. Images of 128 x 128 and more get the published head, dense 4096 twice;
    smaller ones only the readout of the last stage's mean (our reading). The published dropout is left to the policy.

    Args:
        policy: a `Policy`.
        input_shape: `(height, width, channels)`, at least 32 x 32.
        classes: number of logits.
        mean, std: what pixels are standardised by inside the model, one number or one per channel.
        name: name of the Keras model.

    Returns:
        `keras.Model` from images in [0, 1] to logits.

    Raises:
        ValueError: `mean` or `std` that does not fit the channels.

    Example:
        >>> vgg16(Policy("sqa")).output_shape
        (None, 10)

    Reference:
        K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015;
        S. Ioffe, C. Szegedy, "Batch Normalization", ICML 2015.
    """
    images, large = keras.Input(input_shape, name="images"), colour.is_large(input_shape)
    x, policy = colour.standardized(images, policy, mean, std)
    position = 0
    for filters, convolutions in VGG16_STAGES:
        for last in range(convolutions - 1, -1, -1):
            x = blocks.conv_norm(x, policy, filters, 3, position)
            if last == 0:
                x = keras.layers.MaxPooling2D(2, name=f"pool_{position + 1}")(x)
            x = blocks.activate(x, policy, position)
            position += 1
    if not large:
        return keras.Model(images, colour.readout(x, classes), name=name)
    x = keras.layers.Flatten(name="flatten")(x)
    for position in (13, 14):
        x = blocks.dense_activate(x, policy, 4096, position)
    return keras.Model(images, blocks.logits(x, classes), name=name)
