"""A model as an attacker sees it: logits, gradients, decisions, and a count of what they cost."""

import copy

import keras
import numpy as np

from tfrobust import checks
from tfrobust.attacks import gradients

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
        eot: passes that gradients and logits are averaged over; None is one, but 20 for gradients of a random model.

    Raises:
        ValueError: the model does not return finite logits `[batch, classes]`, or returns probabilities.

    Reference:
        A. Athalye, N. Carlini, D. Wagner, "Obfuscated Gradients Give a False Sense of Security", ICML 2018.
    """

    def __init__(self, model, sample, eot=None):
        self.model = model
        self._call = (lambda x: gradients.compiled_call(model, x)) if isinstance(model, keras.Model) else model
        self._check_shape(sample)
        first = checks.logits(self._call(sample), len(sample))
        self.classes = first.shape[1]
        # Tolerant of the rounding that parallel hardware reorders from pass to pass.
        self.is_random = not np.allclose(first, np.asarray(self._call(sample)), rtol=1e-4, atol=1e-5)
        self.eot = eot or (EOT_PASSES if self.is_random else 1)
        self.passes = eot or 1
        self.judge_passes = JUDGE_PASSES if self.is_random else 1
        self.surrogate = None
        self.temperature = 1.0
        self.queries = 0

    def seen(self, eot=None, surrogate=None, temperature=None):
        """The same victim as an adapted attack sees it; arguments that are None stay as they are."""
        view = copy.copy(self)
        view.queries = 0
        view.eot, view.passes = eot or self.eot, eot or self.passes
        view.surrogate = surrogate or self.surrogate
        view.temperature = temperature or self.temperature
        return view

    def _check_shape(self, x):
        if isinstance(self.model, keras.Model):
            expected = tuple(self.model.input_shape[1:])
            fits = len(expected) == x.ndim - 1 and all(
                wanted in (None, given) for wanted, given in zip(expected, x.shape[1:], strict=True)
            )
            checks.require(fits, f"images must have the model's input shape {expected}.", shape=x.shape[1:])

    def logits(self, x):
        """Logits, an array `[batch, classes]`, mean of `passes` passes; costs as many queries."""
        self.queries += self.passes
        return gradients.averaged(lambda: gradients.host(self._call(x)), self.passes)

    def gradient(self, loss, x, y, targeted=False):
        """Input gradient of `loss`, averaged over `eot` passes; costs `eot` queries."""
        self.queries += self.eot
        settings = (loss, x, y, targeted, self.surrogate, self.temperature)
        return gradients.averaged(lambda: gradients.input_gradient(self.model, *settings), self.eot)

    def loss_and_gradient(self, loss, x, y):
        """`(loss [batch], logits, input gradient)` as numpy arrays, averaged over `eot` passes of as many queries."""
        self.queries += self.eot
        settings = (loss, x, y, self.surrogate, self.temperature)
        means = gradients.averaged(lambda: gradients.loss_and_gradient(self.model, *settings), self.eot)
        return tuple(np.asarray(part) for part in means)

    def class_gradients(self, x, classes):
        """`(logits, gradients [batch, k, …])` of the logits `classes` `[batch, k]`; costs `k` queries per pass."""
        classes = np.asarray(classes)
        self.queries += self.eot * classes.shape[1]
        means = gradients.averaged(lambda: gradients.class_gradients(self.model, x, classes, self.surrogate), self.eot)
        return tuple(np.asarray(part) for part in means)

    def decide(self, x):
        """Predicted class, `[batch]`: the majority over passes if the model is random. Not counted as a query."""
        votes = 0
        for _ in range(self.judge_passes):
            predicted = checks.logits(self._call(x), len(x)).argmax(-1)
            votes = votes + np.eye(self.classes, dtype="int64")[predicted]
        return votes.argmax(-1)
