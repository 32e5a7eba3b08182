"""Which images a training step sees, and how they are moved about: the same for a seed on every machine."""

import dataclasses
import functools

import numpy as np
from keras import ops

from tfrobust import data as datasets


@dataclasses.dataclass(frozen=True)
class Batches:
    """Shuffled full batches of a data set; what depends on chance depends on `seed` and the batch's number alone.

    Args:
        data: a `tfrobust.data.Dataset`.
        size: images per batch.
        seed: seed of order and augmentation.
        crop, flip: see `tfrobust.training.fit`.
        replays: steps in a row on the same batch.
    """

    data: datasets.Dataset
    size: int
    seed: int = 0
    crop: int = 0
    flip: bool = False
    replays: int = 1

    @property
    def per_epoch(self):
        """Steps of an epoch; the rest of a shuffled epoch is left out, so that batches are full."""
        return len(self.data) // self.size * self.replays

    def number(self, step):
        """Number of the batch of a step, counted from the first epoch on."""
        return step // self.replays

    def epoch(self, step):
        """Epochs done before a step, fractional."""
        return step / self.per_epoch

    def index(self, step):
        """Positions of a step's images in the data set, `[size]`."""
        epoch, position = divmod(self.number(step), self.per_epoch // self.replays)
        return _order(self.seed, epoch, len(self.data))[position * self.size : (position + 1) * self.size]

    def rng(self, step):
        """The generator of a step's randomness."""
        return np.random.default_rng([self.seed, 1, self.number(step)])

    def augmented(self, x, rng):
        """Images moved and mirrored by chance; `rng` is a generator of numpy's kind."""
        x = shifted(x, self.crop, rng) if self.crop else x
        return mirrored(x, rng) if self.flip else x


@functools.lru_cache(maxsize=1)
def _order(seed, epoch, size):
    """The order of the images in one epoch."""
    return np.random.default_rng([seed, 0, epoch]).permutation(size)


def shifted(x, most, rng):
    """Images moved by up to `most` pixels along each axis, each by its own draw; what comes in is black."""
    padded = _library(x).pad(x, ((0, 0), (most, most), (most, most), (0, 0)))
    top, left = rng.integers(0, 2 * most + 1, (2, len(x), 1, 1))
    rows, columns = np.arange(x.shape[1])[:, None], np.arange(x.shape[2])
    return padded[np.arange(len(x))[:, None, None], top + rows, left + columns]


def mirrored(x, rng):
    """Images of which half, each by its own draw, are mirrored left to right."""
    return _library(x).where(rng.random((len(x), 1, 1, 1)) < 0.5, x[:, :, ::-1], x)


def _library(x):
    return np if isinstance(x, np.ndarray) else ops
