"""Non-examples: images made of noise that a model takes for a class."""

from typing import NamedTuple

import numpy as np

from tfrobust import checks, losses
from tfrobust.attacks.victim import Victim


class NonExamples(NamedTuple):
    """Images that show nothing, the class each was driven to, the model's confidence in it, whether it decides so."""

    images: np.ndarray
    targets: np.ndarray
    confidence: np.ndarray
    reached: np.ndarray


def non_examples(model, target_classes, shape, *, n=10, steps=100, eps_iter=0.01, noise=0.1, seed=0):
    """Climb the probability of a class from noise: a model that knows what it does not know stays unsure.

    Formula: `x_0 = clip(N(0, noise))`, `x_{t+1} = clip(x_t + eps_iter sign(grad_x log p_t(x_t)))`, clipped to [0, 1].
    The logarithm's gradient has the same sign and does not saturate.

    Args:
        model: callable from images to logits, made of TensorFlow operations.
        target_classes: one class, or several.
        shape: shape of an image, `(height, width, channels)`.
        n: images per class.
        steps: sign-gradient steps.
        eps_iter: step size, in pixel units.
        noise: standard deviation of the start, in pixel units.
        seed: seed of the start.

    Returns:
        `NonExamples(images [n k, …], targets [n k], confidence [n k], reached [n k])` for k classes, class by class;
        confidence is the softmax probability of the target (averaged over passes of a random model).

    Raises:
        ValueError: an argument outside its range.

    Example:
        >>> from tfrobust import architectures
        >>> non_examples(architectures.build("mlp"), (3, 7), (28, 28, 1), n=2, steps=1).targets.tolist()
        [3, 3, 7, 7]

    Reference:
        A. Galloway, G. W. Taylor, M. Moussa, "Predicting Adversarial Examples with High Confidence", arXiv 2018, 4.2.
    """
    checks.count(n, "n")
    checks.count(steps, "steps", least=0)
    checks.eps(eps_iter, "eps_iter")
    checks.eps(noise, "noise")
    targets = np.repeat(np.atleast_1d(target_classes), n)
    x = np.clip(np.random.default_rng(seed).normal(0, noise, (len(targets), *shape)), 0, 1).astype("float32")
    victim = Victim(model, x[:4])
    targets = checks.labels(targets, len(x), victim.classes)
    for _ in range(steps):
        gradient = np.asarray(victim.gradient(losses.cross_entropy, x, targets, targeted=True))
        x = np.clip(x + np.float32(eps_iter) * np.sign(gradient), 0, 1)
    probability = np.mean([_softmax(victim.logits(x)) for _ in range(victim.judge_passes)], axis=0)
    confidence = probability[np.arange(len(x)), targets]
    return NonExamples(x, targets, confidence, victim.decide(x) == targets)


def _softmax(logits):
    likelihood = np.exp(logits - logits.max(-1, keepdims=True))
    return likelihood / likelihood.sum(-1, keepdims=True)
