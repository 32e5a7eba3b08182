"""The attack template: subclasses propose images, the template projects, clips and judges them."""

import abc
import dataclasses

import numpy as np

from tfrobust import checks, norms
from tfrobust.attacks.victim import Victim
from tfrobust.types import AttackResult, Bounds, Outcome, ThreatModel

SAMPLE = 4  # images on which a model is checked before an attack starts


@dataclasses.dataclass(frozen=True, kw_only=True)
class AbstractAttack(abc.ABC):
    """A fixed-budget attack.

    Args:
        eps: budget in pixel units, at least 0.
        norm: `numpy.inf` or 2.
        clip_min: lowest pixel value.
        clip_max: highest pixel value.
        targeted: whether labels given are to be reached rather than left.
        eot: gradient passes averaged per step; None is 20 for a random model and 1 for any other.
        seed: seed of the attack's own randomness; the same seed, model and images give the same result.

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
        norms.get(self.norm)
        checks.require(
            self.clip_min < self.clip_max,
            "clip_min must be below clip_max.",
            clip_min=self.clip_min,
            clip_max=self.clip_max,
        )
        if self.eot is not None:
            checks.count(self.eot, "eot")

    @property
    def threat(self):
        """The `ThreatModel` that the attack keeps to."""
        return ThreatModel(self.eps, self.norm, Bounds(self.clip_min, self.clip_max))

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

    def perturb(self, victim, x, y, rng):
        """Candidates inside the threat model, ungraded: what adversarial training needs. Returns a numpy array."""
        return self._inside(np.asarray(self.propose(victim, x, y, rng)), x)

    def _inside(self, x_adv, x):
        """Nearest images inside the ball around `x` and the bounds; a non-finite image becomes the clean one."""
        finite = np.isfinite(x_adv).all(axis=(1, 2, 3), keepdims=True)
        delta = np.asarray(norms.get(self.norm).project(np.where(finite, x_adv, x) - x, self.eps))
        return np.clip(x + delta, self.clip_min, self.clip_max)

    def __call__(self, model, x, y=None, *, batch_size=128, on_batch=None):
        """Attack a model and judge the result on fresh forward passes.

        Args:
            model: callable from images to logits, or a Keras model.
            x: images inside the bounds, `[n, height, width, channels]`.
            y: integer labels `[n]`: the true ones, or with `targeted` the ones to reach. None attacks the model's
                own prediction.
            batch_size: images attacked at once.
            on_batch: called with the number of images done after each batch, e.g. to move a progress bar.

        Returns:
            `AttackResult`; `success` is true where the final decision is adversarial, also where it was wrong already.

        Raises:
            ValueError: images, labels or logits are not as stated, or a targeted attack got no labels.
        """
        x = checks.images(x, self.threat.bounds)
        victim = Victim(model, x[:SAMPLE], self.eot)
        checks.require(not (self.targeted and y is None), "a targeted attack needs the labels to reach.", y=y)
        if y is not None:
            y = checks.labels(y, len(x), victim.classes)
        parts = []
        for index, start in enumerate(range(0, len(x), batch_size)):
            part = slice(start, start + batch_size)
            rng = np.random.default_rng([self.seed, index])
            parts.append(self._attack_batch(victim, x[part], None if y is None else y[part], rng))
            if on_batch is not None:
                on_batch(len(x[part]))
        return AttackResult(*(np.concatenate(values) for values in zip(*parts, strict=True)))

    def _attack_batch(self, victim, x, y, rng):
        """Propose, bring inside, and judge one batch."""
        clean = victim.decide(x)
        y = clean if y is None else y
        already = clean == y if self.targeted else clean != y
        victim.queries = 0
        proposed = np.asarray(self.propose(victim, x, y, rng))
        queries = np.broadcast_to(victim.queries, len(x))
        finite = np.isfinite(proposed).all(axis=(1, 2, 3))
        x_adv = self._inside(proposed, x)
        x_adv[already] = x[already]  # nothing to attack: the clean image is the nearest adversarial one
        decided = victim.decide(x_adv)
        success = decided == y if self.targeted else decided != y
        success = success | already
        outcome = np.select(
            [already, ~finite, success],
            [Outcome.ALREADY_WRONG, Outcome.NON_FINITE, Outcome.SUCCESS],
            Outcome.FAILED,
        )
        distance = norms.get(self.norm).distance(x_adv - x)
        return AttackResult(x_adv, success, distance, queries, outcome)
