"""`evaluate`: how often a model is right, clean and under attack."""

import time

import numpy as np

from tfrobust import checks, data as datasets, terminal
from tfrobust.attacks import Victim
from tfrobust.evaluation import suites
from tfrobust.evaluation.metrics import Accuracy
from tfrobust.evaluation.report import Report
from tfrobust.types import Bounds, ThreatModel

COSTLY = 500  # queries per image above which an attack runs on `n_costly` images


def evaluate(
    model,
    data,
    eps,
    *,
    suite="basic",
    norm=np.inf,
    n=None,
    n_costly=None,
    source=None,
    batch_size=128,
    show_progress=None,
):
    """Measure a model clean, under each attack of a suite, and in the worst case per image.

    Formula: worst case = share of images right clean and under every attack. Intervals are Wilson's, at 95 %.

    Args:
        model: callable from images in [0, 1] to logits, or a Keras model.
        data: a data set's name (its test split is used), a `tfrobust.data.Dataset`, or `(images, labels)`.
        eps: budget in pixel units.
        suite: name of a suite, `"basic"`, or a list of attacks.
        norm: `numpy.inf` or 2.
        n: evaluate the first `n` images; None all.
        n_costly: images for attacks that spend more than 500 queries each; None is `n`.
        source: model from which attacks are transferred, or None.
        batch_size: images attacked at once.
        show_progress: True, False, or None for "on a terminal".

    Returns:
        A `Report`: print it, or `.to_json(path)`.

    Raises:
        ValueError: data, model or budget are not as stated.

    Example:
        >>> from tfrobust import architectures
        >>> from tfrobust.attacks import FGSM
        >>> evaluate(architectures.build("mlp"), "digits", eps=0.1, suite=[FGSM(eps=0.1)], n=64).worst.n
        64

    Reference:
        N. Carlini et al., "On Evaluating Adversarial Robustness", arXiv 2019.
    """
    checks.eps(eps)
    threat = ThreatModel(eps, norm, Bounds())
    started = time.monotonic()
    name, x, y = datasets.unpack(data, n)
    x = checks.images(x, threat.bounds)
    n_costly = len(x) if n_costly is None else checks.count(n_costly, "n_costly")
    victim = Victim(model, x[:4])
    y = checks.labels(y, len(x), victim.classes)

    right = [_clean(victim, x, y, batch_size)]
    clean = Accuracy.of("clean", right[0], seconds=time.monotonic() - started)
    rows = []
    for attack in suites.get(suite, threat, source):
        size = min(n_costly, len(x)) if attack.cost(victim.eot) > COSTLY else len(x)
        begun = time.monotonic()
        with terminal.bar(attack.name, size, show_progress) as advance:
            result = attack(model, x[:size], y[:size], batch_size=batch_size, on_batch=advance)
        right.append(~result.success)
        timing = {"mean_queries": float(result.queries.mean()), "seconds": time.monotonic() - begun}
        rows.append(Accuracy.of(attack.name, right[-1], settings=repr(attack), **timing))

    common = min(len(values) for values in right)
    stands = np.all([values[:common] for values in right], axis=0)
    return Report(
        model=getattr(model, "name", type(model).__name__),
        data=f"{name or 'given images'} ({len(x):,} images)",
        threat=str(threat),
        is_random=victim.is_random,
        judge_passes=victim.judge_passes,
        eot=victim.eot,
        clean=clean,
        attacks=rows,
        worst=Accuracy.of("worst case", stands),
        seconds=time.monotonic() - started,
    )


def _clean(victim, x, y, batch_size):
    """Which images are classified rightly."""
    starts = range(0, len(x), batch_size)
    return np.concatenate([victim.decide(x[i : i + batch_size]) == y[i : i + batch_size] for i in starts])
