"""Discrete gradient ascent: for models that round their images, a few pixels at a time from level to level."""

import dataclasses

import numpy as np

from tfrobust import checks, losses
from tfrobust.attacks.base import AbstractBudgetAttack
from tfrobust.attacks.boundary import per_image


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiscreteAscent(AbstractBudgetAttack):
    """Discrete gradient ascent against a model whose first layer rounds its images to `2^bits` levels.

    Formula: `t_i = x_i + eps sign(g_i)`, clipped, is where pixel i would go and `g_i (q(t_i) - q(x'_i))` what it would
    gain, q the rounding to levels; each step moves the k pixels that gain the most, k falling evenly from `n_first` to
    1. The point of greatest loss is kept.

    Steps of a sign move every pixel at once, although only those that cross a level count, and a gradient says little
    about many crossings together (on an adversarially trained LeNet of one-bit images 8 of these steps broke as many
    images as 20 of APGD's).

    Args:
        nb_iter: number of steps.
        n_first: pixels moved in the first step, at least 1.
        bits: bits per pixel that the model keeps, 1 to 8.
        rand_init: start from random ends of the budget rather than from the image.
        eps, clip_min, clip_max, targeted, eot, seed: see `AbstractBudgetAttack`; norm must be `numpy.inf`.

    Returns:
        When called, an `AttackResult`.

    Raises:
        ValueError: an argument outside its range, or another norm.

    Example:
        >>> DiscreteAscent(eps=0.3).name
        'DGA-30'

    Reference:
        J. Buckman, A. Roy, C. Raffel, I. Goodfellow, "Thermometer Encoding: One Hot Way to Resist Adversarial
        Examples", ICLR 2018 (discrete gradient ascent); here few pixels move at a time (our reading).
    """

    nb_iter: int = 30
    n_first: int = 16
    bits: int = 1
    rand_init: bool = False

    def __post_init__(self):
        super().__post_init__()
        checks.count(self.nb_iter, "nb_iter")
        checks.count(self.n_first, "n_first")
        checks.bits(self.bits)
        checks.require(self.norm == np.inf, "DiscreteAscent works in Linf only: norm must be inf.", norm=self.norm)

    @property
    def name(self):
        return f"DGA-{self.nb_iter}{' from random ends' if self.rand_init else ''}"

    def cost(self, eot=1):
        return (self.nb_iter + 1) * eot

    def propose(self, victim, x, y, rng):
        high, low = (np.clip(x + way, *self.threat.bounds).astype(x.dtype) for way in (self.eps, -self.eps))
        x_adv = np.where(rng.random(x.shape) < 0.5, high, low) if self.rand_init else x
        best, greatest = x_adv, np.full(len(x), -np.inf)
        for k in [*np.linspace(self.n_first, 1, self.nb_iter).round().astype(int), 0]:
            loss, _, gradient = victim.loss_and_gradient(losses.cross_entropy, x_adv, y)
            loss, gradient = (-loss, -gradient) if self.targeted else (loss, gradient)
            best = np.where(per_image(loss > greatest), x_adv, best)
            greatest = np.maximum(greatest, loss)
            if k > 0:
                x_adv = self._moved(x_adv, np.where(gradient > 0, high, low), gradient, k)
        return best

    def _moved(self, x_adv, towards, gradient, k):
        """`x_adv` with the k pixels of each image that gain the most moved to where they gain."""
        gain = (gradient * (self._level(towards) - self._level(x_adv))).reshape(len(x_adv), -1)
        k = min(k, gain.shape[1])
        least = -np.partition(-gain, k - 1, axis=1)[:, k - 1 : k]
        moves = ((gain >= least) & (gain > 0)).reshape(x_adv.shape)
        return np.where(moves, towards, x_adv)

    def _level(self, pixels):
        """The level that the model rounds a pixel to, between its bounds."""
        steps = 2**self.bits - 1
        share = (pixels - self.clip_min) / (self.clip_max - self.clip_min)
        return np.round(share * steps) / steps * (self.clip_max - self.clip_min)
