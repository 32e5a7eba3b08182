"""What a training step minimises: the template of all defenses, and training without one."""

import dataclasses
from typing import NamedTuple

import numpy as np
from keras import ops

from tfrobust import losses


class Examples(NamedTuple):
    """Images, labels and weights (summing to 1) of one training step."""

    images: np.ndarray
    labels: np.ndarray
    weights: np.ndarray


def clean_examples(x, y):
    """The images as they are, each of equal weight."""
    return Examples(x, y, np.full(len(x), 1 / len(x), "float32"))


class AbstractDefense:
    """The template: which examples a step sees, what it minimises on them, and what is done to the weights after it.

    Attributes:
        attack: the attack whose images the step sees and held-out images are tried with, or None.
        replays: steps in a row on the same images.
        perturbation: variable of the images' shape that climbs as the weights descend, or None.
    """

    attack = None
    replays = 1
    perturbation = None

    def begin(self, optimizer, shape):
        """The defense for one run on batches of images of `shape`; what it keeps is a variable of `optimizer`."""
        del optimizer, shape
        return self

    def examples(self, victim, x, y, rng, epoch):
        """Examples of one step.

        Args:
            victim: the model as a `Victim`.
            x: images, float32 `[batch, height, width, channels]`.
            y: labels, int64 `[batch]`.
            rng: `numpy.random.Generator` for all of the step's randomness.
            epoch: epochs done, fractional.

        Returns:
            `Examples`.
        """
        strength = self.strength(epoch)
        return self.attacked(victim, x, y, rng, strength) if strength > 0 else self.unattacked(x, y)

    def strength(self, epoch):
        """Share of the attack's budget in force at the (fractional) `epoch`, from 0 (clean images) to 1."""
        del epoch
        return 0.0

    def unattacked(self, x, y):
        """Examples of a step without attack; may become part of a compiled graph."""
        return clean_examples(x, y)

    def attacked(self, victim, x, y, rng, strength):
        """Examples of a step that attacks at `strength`, which a defense without attack never does; may be compiled."""
        del victim, rng, strength
        return self.unattacked(x, y)

    def objective(self, model, examples):
        """`(loss to be minimised, logits of the examples)`; becomes part of a compiled graph."""
        logits = model(examples.images, training=True)
        return ops.sum(examples.weights * losses.cross_entropy(examples.labels, logits)), logits

    def after_step(self, model, step):
        """Change the weights after the optimizer has; becomes part of a compiled graph. `step` counts from 1."""

    def climb(self, gradient):
        """Move `perturbation` by the loss's gradient at the step's images; becomes part of a compiled graph."""


@dataclasses.dataclass(frozen=True)
class Standard(AbstractDefense):
    """Train on clean images.

    Formula: `min E CE(f(x), y)`.

    Example:
        >>> Standard()
        Standard()
    """


@dataclasses.dataclass(frozen=True)
class AbstractAddition(AbstractDefense):
    """Adds something to another defense, whose examples and objective it keeps.

    Args:
        defense: the defense that it is added to.
    """

    defense: AbstractDefense = dataclasses.field(default=Standard(), kw_only=True)

    @property
    def attack(self):
        return self.defense.attack

    @property
    def replays(self):
        return self.defense.replays

    @property
    def perturbation(self):
        return self.defense.perturbation

    def begin(self, optimizer, shape):
        return dataclasses.replace(self, defense=self.defense.begin(optimizer, shape))

    def strength(self, epoch):
        return self.defense.strength(epoch)

    def unattacked(self, x, y):
        return self.defense.unattacked(x, y)

    def attacked(self, victim, x, y, rng, strength):
        return self.defense.attacked(victim, x, y, rng, strength)

    def objective(self, model, examples):
        return self.defense.objective(model, examples)

    def after_step(self, model, step):
        self.defense.after_step(model, step)

    def climb(self, gradient):
        self.defense.climb(gradient)
