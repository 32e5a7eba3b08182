"""The zoo's networks in small, with weights and noise that are the same on every Keras backend.

`KERAS_BACKEND=jax python tests/twins.py FILE.npz` builds and runs each of them and writes its logits.
"""

import os
import re
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import helpers
import keras
import numpy as np

from tfrobust import architectures, data, layers
from tfrobust.zoo import manifest

# Few filters, images a quarter as large, and no more layers than it takes to have every block of the entry's network.
SMALL = {
    "cnn_large": "cnn_small",
    "resnet18": "resnet18x2",
    "resnet34": "resnet18x2",
    "resnet101": "resnet50x2",
    "wide_resnet32_10": "wide_resnet8_1",
}
SMALL_IMAGE = (16, 16, 3)


def names():
    """`{name: image shape}`: one network for each architecture and kind of quantization among the entries."""
    chosen = {}
    for entry in manifest.read().values():
        architecture, _ = architectures.split_name(entry.model)
        small, suffix = SMALL.get(architecture, architecture), entry.model.removeprefix(architecture)
        shape = data.SHAPES[entry.data] if small == architecture else SMALL_IMAGE
        kind = small, re.sub(r"\d", "", suffix.split("g")[0])  # gradients are quantized in training only
        chosen[kind] = small + suffix, shape
    return dict(sorted(chosen.values()))


def filled(name, shape):
    """A network with weights from numpy, of the size that an initializer gives them."""
    # Values from an initializer would be replaced, and take JAX most of the time.
    build = helpers.sized if keras.backend.backend() == "jax" else architectures.build
    model, rng = build(name, input_shape=shape), np.random.default_rng(0)
    for variable in model.variables:
        is_state = "int" in keras.backend.standardize_dtype(variable.dtype)
        variable.assign(np.zeros(variable.shape, "uint32") if is_state else _values(variable, rng))
    return model


def _values(variable, rng):
    if variable.name in ("gamma", "moving_variance"):
        return rng.uniform(0.5, 1.5, variable.shape)
    fan_in = max(1, np.prod(variable.shape[:-1]))
    return rng.normal(scale=(2 / fan_in) ** 0.5 if variable.name == "kernel" else 0.1, size=variable.shape)


def noise(shape, seed_generator):
    """The same numbers at every call and on every backend, in place of random ones."""
    del seed_generator
    shape = tuple(int(side) for side in shape)
    return np.random.default_rng(1).uniform(size=shape).astype("float32")


def logits(model, shape):
    """Logits of four images of noise."""
    x = np.random.default_rng(2).uniform(size=(4, *shape)).astype("float32")
    with layers.noise_source(noise):
        return helpers.array(model(x))


if __name__ == "__main__":
    np.savez(sys.argv[1], **{name: logits(filled(name, shape), shape) for name, shape in names().items()})
