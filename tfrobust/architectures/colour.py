"""What the networks for colour images share: standardisation inside the model, and the stem for small or large ones."""

import dataclasses

from keras import layers as keras_layers

from tfrobust import checks, layers
from tfrobust.architectures import blocks

CIFAR = (32, 32, 3)
# One number each, near CIFAR-10's (0.47, 0.25) and ImageNet's (0.45, 0.23): so one default serves images of any size
# and number of channels, and a budget in L-infinity is as large in every channel.
MEAN, STD = 0.5, 0.25
LARGE = 128  # pixels, from which on images get the stem for ImageNet (our reading: 32 and 64 do not, 224 does)


def is_large(input_shape):
    """Whether images of this shape get the stem for ImageNet."""
    return min(input_shape[:2]) >= LARGE


def standardized(images, policy, mean, std):
    """Images after `policy`'s input quantizer, which takes pixels, and standardisation; and the policy for the rest."""
    channels = images.shape[-1]
    for name, value in (("mean", mean), ("std", std)):
        fits = isinstance(value, (int, float)) or len(value) == channels
        checks.require(fits, f"{name} must be one number, or one for each of {channels} channels.", **{name: value})
    if policy.input:
        images = layers.QuantizedActivation(policy.input, name="quantize_images")(images)
    return layers.Standardize(mean, std, name="standardize")(images), dataclasses.replace(policy, input=None)


def stem(x, policy, filters, large, with_norm=True):
    """The first convolution: 3x3, or for large images 7x7 with stride 2; with batch normalization unless told."""
    kernel_size, strides = (7, 2) if large else (3, 1)
    if with_norm:
        return blocks.conv_norm(x, policy, filters, kernel_size, position=0, strides=strides)
    settings = {"padding": "same", "strides": strides, "use_bias": False}
    return blocks.conv(x, policy, filters, kernel_size, position=0, **settings)


def stem_pool(x, large):
    """Halves large images; small ones stay as they are."""
    return keras_layers.MaxPooling2D(3, strides=2, padding="same", name="pool_1")(x) if large else x


def readout(x, classes):
    """The mean over all positions, then the float readout layer."""
    return blocks.logits(keras_layers.GlobalAveragePooling2D(name="mean")(x), classes)
