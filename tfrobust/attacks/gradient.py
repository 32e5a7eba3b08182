"""Gradient attacks with a fixed budget. The loop exists once; FGSM is one full step of it."""

import dataclasses

import numpy as np
from keras import ops

from tfrobust import checks, losses, norms
from tfrobust.attacks.base import AbstractBudgetAttack
from tfrobust.attacks.gradients import steepest_step


def ascend(victim, attack, x, y, start, eps_iter, nb_iter):
    """Climb the cross-entropy from `start` by `nb_iter` steepest steps of `eps_iter`, projecting after each."""
    bounds = attack.threat.bounds
    norm = norms.get(attack.norm)
    x = ops.convert_to_tensor(x)
    x_adv = ops.clip(ops.convert_to_tensor(start), *bounds)
    for _ in range(nb_iter):
        gradient = victim.gradient(losses.cross_entropy, x_adv, y, attack.targeted)
        x_adv = ops.clip(x_adv + steepest_step(gradient, eps_iter, attack.norm), *bounds)
        x_adv = ops.clip(x + norm.project(x_adv - x, attack.eps), *bounds)
    return x_adv


@dataclasses.dataclass(frozen=True, kw_only=True)
class FGSM(AbstractBudgetAttack):
    """Fast gradient sign method: one step of the whole budget.

    Formula: `clip(x + eps sign(grad_x CE(f(x), y)))`; in L2 the sign becomes the normalised gradient.

    Args:
        eps, norm, clip_min, clip_max, targeted, eot, seed: see `AbstractBudgetAttack`.

    Returns:
        When called, an `AttackResult`.

    Raises:
        ValueError: an argument outside its range.

    Example:
        >>> FGSM(eps=0.3).threat
        ThreatModel(eps=0.3, norm=inf, bounds=Bounds(low=0.0, high=1.0))

    Reference:
        I. Goodfellow, J. Shlens, C. Szegedy, "Explaining and Harnessing Adversarial Examples", ICLR 2015.
    """

    def propose(self, victim, x, y, rng):
        del rng
        return ascend(victim, self, x, y, start=x, eps_iter=self.eps, nb_iter=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PGD(AbstractBudgetAttack):
    """Projected gradient descent from a random start.

    Formula: `x_0 = x + U(ball)`; `x_{t+1} = project(x_t + eps_iter steepest(grad_x CE(f(x_t), y)))`.

    Args:
        eps_iter: step size in pixel units.
        nb_iter: number of steps.
        rand_init: start at a random point of the ball rather than at the image.
        eps, norm, clip_min, clip_max, targeted, eot, seed: see `AbstractBudgetAttack`.

    Returns:
        When called, an `AttackResult`.

    Raises:
        ValueError: an argument outside its range.

    Example:
        >>> PGD(eps=0.3, eps_iter=0.01, nb_iter=40).name
        'PGD-40'

    Reference:
        A. Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks", ICLR 2018.
    """

    eps_iter: float
    nb_iter: int
    rand_init: bool = True

    def __post_init__(self):
        super().__post_init__()
        checks.eps(self.eps_iter, "eps_iter")
        checks.count(self.nb_iter, "nb_iter")

    @property
    def name(self):
        return f"PGD-{self.nb_iter}"

    def cost(self, eot=1):
        return self.nb_iter * eot

    def propose(self, victim, x, y, rng):
        start = x + norms.get(self.norm).sample(rng, x.shape, self.eps) if self.rand_init else x
        return ascend(victim, self, x, y, np.asarray(start, "float32"), self.eps_iter, self.nb_iter)
