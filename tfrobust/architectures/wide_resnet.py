"""Wide residual networks with pre-activation."""

import keras

from tfrobust import checks
from tfrobust.architectures import blocks, colour, residual
from tfrobust.architectures.policy import Policy


def wide_resnet(
    policy=Policy(),
    depth=28,
    width=10,
    input_shape=colour.CIFAR,
    classes=10,
    mean=colour.MEAN,
    std=colour.STD,
    name=None,
):
    """Wide residual network with pre-activation: `wide_resnet28_10`, `wide_resnet34_10`, `wide_resnet32_10`, ….

    Three stages of n blocks with 16, 32, 64 times `width` filters. A depth of 6n + 4 counts the convolutions of the
    shortcuts, as its authors do; 6n + 2 has none: its shortcuts average positions and pad channels with zeros, as in
    the 32-10 network of Madry et al. (whose leaky ReLU is the policy's activation here).

    Args:
        policy: a `Policy`; `"sqa"` quantizes behind the first block's first activation, the first there is (2 levels),
            and the second block's, the first behind a whole block (3 levels): our reading.
        depth: 6n + 4 or 6n + 2, n at least 1.
        width: factor of the number of filters.
        input_shape: `(height, width, channels)`.
        classes: number of logits.
        mean, std: what pixels are standardised by inside the model, one number or one per channel.
        name: name of the Keras model; None is `wide_resnet<depth>_<width>`.

    Returns:
        `keras.Model` from images in [0, 1], `[batch, *input_shape]`, to logits `[batch, classes]`.

    Raises:
        ValueError: another depth, `width` below 1, or `mean` or `std` that does not fit the channels.

    Example:
        >>> wide_resnet(depth=10, width=1).name
        'wide_resnet10_1'

    Reference:
        S. Zagoruyko, N. Komodakis, "Wide Residual Networks", BMVC 2016; A. Madry et al., "Towards Deep Learning Models
        Resistant to Adversarial Attacks", ICLR 2018, for 32-10.
    """
    checks.require(depth >= 8 and depth % 6 in (2, 4), "depth must be 6n + 4 or 6n + 2, n at least 1.", depth=depth)
    checks.count(width, "width")
    images, large = keras.Input(input_shape, name="images"), colour.is_large(input_shape)
    x, policy = colour.standardized(images, policy, mean, std)
    x = colour.stem_pool(colour.stem(x, policy, 16, large, with_norm=False), large)
    has_projection, n = depth % 6 == 4, depth // 6
    for index, (stage, block, strides) in enumerate(residual.blocks_of((n, n, n))):
        label = f"{stage + 2}_{block + 1}"
        x = _preactivated(x, policy, 16 * width * 2**stage, strides, has_projection, index, label)
    x = blocks.activate(blocks.norm(x, "last"), policy, label="last")
    return keras.Model(images, colour.readout(x, classes), name=name or f"wide_resnet{depth}_{width}")


def _preactivated(x, policy, filters, strides, has_projection, index, label):
    """One block; `index` is its position in the network."""
    active = blocks.activate(blocks.norm(x, f"{label}_a"), policy, index, f"{label}_a")
    branch = _conv(active, policy, filters, 3, f"{label}_a", strides)
    branch = blocks.activate(blocks.norm(branch, f"{label}_b"), policy, label=f"{label}_b")
    branch = _conv(branch, policy, filters, 3, f"{label}_b")
    if x.shape[-1] == filters and strides == 1:
        shortcut = x
    elif has_projection:
        shortcut = _conv(active, policy, filters, 1, f"{label}_shortcut", strides)
    else:
        shortcut = residual.padded(x, filters, strides, label, window=strides)
    return keras.layers.Add(name=f"add_{label}")([branch, shortcut])


def _conv(x, policy, filters, kernel_size, label, strides=1):
    settings = {"padding": "same", "use_bias": False, "strides": strides}
    return blocks.conv(x, policy, filters, kernel_size, label=label, **settings)
