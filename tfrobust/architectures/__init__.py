"""The papers' networks. Each takes a quantization policy; a model's name is `<architecture>[_<quantization>…]`."""

from tfrobust import checks
from tfrobust.architectures.mnist import cnn_large, cnn_small, lenet, mlp
from tfrobust.architectures.policy import Policy

ARCHITECTURES = {"lenet": lenet, "mlp": mlp, "cnn_small": cnn_small, "cnn_large": cnn_large}

__all__ = ["ARCHITECTURES", "Policy", "build", "cnn_large", "cnn_small", "lenet", "mlp", "split_name"]


def split_name(name):
    """Split a model's name into its architecture and its `Policy`.

    Raises:
        ValueError: no architecture begins the name, or the rest is no quantization.

    Example:
        >>> split_name("cnn_large_sqa")
        ('cnn_large', Policy(activation='sqa', kernel=None, input=None))
    """
    for architecture in sorted(ARCHITECTURES, key=len, reverse=True):
        if name == architecture:
            return architecture, Policy()
        if name.startswith(architecture + "_"):
            return architecture, Policy.from_suffix(name[len(architecture) + 1 :])
    known = checks.listing(name.rsplit("_", 1)[0], ARCHITECTURES)
    raise ValueError(f"a model's name must begin with an architecture: {known}. Received: {name!r}")


def build(name, **kwargs):
    """Build an untrained network from its name.

    Args:
        name: `<architecture>[_<quantization>…]`, e.g. `"lenet_dqa2"`, `"lenet_in1_dqa2"`.
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
    return ARCHITECTURES[architecture](policy, name=name, **kwargs)
