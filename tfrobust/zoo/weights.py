"""Weight files: float16 arrays by variable path, or a whole `.keras` model; checked by hash before they are opened."""

import numpy as np

from tfrobust import checks
from tfrobust.files import sha256, write_arrays


def save(model, path):
    """Write the weights of a Keras model as float16 (random states are not weights and stay out).

    Returns:
        `(sha256, bytes)` of the file.
    """
    arrays = {weight.path: np.asarray(weight).astype("float16") for weight in model.weights}
    overflow = sorted(name for name, array in arrays.items() if not np.isfinite(array).all())
    checks.require(not overflow, "weights must be finite and fit float16.", weights=overflow)
    write_arrays(path, arrays)
    return sha256(path), path.stat().st_size


def verify(path, expected_sha256):
    """Refuse a weight file that is missing or does not have the expected hash."""
    checks.require(
        path.is_file(),
        "the weight file must exist: in the zoo, or in the folder or URL that the variable TFROBUST_ZOO names.",
        path=path.name,
    )
    found = sha256(path)
    checks.require(
        found == expected_sha256,
        f"the weight file must have SHA-256 {expected_sha256}: it was cut short or changed.",
        path=path.name,
        sha256=found,
    )


def load(model, path, expected_sha256):
    """Read weights into a Keras model.

    Raises:
        ValueError: the file is missing, does not have the expected hash, or does not fit the model.
    """
    verify(path, expected_sha256)
    with np.load(path, allow_pickle=False) as arrays:
        shapes = {name: arrays[name].shape for name in arrays.files}
        expected = {weight.path: tuple(weight.shape) for weight in model.weights}
        checks.require(shapes == expected, f"the weights must fit {model.name}: {expected}.", file=shapes)
        for weight in model.weights:
            weight.assign(arrays[weight.path].astype("float32"))
