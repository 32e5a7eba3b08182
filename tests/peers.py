"""Attacks of other libraries behind one call: `prepare(model)(x, y)` gives images; and how all are judged alike."""

import contextlib
import logging
import warnings
from typing import NamedTuple

import keras
import numpy as np


@contextlib.contextmanager
def quiet():
    """Silence what comes from the peers' code, and nothing else."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def art(attack, batch_size=128, **settings):
    """An attack of the Adversarial Robustness Toolbox by the name of its class.

    Args:
        attack: name in `art.attacks.evasion`.
        batch_size: images attacked at once.
        **settings: arguments of the class.

    Returns:
        A function of a Keras model that gives a function of images and labels.
    """

    def prepare(model):
        with quiet():
            from art.attacks import evasion
            from art.estimators.classification import TensorFlowV2Classifier

            classifier = TensorFlowV2Classifier(
                model,
                nb_classes=model.output_shape[-1],
                input_shape=model.input_shape[1:],
                # The sum: a mean would shrink the gradient of an image by the size of its batch.
                loss_object=keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum"),
                clip_values=(0.0, 1.0),
                preprocessing=None,
            )
            made = getattr(evasion, attack)(classifier, batch_size=batch_size, verbose=False, **settings)
        return _by_batches(lambda x, y: made.generate(x.copy(), y), batch_size)

    return prepare


def foolbox(attack, batch_size=128, eps=None, **settings):
    """An attack of Foolbox by the name of its class; arguments as `art`, and the budget (None: least distance)."""

    def prepare(model):
        with quiet():
            import foolbox

            wrapped = foolbox.models.TensorFlowModel(model, bounds=(0, 1))
            made = getattr(foolbox.attacks, attack)(**settings)

        def run(x, y):
            return made(wrapped, *map(keras.ops.convert_to_tensor, (x, y)), epsilons=eps)[1].numpy()

        return _by_batches(run, batch_size)

    return prepare


def _by_batches(run, batch_size):
    def attack(x, y):
        starts = range(0, len(x), batch_size)
        with quiet():
            return np.concatenate([run(x[at : at + batch_size], y[at : at + batch_size]) for at in starts])

    return attack


def linf(delta):
    """Largest change of a pixel."""
    return np.abs(delta).max(axis=(1, 2, 3))


def l2(delta):
    """Euclidean length of the change."""
    return np.sqrt(np.square(delta, dtype="float64").sum(axis=(1, 2, 3)))


def l0(delta):
    """Number of pixels changed."""
    return (delta != 0).sum(axis=(1, 2, 3))


class Verdict(NamedTuple):
    """What two attacks, ours first, got out of the same images."""

    success: tuple  # shares
    distance: tuple  # means over the images where both succeed
    apart: float  # share of images where only one of them succeeds

    @property
    def farther(self):
        """Our mean distance over the peer's; not a number where they succeed on no image together."""
        return self.distance[0] / self.distance[1]


def judge(model, x, y, ours, theirs, distance, budget=np.inf, targeted=False):
    """Hold two results to one fresh pass, one distance and one budget; gives a `Verdict`."""
    found, far = zip(*(_found(model, x, y, x_adv, distance, budget, targeted) for x_adv in (ours, theirs)), strict=True)
    both = found[0] & found[1]
    means = tuple(float(values[both].mean()) if both.any() else np.nan for values in far)
    return Verdict(tuple(float(values.mean()) for values in found), means, float((found[0] != found[1]).mean()))


def _found(model, x, y, x_adv, distance, budget, targeted):
    """Which images are adversarial inside the box and the budget, and how far all are."""
    decided = np.asarray(model(x_adv)).argmax(-1)
    far = distance(x_adv - x)
    legal = (x_adv.min(axis=(1, 2, 3)) >= 0) & (x_adv.max(axis=(1, 2, 3)) <= 1) & (far <= budget + 1e-6)
    # Foolbox hands back black images where it has found nothing, and the model may well call them something else.
    nothing = (x_adv == 0).all(axis=(1, 2, 3))
    return ((decided == y) if targeted else (decided != y)) & legal & ~nothing, far


def right_images(model, x, y, n):
    """The first `n` images that the model gets right: peers differ in what they do with the others."""
    right = np.flatnonzero(np.asarray(model(x)).argmax(-1) == y)[:n]
    return x[right], y[right]


def likeliest_others(model, x, y):
    """The likeliest class other than `y`: a target for each image."""
    logits = np.array(model(x))
    logits[np.arange(len(x)), y] = -np.inf
    return logits.argmax(-1)
