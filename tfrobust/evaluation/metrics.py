"""Figures with their uncertainty."""

import dataclasses
import math

import numpy as np

from tfrobust import checks

Z_95 = 1.959963984540054  # two-sided 95 % quantile of the standard normal


def wilson_interval(correct, n):
    """95 % Wilson score interval of a share.

    Formula: `(p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)`, `p = correct / n`, `z = 1.96`.

    Args:
        correct: number of successes, 0 to `n`.
        n: number of trials, at least 1.

    Returns:
        `(low, high)` in [0, 1].

    Raises:
        ValueError: `n` below 1 or `correct` outside 0 to `n`.

    Example:
        >>> [round(bound, 3) for bound in wilson_interval(90, 100)]
        [0.826, 0.945]

    Reference:
        E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 1927.
    """
    checks.count(n, "n")
    checks.require(0 <= correct <= n, "correct must lie between 0 and n.", correct=correct, n=n)
    p = correct / n
    middle = p + Z_95**2 / (2 * n)
    half = Z_95 * math.sqrt(p * (1 - p) / n + Z_95**2 / (4 * n**2))
    scale = 1 + Z_95**2 / n
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """Share of images classified rightly, with what it was measured on.

    Attributes:
        name: what was done to the images, e.g. `clean` or `PGD-40`.
        correct: number right.
        n: number of images.
        settings: the attack in full, as text.
        tried: images that the attack was run on, where that is fewer than `n` (a cascade); None is all.
        mean_queries: model evaluations per image that the attack spent.
        mean_distance: mean distance of the images that the attack broke, in its norm; None if it broke none.
        seconds: wall time.
    """

    name: str
    correct: int
    n: int
    settings: str = ""
    tried: int | None = None
    mean_queries: float = 0.0
    mean_distance: float | None = None
    seconds: float = 0.0

    @classmethod
    def of(cls, name, right, **kwargs):
        """From a boolean array, one entry per image."""
        return cls(name, int(np.sum(right)), len(right), **kwargs)

    @property
    def value(self):
        """Accuracy in [0, 1]."""
        return self.correct / self.n

    @property
    def interval(self):
        """95 % interval, `(low, high)`."""
        return wilson_interval(self.correct, self.n)

    def to_dict(self):
        """Plain data for JSON, rounded to what n images can tell."""
        low, high = self.interval
        return {
            "name": self.name,
            "accuracy": round(self.value, 6),
            "low": round(low, 4),
            "high": round(high, 4),
            "correct": self.correct,
            "n": self.n,
            "tried": self.n if self.tried is None else self.tried,
            "settings": self.settings,
            "mean_queries": round(float(self.mean_queries), 1),
            "mean_distance": None if self.mean_distance is None else round(self.mean_distance, 4),
            "seconds": round(self.seconds, 1),
        }


def row(accuracy):
    """One line of a table as strings: name, accuracy, interval, n, tried, queries, seconds."""
    low, high = accuracy.interval
    queries = f"{accuracy.mean_queries:.0f}" if accuracy.mean_queries else ""
    tried = "" if accuracy.tried is None else str(accuracy.tried)
    interval = f"{low:.1%} – {high:.1%}"
    shown = accuracy.name, f"{accuracy.value:.2%}", interval
    return *shown, str(accuracy.n), tried, queries, f"{accuracy.seconds:.1f}"
