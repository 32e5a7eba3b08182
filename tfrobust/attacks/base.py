"""The attack template: subclasses propose images, the template brings them inside the threat model and judges them.

Two families share it: attacks with a fixed budget, and attacks that look for the nearest adversarial image.
Adaptations (`adaptive.py`) wrap an attack of either family.
"""

import abc
import dataclasses

import numpy as np
from keras import ops

from tfrobust import checks, norms
from tfrobust.attacks.victim import Victim
from tfrobust.types import AttackResult, Bounds, Outcome, ThreatModel

SAMPLE = 4  # images on which a model is checked before an attack starts
TOLERANCE = 1e-6  # float32 rounding of a distance that is held against a budget


class AbstractAttack(abc.ABC):
    """What all attacks share: the call, and the judgement.

    Attributes:
        threat: the `ThreatModel` that the attack keeps to; its `eps` is infinite for an unlimited distance.
        targeted: whether labels given are to be reached rather than left.
        eot: passes averaged per step, or None, see `Victim`.
        seed: seed of the attack's own randomness; the same seed, model and images give the same result.
    """

    @property
    @abc.abstractmethod
    def threat(self):
        """The `ThreatModel` that the attack keeps to."""

    @property
    def name(self):
        """Short name for tables."""
        return type(self).__name__

    def cost(self, eot=1):
        """Most queries per image that the attack spends when gradients are averaged over `eot` passes."""
        return eot

    @abc.abstractmethod
    def propose(self, victim, x, y, rng):
        """Adversarial candidates for one batch. Called by the template only.

        Args:
            victim: a `Victim`.
            x: clean images, float32 `[batch, height, width, channels]`.
            y: labels to leave (to reach if `targeted`), int64 `[batch]`.
            rng: `numpy.random.Generator` for all of the attack's randomness.

        Returns:
            Images of the shape of `x`; the template projects and clips them.
        """

    @abc.abstractmethod
    def inside(self, x_adv, x):
        """Nearest legal images to finite `x_adv`, given the clean `x`, a tensor. Called by the template only."""

    def perturb(self, victim, x, y, rng):
        """Candidates inside the threat model, ungraded: what adversarial training needs. Returns a tensor."""
        proposed = ops.convert_to_tensor(self.propose(victim, x, y, rng))
        finite = ops.all(ops.isfinite(proposed), axis=(1, 2, 3), keepdims=True)
        return self.inside(ops.where(finite, proposed, x), x)

    def __call__(self, model, x, y=None, *, batch_size=128, on_batch=None, first=0):
        """Attack a model and judge the result on fresh forward passes.

        Args:
            model: callable from images to logits, or a Keras model.
            x: images inside the bounds, `[n, height, width, channels]`.
            y: integer labels `[n]`: the true ones, or with `targeted` the ones to reach. None attacks the model's
                own prediction.
            batch_size: images attacked at once.
            on_batch: called with the number of images done after each batch, e.g. to move a progress bar.
            first: position of the first image in a larger set; images attacked in parts get randomness of their own.

        Returns:
            `AttackResult`; `success` is true where the final decision is adversarial and near enough, also where it
            was adversarial already.

        Raises:
            ValueError: images, labels or logits are not as stated, a targeted attack got no labels, or every label to
                reach is the model's decision already.
        """
        x = checks.images(x, self.threat.bounds)
        victim = Victim(model, x[:SAMPLE], self.eot)
        checks.require(not (self.targeted and y is None), "a targeted attack needs the labels to reach.", y=y)
        if y is not None:
            y = checks.labels(y, len(x), victim.classes)
        parts = []
        for start in range(0, len(x), batch_size):
            part = slice(start, start + batch_size)
            rng = np.random.default_rng([self.seed, first + start])
            parts.append(self._attack_batch(victim, x[part], None if y is None else y[part], rng))
            if on_batch is not None:
                on_batch(len(x[part]))
        result = AttackResult(*(np.concatenate(values) for values in zip(*parts, strict=True)))
        nothing_to_do = self.targeted and all(outcome is Outcome.ALREADY_WRONG for outcome in result.outcome)
        message = "labels to reach must differ from what the model decides already; the true labels are no targets."
        checks.require(not nothing_to_do, message, y=y[:10].tolist() if self.targeted else None)
        return result

    def _attack_batch(self, victim, x, y, rng):
        """Propose, bring inside, and judge one batch."""
        clean = victim.decide(x)
        y = clean if y is None else y
        already = clean == y if self.targeted else clean != y
        victim.queries = 0
        proposed = np.asarray(self.propose(victim, x, y, rng))
        queries = np.broadcast_to(victim.queries, len(x))
        finite = _is_finite(proposed)
        x_adv = np.array(self.inside(np.where(finite[:, None, None, None], proposed, x), x))
        x_adv[already] = x[already]  # nothing to attack: the clean image is the nearest adversarial one
        decided = victim.decide(x_adv)
        adversarial = decided == y if self.targeted else decided != y
        distance = norms.get(self.threat.norm).distance(x_adv - x)
        near = distance <= self.threat.eps + TOLERANCE
        outcome = np.select(
            [already, ~finite, adversarial & near, adversarial],
            [Outcome.ALREADY_WRONG, Outcome.NON_FINITE, Outcome.SUCCESS, Outcome.TOO_FAR],
            Outcome.FAILED,
        )
        return AttackResult(x_adv, already | (adversarial & near), distance, queries, outcome)


