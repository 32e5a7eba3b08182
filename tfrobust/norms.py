"""Norms as values: how to measure, sample, and project a perturbation. One file, three hooks.

A perturbation has shape `[batch, ...]`; everything is per image. Adding a norm is adding a class and a row to `NORMS`.
"""

import numpy as np
from keras import ops

from tfrobust import checks


class Linf:
    """Largest absolute change of a pixel."""

    def distance(self, delta):
        """Norm of each image's perturbation, `[batch]`."""
        return np.abs(delta).max(axis=(1, 2, 3))

    def sample(self, rng, shape, eps):
        """Draw uniformly from the ball of radius `eps`."""
        return rng.uniform(-eps, eps, size=shape).astype("float32")

    def project(self, delta, eps):
        """Nearest perturbation inside the ball of radius `eps`."""
        return ops.clip(delta, -eps, eps)


class L2:
    """Euclidean length of an image's change."""

    def distance(self, delta):
        """Norm of each image's perturbation, `[batch]`."""
        return np.sqrt(np.square(delta, dtype="float64").sum(axis=(1, 2, 3)))

    def sample(self, rng, shape, eps):
        """Draw uniformly from the ball of radius `eps` (a normal direction, radius ~ U^(1/d))."""
        direction = rng.normal(size=shape)
        direction = direction / (direction**2).sum(axis=(1, 2, 3), keepdims=True) ** 0.5
        radius = eps * rng.uniform(size=len(direction)) ** (1.0 / np.prod(shape[1:]))
        return (direction * radius.reshape(-1, 1, 1, 1)).astype("float32")

    def project(self, delta, eps):
        """Nearest perturbation inside the ball of radius `eps`."""
        length = ops.sqrt(ops.sum(ops.square(delta), axis=(1, 2, 3), keepdims=True))
        return delta * ops.minimum(1.0, eps / ops.maximum(length, 1e-12))


NORMS = {np.inf: Linf(), 2: L2()}


def get(norm):
    """Look a norm up by its order, `numpy.inf` or 2.

    Raises:
        ValueError: `norm` is neither.
    """
    return NORMS[checks.one_of(norm, "norm", NORMS)]
