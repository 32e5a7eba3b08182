"""Training on adversarial images made afresh for the current weights: mixed in, or held to the clean output."""

import copy
import dataclasses

import numpy as np
from keras import ops

from tfrobust import checks, losses
from tfrobust.attacks import AbstractAdaptation, AbstractAttack, Split
from tfrobust.attacks.gradient import AbstractStepsAttack, ascend
from tfrobust.training.defenses import AbstractDefense, Examples, clean_examples

NOISE = 0.001  # deviation of TRADES's start: at the image itself the divergence has no gradient


@dataclasses.dataclass(frozen=True)
class AbstractRampedDefense(AbstractDefense):
    """A defense whose attack starts weak.

    Args:
        attack: any attack; its budget is the final one.
        warmup_epochs: epochs on clean images only, at the start.
        ramp_epochs: epochs, after these, over which the budget (and step size) grows linearly to its full value.
            Small MNIST networks at eps 0.3 collapse to a constant without one.

    Raises:
        ValueError: an argument outside its range.
    """

    attack: AbstractAttack
    warmup_epochs: float = dataclasses.field(default=0.0, kw_only=True)
    ramp_epochs: float = dataclasses.field(default=0.0, kw_only=True)

    def __post_init__(self):
        for name in ("warmup_epochs", "ramp_epochs"):
            checks.require(getattr(self, name) >= 0, f"{name} must be at least 0.", **{name: getattr(self, name)})

    def strength(self, epoch):
        """Share of the budget in force at the (fractional) `epoch`, from 0 to 1."""
        past_warmup = epoch - self.warmup_epochs
        if past_warmup < 0:
            return 0.0
        return 1.0 if self.ramp_epochs == 0 else min(1.0, past_warmup / self.ramp_epochs)


@dataclasses.dataclass(frozen=True)
class AdversarialTraining(AbstractRampedDefense):
    """Train on adversarial images made afresh for the current weights, mixed with clean ones.

    Formula: `min E [w CE(f(x), y) + (1 - w) max_{|d| <= r eps} CE(f(x + d), y)]`, where r ramps from 0 to 1.

    Args:
        clean_weight: w in [0, 1).
        attack, warmup_epochs, ramp_epochs: see `AbstractRampedDefense`.

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

    clean_weight: float = dataclasses.field(default=0.0, kw_only=True)

    def __post_init__(self):
        super().__post_init__()
        checks.require(0 <= self.clean_weight < 1, "clean_weight must lie in [0, 1).", clean_weight=self.clean_weight)

    def attacked(self, victim, x, y, rng, strength):
        x_adv = scaled(self.attack, strength).perturb(victim, x, y, rng)
        adversarial = np.full(len(x), (1 - self.clean_weight) / len(x), "float32")
        if self.clean_weight == 0:
            return Examples(x_adv, y, adversarial)
        clean = np.full(len(x), self.clean_weight / len(x), "float32")
        return Examples(*(ops.concatenate(pair) for pair in ((x, x_adv), (y, y), (clean, adversarial))))


@dataclasses.dataclass(frozen=True)
class TRADES(AbstractRampedDefense):
    """Train for accuracy on clean images and for the same output on adversarial ones.

    Formula: `min E [CE(f(x), y) + beta max_{|d| <= r eps} KL(f(x) || f(x + d))]`, where r ramps from 0 to 1; d is found
    by the attack's steps up the divergence, from Gaussian noise of deviation 0.001.

    Args:
        attack: an attack with steps, e.g. `PGD`, whose budget, step and number of steps count; or one adapted, e.g. by
            `BPDA`.
        beta: weight of the divergence, at least 0.
        warmup_epochs, ramp_epochs: see `AbstractRampedDefense`.

    Raises:
        ValueError: an argument outside its range, or an attack without steps.

    Example:
        >>> from tfrobust.attacks import PGD
        >>> TRADES(PGD(eps=0.3, eps_iter=0.03, nb_iter=10), beta=6.0).beta
        6.0

    Reference:
        H. Zhang et al., "Theoretically Principled Trade-off between Robustness and Accuracy", ICML 2019.
    """

    beta: float = dataclasses.field(default=6.0, kw_only=True)

    def __post_init__(self):
        super().__post_init__()
        checks.eps(self.beta, "beta")
        has_steps = isinstance(_innermost(self.attack), AbstractStepsAttack)
        checks.require(has_steps, "TRADES needs an attack with steps, e.g. PGD.", attack=self.attack.name)

    def unattacked(self, x, y):
        return _paired(x, x, y)

    def attacked(self, victim, x, y, rng, strength):
        attack = scaled(self.attack, strength)
        while isinstance(attack, AbstractAdaptation):
            victim, attack = attack.view(victim, x), attack.attack
        target = ops.softmax(victim.logits(x))
        start = (x + rng.normal(scale=NOISE, size=x.shape)).astype("float32")
        climbed = ascend(victim, attack, x, target, start, attack.eps_iter, attack.nb_iter, losses.cross_entropy_to)
        return _paired(x, attack.inside(climbed, x), y)

    def objective(self, model, examples):
        loss, logits = super().objective(model, examples)
        clean, attacked = ops.split(logits, 2)
        target = ops.softmax(clean)
        divergence = losses.cross_entropy_to(target, attacked) - losses.cross_entropy_to(target, clean)
        return loss + self.beta * ops.mean(divergence), logits


def _paired(x, x_adv, y):
    """Clean images and adversarial ones, of which the clean alone carry a weight."""
    weights = clean_examples(x, y).weights
    return Examples(*(ops.concatenate(pair) for pair in ((x, x_adv), (y, y), (weights, 0 * weights))))


def _innermost(attack):
    return _innermost(attack.attack) if isinstance(attack, AbstractAdaptation) else attack


def scaled(attack, strength):
    """The same attack with a part of its budget and step; of an adapted attack, the one inside.

    `strength` may be a tensor without a value yet, so the parts are not checked again.
    """
    if isinstance(attack, AbstractAdaptation):
        return dataclasses.replace(attack, attack=scaled(attack.attack, strength))
    if isinstance(attack, Split):
        return Split(tuple(scaled(each, strength) for each in attack.attacks))
    part = copy.copy(attack)
    for name in ("eps", "eps_iter"):
        if name in attack.__dataclass_fields__:
            object.__setattr__(part, name, getattr(attack, name) * strength)
    return part