def _is_finite(images):
    return np.isfinite(images).all(axis=(1, 2, 3))


@dataclasses.dataclass(frozen=True, kw_only=True)
class AbstractBudgetAttack(AbstractAttack):
    """An attack that uses a fixed budget in full.

    Args:
        eps: budget in pixel units, at least 0.
        norm: `numpy.inf` or 2.
        clip_min: lowest pixel value.
        clip_max: highest pixel value.
        targeted: whether labels given are to be reached rather than left.
        eot: passes averaged per step; None averages gradients over 20 passes of a random model.
        seed: seed of the attack's own randomness.

    Raises:
        ValueError: an argument outside its range.
    """

    eps: float
    norm: float = np.inf
    clip_min: float = 0.0
    clip_max: float = 1.0
    targeted: bool = False
    eot: int | None = None
    seed: int = 0

    def __post_init__(self):
        checks.eps(self.eps)
        _check_common(self)

    @property
    def threat(self):
        return ThreatModel(self.eps, self.norm, Bounds(self.clip_min, self.clip_max))

    def inside(self, x_adv, x):
        return ops.clip(x + norms.get(self.norm).project(x_adv - x, self.eps), self.clip_min, self.clip_max)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AbstractDistanceAttack(AbstractAttack):
    """An attack that looks for the nearest adversarial image.

    Args:
        eps: largest distance that counts as success, in pixel units; None sets no limit.
        norm: norm of the distance, `numpy.inf` or 2.
        clip_min: lowest pixel value.
        clip_max: highest pixel value.
        targeted: whether labels given are to be reached rather than left.
        eot: passes averaged per step; None averages gradients over 20 passes of a random model.
        seed: seed of the attack's own randomness.

    Raises:
        ValueError: an argument outside its range.
    """

    eps: float | None = None
    norm: float = 2
    clip_min: float = 0.0
    clip_max: float = 1.0
    targeted: bool = False
    eot: int | None = None
    seed: int = 0

    def __post_init__(self):
        if self.eps is not None:
            checks.eps(self.eps)
        _check_common(self)

    @property
    def threat(self):
        eps = np.inf if self.eps is None else self.eps
        return ThreatModel(eps, self.norm, Bounds(self.clip_min, self.clip_max))

    def inside(self, x_adv, x):
        del x
        return ops.clip(x_adv, self.clip_min, self.clip_max)


def _check_common(attack):
    norms.get(attack.norm)
    below = attack.clip_min < attack.clip_max
    limits = {"clip_min": attack.clip_min, "clip_max": attack.clip_max}
    checks.require(below, "clip_min must be below clip_max.", **limits)
    if attack.eot is not None:
        checks.count(attack.eot, "eot")
