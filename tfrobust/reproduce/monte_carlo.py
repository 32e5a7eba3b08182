"""How the MC-dropout paper's figures are measured: one pass against many, and what the passes' spread betrays."""

import numpy as np

from tfrobust import data as datasets, evaluation, terminal
from tfrobust.attacks import Victim

BATCH = 128


def accuracies(suite):
    """Accuracy of one pass (`-S`) and of the sum of 50 (`-M`), in percent.

    Args:
        suite: `{name: attack}`; None for an attack leaves the images clean.

    Returns:
        A function `({label: model}, images, labels) -> {label: {column: percent}}`.

    Example:
        >>> from tfrobust import architectures, data
        >>> digits = data.load("digits", n=8)
        >>> found = accuracies({"Clean": None})({"a": architectures.build("mlp_mcd")}, digits.pixels(), digits.labels)
        >>> list(found["a"])
        ['Clean-S', 'Clean-M']
    """

    def one(model, x, y):
        figures = {}
        for name, attack in suite.items():
            images = attacked(attack, model, x, y)
            # Another seed, as otherwise the one pass would be the first of the 50.
            ways = {"S": evaluation.uncertainty(model, images, 1, seed=1), "M": evaluation.uncertainty(model, images)}
            figures |= {f"{name}-{way}": 100 * float((found.predicted == y).mean()) for way, found in ways.items()}
        return figures

    return lambda models, x, y: {label: one(model, x, y) for label, model in models.items()}


def detection(suite, data="mnist"):
    """Mean and variance, over images, of the uncertainty; and how many images detectors that know it tell rightly.

    Args:
        suite: `{name: attack}`; None for an attack leaves the images clean, which gives no detector.
        data: data set whose held-out images the detectors are fitted on, as many as they are tried on.

    Returns:
        A function `({label: model}, images, labels) -> {label: {column: figure}}` with the columns `<name> mu`,
        `<name> sigma`, and for attacks `<name> LR`, `<name> mixture` in percent.
    """
    detectors = {"LR": evaluation.LogisticDetector, "mixture": evaluation.MixtureDetector}

    def one(model, x, y):
        held_out, figures = datasets.load(data, "validation", len(x)), {}
        others = held_out.pixels(), held_out.labels
        clean, clean_others = _spread(None, model, x, y), _spread(None, model, *others)
        for name, attack in suite.items():
            found = clean if attack is None else _spread(attack, model, x, y)
            figures |= {f"{name} mu": float(found.mean()), f"{name} sigma": float(found.var())}
            if attack is not None:
                found_others = _spread(attack, model, *others)
                for kind, detector in detectors.items():
                    score = detector.fit(clean_others, found_others).score(clean, found)
                    figures[f"{name} {kind}"] = 100 * score.accuracy
        return figures

    return lambda models, x, y: {label: one(model, x, y) for label, model in models.items()}


def histograms(suite):
    """Mean uncertainty, and how many images have how much of it, in 100 bins from 0 to 0.035.

    Args:
        suite: `{name: attack}`; None for an attack leaves the images clean.

    Returns:
        A function `({label: model}, images, labels) -> {label: {column: figure}}` with the columns `<name> mu` and, for
        each bin, `<name> <lower edge>`.
    """

    def one(model, x, y):
        figures = {}
        for name, attack in suite.items():
            found = _spread(attack, model, x, y)
            counts, edges = evaluation.histogram(found)
            figures[f"{name} mu"] = float(found.mean())
            figures |= {f"{name} {edge:.5f}": int(count) for edge, count in zip(edges, counts, strict=False)}
        return figures

    return lambda models, x, y: {label: one(model, x, y) for label, model in models.items()}


def _spread(attack, model, x, y):
    """Uncertainty of each image after the attack, `[n]`."""
    return evaluation.uncertainty(model, attacked(attack, model, x, y)).variance


def attacked(attack, model, x, y):
    """What an attack makes of every image, also of those that are wrong already; for None, the images themselves."""
    if attack is None:
        return x
    victim, parts = Victim(model, x[:4], attack.eot), []
    with terminal.bar(attack.name, len(x)) as advance:
        for start in range(0, len(x), BATCH):
            part = slice(start, start + BATCH)
            rng = np.random.default_rng([attack.seed, start])
            parts.append(attack.perturb(victim, x[part], y[part], rng))
            advance(len(parts[-1]))
    return np.concatenate(parts)
