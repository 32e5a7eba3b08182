"""Training objectives: what examples, with what weights, a training step sees."""

import dataclasses
from typing import NamedTuple

import numpy as np

from tfrobust import checks
from tfrobust.attacks import AbstractAdaptation, AbstractAttack


class Examples(NamedTuple):
    """Images, labels and weights (summing to 1) of one training step."""

    images: np.ndarray
    labels: np.ndarray
    weights: np.ndarray


@dataclasses.dataclass(frozen=True)
class Standard:
    """Train on clean images.

    Formula: `min E CE(f(x), y)`.

    Example:
        >>> Standard()
        Standard()
    """

    attack = None

    def examples(self, victim, x, y, rng, epoch):
        """Examples of one step; `epoch` is fractional."""
        del victim, rng, epoch
        return Examples(x, y, np.full(len(x), 1 / len(x), "float32"))


@dataclasses.dataclass(frozen=True)
class AdversarialTraining:
    """Train on adversarial images made afresh for the current weights, mixed with clean ones.

    Formula: `min E [w CE(f(x), y) + (1 - w) max_{|d| <= r eps} CE(f(x + d), y)]`, where r ramps from 0 to 1.

    Args:
        attack: any attack; its budget is the final one.
        clean_weight: w in [0, 1).
        warmup_epochs: epochs on clean images only, at the start.
        ramp_epochs: epochs, after these, over which the budget (and step size) grows linearly to its full value.
            Small MNIST networks at eps 0.3 collapse to a constant without one.

    Raises:
        ValueError: an argument outside its range.

    Example:
        >>> from tfrobust.attacks import FGSM
        >>> AdversarialTraining(FGSM(eps=0.3), clean_weight=0.5, ramp_epochs=2).strength(epoch=1.0)
        0.5

    Reference:
        A. Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks", ICLR 2018; mixing as in
        A. Kurakin, I. Goodfellow, S. Bengio, "Adversarial Machine Learning at Scale", ICLR 2017.
    """

    attack: AbstractAttack
    clean_weight: float = 0.0
    warmup_epochs: float = 0.0
    ramp_epochs: float = 0.0

    def __post_init__(self):
        checks.require(0 <= self.clean_weight < 1, "clean_weight must lie in [0, 1).", clean_weight=self.clean_weight)
        for name in ("warmup_epochs", "ramp_epochs"):
            checks.require(getattr(self, name) >= 0, f"{name} must be at least 0.", **{name: getattr(self, name)})

    def strength(self, epoch):
        """Share of the budget in force at the (fractional) `epoch`, from 0 to 1."""
        past_warmup = epoch - self.warmup_epochs
        if past_warmup < 0:
            return 0.0
        return 1.0 if self.ramp_epochs == 0 else min(1.0, past_warmup / self.ramp_epochs)

    def examples(self, victim, x, y, rng, epoch):
        """Examples of one step; `epoch` is fractional."""
        strength = self.strength(epoch)
        if epoch < self.warmup_epochs:
            return Standard().examples(victim, x, y, rng, epoch)
        x_adv = _scaled(self.attack, strength).perturb(victim, x, y, rng)
        adversarial = np.full(len(x), (1 - self.clean_weight) / len(x), "float32")
        if self.clean_weight == 0:
            return Examples(x_adv, y, adversarial)
        clean = np.full(len(x), self.clean_weight / len(x), "float32")
        return Examples(*(np.concatenate(pair) for pair in ((x, x_adv), (y, y), (clean, adversarial))))


def _scaled(attack, strength):
    """The same attack with a part of its budget and step; of an adapted attack, the one inside."""
    if isinstance(attack, AbstractAdaptation):
        return dataclasses.replace(attack, attack=_scaled(attack.attack, strength))
    steps = {
        name: getattr(attack, name) * strength for name in ("eps", "eps_iter") if name in attack.__dataclass_fields__
    }
    return dataclasses.replace(attack, **steps)
