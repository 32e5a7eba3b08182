"""How figures are measured that need no gradient of the network, or the nearest image instead of a budget."""

import keras
import numpy as np

from tfrobust import architectures, data as datasets, training
from tfrobust.reproduce.measures import right
from tfrobust.reproduce.monte_carlo import attacked

SEED = 0  # of the substitute's weights and of the order in which it sees its images
RATE = 3e-4  # Adam's; AlexNet, which has no normalization, learns little at 1e-3


def least_distance(attack, n=None):
    """How many images an attack of least distance fools, and at what mean distance.

    Args:
        attack: an attack of least distance.
        n: images that are attacked, the first ones that the network gets right; None is all of them.

    Returns:
        A function `({label: model}, images, labels) -> {label: {"clean": percent, "success": percent, "L2": mean}}`;
        `success` is a share of the attacked images, `L2` a mean over the fooled ones (left out where none is).
    """

    def one(model, x, y):
        is_right = right(model, x, y)
        found = attack(model, x[is_right][:n], y[is_right][:n])
        figures = {"clean": _percent(is_right), "success": _percent(found.success)}
        return figures | ({"L2": float(found.distance[found.success].mean())} if found.success.any() else {})

    return lambda models, x, y: {label: one(model, x, y) for label, model in models.items()}


def substitutes(attack, networks, data, n=None, epochs=10):
    """Accuracy of networks and of substitutes that learnt the same task, clean and under what fools the substitute.

    Args:
        attack: an attack with a budget, made for the substitute.
        networks: `{label: architecture of the row's substitute}`; equal ones are trained once.
        data: data set on whose training images the substitutes are trained.
        n: number of these images; None is all.
        epochs: of that training.

    Returns:
        A function `({label: model}, images, labels) -> {label: {column: percent}}` with the columns `clean`,
        `substitute`, `substitute attacked` and `attacked`.
    """

    def measure(models, x, y):
        made = {name: against(name, x, y) for name in sorted({networks[label] for label in models})}
        figures = {}
        for label, model in models.items():
            images, of_substitute = made[networks[label]]
            ours = {column: _percent(right(model, seen, y)) for column, seen in (("clean", x), ("attacked", images))}
            figures[label] = ours | of_substitute
        return figures

    def against(name, x, y):
        """Images made for a fresh substitute, and its own accuracy."""
        keras.utils.set_random_seed(SEED)
        network = architectures.build(name, input_shape=x.shape[1:])
        settings = {"epochs": epochs, "learning_rate": RATE, "seed": SEED}
        training.fit(network, datasets.load(data, "train", n), show_progress=False, **settings)
        images = attacked(attack, network, x, y)
        seen = {"substitute": x, "substitute attacked": images}
        return images, {column: _percent(right(network, images, y)) for column, images in seen.items()}

    return measure


def _percent(of):
    return 100 * float(np.mean(of))
