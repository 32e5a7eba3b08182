"""Training on adversarial images that cost no gradient of their own: each step's backward pass serves twice."""

import dataclasses

import keras
from keras import ops

from tfrobust import checks, norms
from tfrobust.attacks.base import AbstractBudgetAttack
from tfrobust.attacks.gradients import steepest_step
from tfrobust.training.adversarial import AbstractRampedDefense, scaled
from tfrobust.training.defenses import clean_examples


@dataclasses.dataclass(frozen=True)
class FreeAdversarialTraining(AbstractRampedDefense):
    """Train on images plus a perturbation that climbs while the weights descend, by the same backward pass.

    Formula: `replays` times on each batch, `w -= rate grad_w L` and `d = project(d + eps steepest(grad_x L), eps)` at
    once, with `L = mean CE(f(clip(x + project(d, r eps))), y)`, where r ramps from 0 to 1. d starts at 0 and passes on
    from batch to batch.

    A step costs one forward and one backward pass, as without a defense, and an epoch `replays` times as many steps: so
    train for that part of the usual epochs. Our reading: the gradient is that at the clipped image, so that a pixel
    at a bound can leave it again.

    Args:
        attack: an attack whose budget, norm and bounds the perturbation keeps to; its own steps serve held-out images
            only.
        replays: steps in a row on the same images, at least 1.
        warmup_epochs, ramp_epochs: see `AbstractRampedDefense`.
        perturbation: d, which `begin` makes.

    Raises:
        ValueError: an argument outside its range, or an attack without a fixed budget.

    Example:
        >>> from tfrobust.attacks import FGSM
        >>> FreeAdversarialTraining(FGSM(eps=0.3), replays=4, ramp_epochs=2).strength(epoch=1.0)
        0.5

    Reference:
        A. Shafahi et al., "Adversarial Training for Free!", NeurIPS 2019.
    """

    replays: int = dataclasses.field(default=8, kw_only=True)
    perturbation: keras.Variable | None = dataclasses.field(default=None, kw_only=True, repr=False, compare=False)

    def __post_init__(self):
        super().__post_init__()
        checks.count(self.replays, "replays")
        has_budget = isinstance(self.attack, AbstractBudgetAttack)
        checks.require(has_budget, "attack must have a fixed budget, e.g. FGSM.", attack=self.attack.name)

    def begin(self, optimizer, shape):
        return dataclasses.replace(self, perturbation=optimizer.add_variable(shape, name="perturbation"))

    def attacked(self, victim, x, y, rng, strength):
        del victim, rng
        return clean_examples(scaled(self.attack, strength).inside(ops.add(x, self.perturbation), x), y)

    def climb(self, gradient):
        moved = self.perturbation + steepest_step(gradient, self.attack.eps, self.attack.norm)
        self.perturbation.assign(norms.get(self.attack.norm).project(moved, self.attack.eps))
