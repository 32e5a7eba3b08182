"""Residual networks, made for ImageNet or for CIFAR-10."""

import keras

from tfrobust import checks
from tfrobust.architectures import blocks, colour, residual
from tfrobust.architectures.policy import Policy

BASIC, BOTTLENECK = "basic", "bottleneck"
RESNETS = {  # depth: block, blocks of each stage, filters of the first stage, whether shortcuts have weights
    18: (BASIC, (2, 2, 2, 2), 64, True),
    34: (BASIC, (3, 4, 6, 3), 64, True),
    50: (BOTTLENECK, (3, 4, 6, 3), 64, True),
    101: (BOTTLENECK, (3, 4, 23, 3), 64, True),
    20: (BASIC, (3, 3, 3), 16, False),
    56: (BASIC, (9, 9, 9), 16, False),
}


def resnet(
    policy=Policy(),
    depth=18,
    filters=None,
    input_shape=colour.CIFAR,
    classes=10,
    mean=colour.MEAN,
    std=colour.STD,
    name=None,
):
    """Residual network: `resnet18`, `34`, `50`, `101` (made for ImageNet) and `resnet20`, `56` (made for CIFAR-10).

    Images below 128 x 128 get a 3x3 stem of stride 1 without pooling, larger ones 7x7 of stride 2 and pooling. The last
    convolution of the stem, of each block's branch and of each shortcut ends in batch normalization. Layers are named
    by stage and block as in the paper: `conv_2_1_a` is the first convolution of stage 2's first block.

    Args:
        policy: a `Policy`; its activation follows the stem, the branch's inner convolutions, and each sum; `"sqa"`
            quantizes behind the stem (2 levels) and behind the first block (3 levels).
        depth: 18, 20, 34, 50, 56 or 101.
        filters: filters of the first stage; None is the paper's 64 (16 for depths 20 and 56).
        input_shape: `(height, width, channels)`.
        classes: number of logits.
        mean, std: what pixels are standardised by inside the model, one number or one per channel.
        name: name of the Keras model; None is `resnet<depth>`, with `x<filters>` where `filters` is given.

    Returns:
        `keras.Model` from images in [0, 1], `[batch, *input_shape]`, to logits `[batch, classes]`.

    Raises:
        ValueError: an unknown depth, `filters` below 1, or `mean` or `std` that does not fit the channels.

    Example:
        >>> resnet(Policy("dqa2"), depth=20, filters=2).output_shape
        (None, 10)

    Reference:
        K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning for Image Recognition", CVPR 2016; as in the DQA paper
        (depth 18) and the SQA paper (34 and 101).
    """
    checks.one_of(depth, "depth", RESNETS)
    kind, stages, usual, has_projection = RESNETS[depth]
    width = usual if filters is None else checks.count(filters, "filters")
    images, large = keras.Input(input_shape, name="images"), colour.is_large(input_shape)
    x, policy = colour.standardized(images, policy, mean, std)
    x = colour.stem_pool(colour.stem(x, policy, width, large), large)
    x = blocks.activate(x, policy, position=0)
    for stage, block, strides in residual.blocks_of(stages):
        label, position = f"{stage + 2}_{block + 1}", 1 if stage == block == 0 else None
        branch = BRANCHES[kind](x, policy, width * 2**stage, strides, label)
        shape = branch.shape[-1], strides, label
        shortcut = _projected(x, policy, *shape) if has_projection else residual.padded(x, *shape)
        x = keras.layers.Add(name=f"add_{label}")([branch, shortcut])
        x = blocks.activate(x, policy, position, label)
    name = name or f"resnet{depth}" + (f"x{filters}" if filters else "")
    return keras.Model(images, colour.readout(x, classes), name=name)


def _basic(x, policy, filters, strides, label):
    x = blocks.conv_norm(x, policy, filters, 3, strides=strides, label=f"{label}_a")
    x = blocks.activate(x, policy, label=f"{label}_a")
    return blocks.conv_norm(x, policy, filters, 3, label=f"{label}_b")


def _bottleneck(x, policy, filters, strides, label):
    """The 3x3 convolution takes the stride, as in today's reference weights (the paper: the first 1x1)."""
    x = blocks.conv_norm(x, policy, filters, 1, label=f"{label}_a")
    x = blocks.activate(x, policy, label=f"{label}_a")
    x = blocks.conv_norm(x, policy, filters, 3, strides=strides, label=f"{label}_b")
    x = blocks.activate(x, policy, label=f"{label}_b")
    return blocks.conv_norm(x, policy, 4 * filters, 1, label=f"{label}_c")


BRANCHES = {BASIC: _basic, BOTTLENECK: _bottleneck}


def _projected(x, policy, filters, strides, label):
    """Shortcut by a 1x1 convolution where the shape changes."""
    if x.shape[-1] == filters and strides == 1:
        return x
    return blocks.conv_norm(x, policy, filters, 1, strides=strides, label=f"{label}_shortcut")
