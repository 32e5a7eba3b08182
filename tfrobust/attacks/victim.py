"""A model as an attacker sees it: logits, gradients, decisions, and a count of what they cost."""

import keras
import numpy as np

from tfrobust import checks
from tfrobust.attacks.gradients import compiled_call, input_gradient

EOT_PASSES = 20  # gradient passes averaged against a random model
JUDGE_PASSES = 11  # forward passes that vote on a random model's decision


class Victim:
    """Wraps any callable from images to logits.

    A model is called random when two passes over the same images differ beyond rounding. Then gradients are averaged
    over `eot` passes (expectation over transformation) and decisions are a majority vote of `JUDGE_PASSES` passes.

    Args:
        model: callable `[batch, height, width, channels] -> [batch, classes]`; a Keras model is compiled, any other
            callable is called as it is.
        sample: a few images, on which shape, range of logits and randomness are checked.
        eot: gradient passes; None is 20 for a random model and 1 for any other.

    Raises:
        ValueError: the model does not return finite logits `[batch, classes]`, or returns probabilities.

    Reference:
        A. Athalye, N. Carlini, D. Wagner, "Obfuscated Gradients Give a False Sense of Security", ICML 2018.
    """

    def __init__(self, model, sample, eot=None):
        self.model = model
        self._call = (lambda x: compiled_call(model, x)) if isinstance(model, keras.Model) else model
        self._check_shape(sample)
        first = checks.logits(self._call(sample), len(sample))
        self.classes = first.shape[1]
        # Tolerant of the rounding that parallel hardware reorders from pass to pass.
        self.is_random = not np.allclose(first, np.asarray(self._call(sample)), rtol=1e-4, atol=1e-5)
        self.eot = eot or (EOT_PASSES if self.is_random else 1)
        self.judge_passes = JUDGE_PASSES if self.is_random else 1
        self.queries = 0

    def _check_shape(self, x):
        if isinstance(self.model, keras.Model):
            expected = tuple(self.model.input_shape[1:])
            fits = len(expected) == x.ndim - 1 and all(
                wanted in (None, given) for wanted, given in zip(expected, x.shape[1:], strict=True)
            )
            checks.require(fits, f"images must have the model's input shape {expected}.", shape=x.shape[1:])

    def logits(self, x):
        """Logits of one forward pass, a numpy array `[batch, classes]`; costs one query."""
        self.queries += 1
        return np.asarray(self._call(x))

    def gradient(self, loss, x, y, targeted=False):
        """Input gradient of `loss`, averaged over `eot` passes; costs `eot` queries."""
        self.queries += self.eot
        total = input_gradient(self.model, loss, x, y, targeted)
        for _ in range(self.eot - 1):
            total = total + input_gradient(self.model, loss, x, y, targeted)
        return total / self.eot

    def decide(self, x):
        """Predicted class, `[batch]`: the majority over passes if the model is random. Not counted as a query."""
        votes = 0
        for _ in range(self.judge_passes):
            predicted = checks.logits(self._call(x), len(x)).argmax(-1)
            votes = votes + np.eye(self.classes, dtype="int64")[predicted]
        return votes.argmax(-1)
