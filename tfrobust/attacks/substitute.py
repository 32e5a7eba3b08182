"""Substitute model: learn the victim from its decisions, so that attacks on the copy may transfer."""

from typing import NamedTuple

import keras
import numpy as np

from tfrobust import checks
from tfrobust.attacks.victim import Victim
from tfrobust.types import Bounds

ROWS = 256  # images labelled or differentiated at once


class Substitute(NamedTuple):
    """A model that imitates a victim, and the number of the victim's decisions that it took."""

    model: keras.Model
    queries: int


def train_substitute(
    model, x, substitute, *, epochs=10, rounds=4, lambda_=0.1, learning_rate=1e-3, batch_size=32, bounds=None, seed=0
):
    """Train a model to decide as a victim does, on images that grow towards where its decision changes.

    Formula: `S_0 = x`; in each round the substitute f is trained on the victim's decisions o(S_k), then
    `S_{k+1} = S_k + clip(S_k + lambda sign(grad_x f_{o(x)}(x)))` doubles the images. At the end it is trained
    once more.

    Then `Transfer(attack, substitute)` attacks the victim.

    Args:
        model: the victim, any callable from images to logits; only its decisions are used.
        x: the attacker's own images inside the bounds, `[n, height, width, channels]`.
        substitute: a Keras model from images to as many logits, trained in place (and compiled anew).
        epochs: passes over the images per round.
        rounds: times that the images are doubled.
        lambda_: size of the augmenting step, in pixel units.
        learning_rate: Adam's.
        batch_size: images per training step.
        bounds: lowest and highest pixel value; None is `Bounds(0, 1)`.
        seed: order of the images in training.

    Returns:
        `Substitute(model, queries)`; `n 2^rounds` queries, times the votes if the victim is random.

    Raises:
        ValueError: an argument outside its range, or a substitute with another number of classes.

    Example:
        >>> from tfrobust import architectures
        >>> x = np.random.default_rng(0).random((4, 28, 28, 1), "float32")
        >>> victim, net = architectures.build("mlp"), architectures.build("mlp")
        >>> train_substitute(victim, x, net, epochs=1, rounds=2).queries
        16

    Reference:
        N. Papernot et al., "Practical Black-Box Attacks against Machine Learning", AsiaCCS 2017.
    """
    bounds = bounds or Bounds()
    checks.count(epochs, "epochs")
    checks.count(rounds, "rounds", least=0)
    checks.count(batch_size, "batch_size")
    checks.eps(lambda_, "lambda_")
    x = checks.images(x, bounds)
    victim, copy = Victim(model, x[:4]), Victim(substitute, x[:4])
    message = f"substitute must have the victim's {victim.classes} classes."
    checks.require(copy.classes == victim.classes, message, classes=copy.classes)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    substitute.compile(optimizer=keras.optimizers.Adam(learning_rate), loss=loss)
    rng = np.random.default_rng(seed)
    y = _by_parts(victim.decide, x)
    _fit(substitute, x, y, epochs, batch_size, rng)
    for _ in range(rounds):
        new = _by_parts(lambda x, y: np.clip(x + lambda_ * np.sign(_slope(copy, x, y)), *bounds), x, y)
        x, y = np.concatenate([x, new]), np.concatenate([y, _by_parts(victim.decide, new)])
        _fit(substitute, x, y, epochs, batch_size, rng)
    return Substitute(substitute, len(x) * victim.judge_passes)


def _slope(copy, x, y):
    """Gradient of the labelled logit."""
    return copy.class_gradients(x, y[:, None])[1][:, 0]


def _fit(model, x, y, epochs, batch_size, rng):
    for _ in range(epochs):
        order = rng.permutation(len(x))  # `fit` would shuffle by the global state
        for start in range(0, len(x), batch_size):
            part = order[start : start + batch_size]
            model.train_on_batch(x[part], y[part])


def _by_parts(function, *arrays):
    starts = range(0, len(arrays[0]), ROWS)
    return np.concatenate([function(*(array[start : start + ROWS] for array in arrays)) for start in starts])
