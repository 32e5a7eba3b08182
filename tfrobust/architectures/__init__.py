"""The papers' networks. Each takes a quantization policy; a model's name is `<architecture>[_<quantization>…]`."""

import functools
import re

from tfrobust import checks
from tfrobust.architectures.cifar import convnet, nin
from tfrobust.architectures.low_precision import conv3, logistic, mlp_spheres
from tfrobust.architectures.mnist import cnn_large, cnn_small, lenet, mlp
from tfrobust.architectures.plain import alexnet, vgg16
from tfrobust.architectures.policy import Policy
from tfrobust.architectures.resnet import resnet
from tfrobust.architectures.wide_resnet import wide_resnet

ARCHITECTURES = {  # <argument> stands for a whole number
    "lenet": lenet,
    "mlp": mlp,
    "cnn_small": cnn_small,
    "cnn_large": cnn_large,
    "logistic": logistic,
    "mlp_spheres": mlp_spheres,
    "conv3": conv3,
    "convnet": convnet,
    "nin": nin,
    "alexnet": alexnet,
    "vgg16": vgg16,
    "resnet<depth>": resnet,
    "resnet<depth>x<filters>": resnet,
    "wide_resnet<depth>_<width>": wide_resnet,
}

__all__ = [
    "ARCHITECTURES",
    "Policy",
    "alexnet",
    "build",
    "cnn_large",
    "cnn_small",
    "conv3",
    "convnet",
    "find",
    "lenet",
    "logistic",
    "mlp",
    "mlp_spheres",
    "nin",
    "resnet",
    "split_name",
    "vgg16",
    "wide_resnet",
]


def find(name):
    """The function that builds an architecture, with the numbers in its name filled in; None if there is none.

    Example:
        >>> find("resnet18x16").keywords
        {'depth': 18, 'filters': 16}
    """
    for key, architecture in ARCHITECTURES.items():
        if match := re.fullmatch(re.sub(r"<(\w+)>", r"(?P<\1>\\d+)", key), name):
            return functools.partial(architecture, **{k: int(v) for k, v in match.groupdict().items()})
    return None


def split_name(name):
    """Split a model's name into its architecture and its `Policy`.

    Raises:
        ValueError: no architecture begins the name, or the rest is no quantization.

    Example:
        >>> split_name("cnn_large_sqa")
        ('cnn_large', Policy(activation='sqa', kernel=None, input=None, dropout=0.0, gradient=None))
    """
    parts = name.split("_")
    for n in range(len(parts), 0, -1):
        architecture, rest = "_".join(parts[:n]), "_".join(parts[n:])
        if find(architecture):
            return architecture, Policy.from_suffix(rest) if n < len(parts) else Policy()
    known = checks.listing(name.rsplit("_", 1)[0], ARCHITECTURES)
    raise ValueError(f"a model's name must begin with an architecture: {known}. Received: {name!r}")


def build(name, **kwargs):
    """Build an untrained network from its name.

    Args:
        name: `<architecture>[_<quantization>…]`, e.g. `"lenet_dqa2"`, `"lenet_in1_dqa2"`, `"lenet_w2_mcd"`,
            `"resnet18_w1a2g6"`, `"wide_resnet28_10_sqa"`.
        **kwargs: passed to the architecture, e.g. `input_shape`, `classes`.

    Returns:
        `keras.Model` from images in [0, 1] to logits.

    Raises:
        ValueError: an unknown architecture or quantization.

    Example:
        >>> build("lenet_dqa2").name
        'lenet_dqa2'
    """
    architecture, policy = split_name(name)
    return find(architecture)(policy, name=name, **kwargs)
