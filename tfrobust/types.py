"""The words every other module speaks: bounds, threat models, outcomes and results."""

import enum
import fractions
from typing import NamedTuple

import numpy as np


class Bounds(NamedTuple):
    """Lowest and highest value that a pixel may take."""

    low: float = 0.0
    high: float = 1.0


class ThreatModel(NamedTuple):
    """What an attacker may do to one image: move at most `eps` in `norm`, staying inside `bounds`.

    `str(threat)` is how tables and cards print it, e.g. `Linf 8/255 on [0,1]`.
    """

    eps: float
    norm: float = np.inf
    bounds: Bounds = Bounds()

    def __str__(self):
        name = "Linf" if self.norm == np.inf else f"L{self.norm:g}"
        if self.eps == np.inf:
            return f"{name}, least distance, on [{self.bounds.low:g},{self.bounds.high:g}]"
        return f"{name} {format_eps(self.eps)} on [{self.bounds.low:g},{self.bounds.high:g}]"


def format_eps(eps):
    """Print a budget as the field does: `8/255` for CIFAR-like budgets, else a short decimal."""
    in_255ths = fractions.Fraction(eps * 255).limit_denominator(2)
    looks_like_255ths = eps < 0.1 and in_255ths > 0 and abs(float(in_255ths) / 255 - eps) < 1e-9
    return f"{float(in_255ths):g}/255" if looks_like_255ths else f"{eps:g}"


class Outcome(enum.Enum):
    """How an attack on one image ended; the value is the sentence shown to the user."""

    SUCCESS = "The adversarial image changes the decision."
    ALREADY_WRONG = "The clean image was what the attack wants already, so there was nothing to attack."
    TOO_FAR = "The nearest adversarial image that was found is farther away than eps."
    FAILED = "The budget is spent and the decision has not changed."
    NON_FINITE = "The attack proposed non-finite pixels; the clean image was kept."


class AttackResult(NamedTuple):
    """What an attack found for a batch, judged by the attack template on fresh forward passes.

    `x_adv` is `[batch, height, width, channels]`; `success`, `distance` (in the attack's norm),
    `queries` (model evaluations, forward or backward, spent per image) and `outcome` are `[batch]`.
    """

    x_adv: np.ndarray
    success: np.ndarray
    distance: np.ndarray
    queries: np.ndarray
    outcome: np.ndarray
