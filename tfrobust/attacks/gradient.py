"""Gradient attacks with a fixed budget. The loop exists once; FGSM is one full step of it."""

import dataclasses

import numpy as np
from keras import ops

from tfrobust import checks, losses, norms
from tfrobust.attacks.base import AbstractBudgetAttack
from tfrobust.attacks.gradients import ascent_step, repeat

LARGE = 0.1  # budgets from here on are MNIST's, smaller ones CIFAR-10's: the papers' settings differ


def pgd_step(eps):
    """Step of the papers' PGD: a thirtieth of the budget on MNIST (0.01 at eps 0.3), a quarter on CIFAR-10 (2/255)."""
    return eps / (30 if eps >= LARGE else 4)


def ascend(victim, attack, x, y, start, eps_iter, nb_iter, loss=losses.cross_entropy, decay=None):
    """Climb `loss` from `start` by `nb_iter` steepest steps of `eps_iter`, projecting after each.

    With a `decay` the steps follow `decay` times the past direction plus the gradient over its mean size.
    """
    x = ops.convert_to_tensor(x)
    x_adv = ops.clip(ops.convert_to_tensor(start), *attack.threat.bounds)
    limits = [ops.convert_to_tensor(value, x.dtype) for value in (eps_iter, attack.eps, *attack.threat.bounds)]

    def climb(state):
        x_adv, direction = state
        gradient = victim.gradient(loss, x_adv, y, attack.targeted)
        direction = gradient if decay is None else decay * direction + _over_mean_size(gradient)
        return ascent_step(x, x_adv, direction, *limits, attack.norm), direction

    return repeat(nb_iter, climb, (x_adv, ops.zeros_like(x_adv)), victim.is_random)[0]


def random_start(attack, x, rng):
    """A point drawn uniformly from the attack's ball around each image."""
    return (x + norms.get(attack.norm).sample(rng, x.shape, attack.eps)).astype("float32")


def _over_mean_size(gradient):
    size = ops.mean(ops.abs(gradient), axis=(1, 2, 3), keepdims=True)
    return gradient / ops.maximum(size, 1e-12)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AbstractStepsAttack(AbstractBudgetAttack):
    """A fixed number of steps of one size.

    Args:
        eps_iter: step size in pixel units.
        nb_iter: number of steps.
        eps, norm, clip_min, clip_max, targeted, eot, seed: see `AbstractBudgetAttack`.

    Raises:
        ValueError: an argument outside its range.
    """

    eps_iter: float
    nb_iter: int

    def __post_init__(self):
        super().__post_init__()
        checks.eps(self.eps_iter, "eps_iter")
        checks.count(self.nb_iter, "nb_iter")

    @property
    def name(self):
        return f"{type(self).__name__}-{self.nb_iter}"

    def cost(self, eot=1):
        return self.nb_iter * eot


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
class PGD(AbstractStepsAttack):
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

    rand_init: bool = True

    def propose(self, victim, x, y, rng):
        start = random_start(self, x, rng) if self.rand_init else x
        return ascend(victim, self, x, y, start, self.eps_iter, self.nb_iter)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BIM(AbstractStepsAttack):
    """Basic iterative method: projected steepest steps from the image itself.

    Formula: `x_0 = x`; `x_{t+1} = project(x_t + eps_iter steepest(grad_x CE(f(x_t), y)))`.

    Args:
        eps_iter: step size in pixel units.
        nb_iter: number of steps.
        eps, norm, clip_min, clip_max, targeted, eot, seed: see `AbstractBudgetAttack`.

    Returns:
        When called, an `AttackResult`.

    Raises:
        ValueError: an argument outside its range.

    Example:
        >>> BIM(eps=0.3, eps_iter=0.05, nb_iter=10).name
        'BIM-10'

    Reference:
        A. Kurakin, I. Goodfellow, S. Bengio, "Adversarial Examples in the Physical World", ICLR workshop 2017.
    """

    def propose(self, victim, x, y, rng):
        del rng
        return ascend(victim, self, x, y, x, self.eps_iter, self.nb_iter)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MIM(AbstractStepsAttack):
    """Momentum iterative method: steps along an accumulated gradient.

    Formula: `g_{t+1} = decay g_t + grad / mean|grad|`; `x_{t+1} = project(x_t + eps_iter steepest(g_{t+1}))`.

    Args:
        eps_iter: step size in pixel units.
        nb_iter: number of steps.
        decay: share of the past direction that is kept, at least 0.
        eps, norm, clip_min, clip_max, targeted, eot, seed: see `AbstractBudgetAttack`.

    Returns:
        When called, an `AttackResult`.

    Raises:
        ValueError: an argument outside its range.

    Example:
        >>> MIM(eps=0.3, eps_iter=0.05, nb_iter=10).name
        'MIM-10'

    Reference:
        Y. Dong et al., "Boosting Adversarial Attacks with Momentum", CVPR 2018; the gradient is scaled by its mean
        size, as in CleverHans.
    """

    decay: float = 1.0

    def __post_init__(self):
        super().__post_init__()
        checks.eps(self.decay, "decay")

    def propose(self, victim, x, y, rng):
        del rng
        return ascend(victim, self, x, y, x, self.eps_iter, self.nb_iter, decay=self.decay)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CarliniWagnerLinf(AbstractStepsAttack):
    """Carlini and Wagner's objective under an Linf (or L2) budget: PGD on the margin, from a random start.

    Formula: climb `min(max_{j != y} z_j - z_y, kappa)`: what is wrong by `kappa` is left alone.

    Args:
        eps_iter: step size in pixel units.
        nb_iter: number of steps.
        confidence: kappa, in logits, at least 0.
        eps, norm, clip_min, clip_max, targeted, eot, seed: see `AbstractBudgetAttack`.

    Returns:
        When called, an `AttackResult`.

    Raises:
        ValueError: an argument outside its range.

    Example:
        >>> CarliniWagnerLinf(eps=0.3, eps_iter=0.01, nb_iter=40).name
        'CWLinf-40'

    Reference:
        N. Carlini, D. Wagner, "Towards Evaluating the Robustness of Neural Networks", IEEE S&P 2017; as the SQA
        paper's eq. 5 uses it.
    """

    confidence: float = 50.0

    def __post_init__(self):
        super().__post_init__()
        checks.eps(self.confidence, "confidence")

    @property
    def name(self):
        return f"CW{'Linf' if self.norm == np.inf else 'L2'}-{self.nb_iter}"

    def propose(self, victim, x, y, rng):
        loss = losses.negative_margin(self.confidence)
        return ascend(victim, self, x, y, random_start(self, x, rng), self.eps_iter, self.nb_iter, loss)
