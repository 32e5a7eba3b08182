"""How a table's figures are measured: each function takes all models of the table, by label."""

import itertools
import statistics
import time

import keras
import numpy as np

from tfrobust import attacks, data as datasets, evaluation, layers, training
from tfrobust.attacks import Victim
from tfrobust.evaluation.evaluate import which_right
from tfrobust.training.step import compile_step


def accuracies(suite):
    """Accuracy clean and under each attack, in percent.

    Args:
        suite: `{column: attack}`.

    Returns:
        A function `({label: model}, images, labels) -> {label: {column: percent}}`.

    Example:
        >>> from tfrobust import architectures, attacks, data
        >>> digits = data.load("digits", n=8)
        >>> measure = accuracies({"FGSM": attacks.FGSM(eps=0.1)})
        >>> sorted(measure({"a": architectures.build("mlp")}, digits.pixels(), digits.labels)["a"])
        ['FGSM', 'clean']
    """
    eps = max(attack.eps for attack in suite.values())

    def one(model, x, y):
        report = evaluation.evaluate(model, (x, y), eps, suite=list(suite.values()), examine=False)
        figures = [report.clean, *report.attacks]
        return {name: 100 * each.value for name, each in zip(("clean", *suite), figures, strict=True)}

    return lambda models, x, y: {label: one(model, x, y) for label, model in models.items()}


def step_seconds(suite, batch=128, rounds=5):
    """Median seconds of one training step, images made by an attack and all; the rows take turns.

    Args:
        suite: `{label: attack}`; half of the loss is on clean images.
        batch: images per step.
        rounds: steps per row, after one that compiles.

    Returns:
        A function `({label: model}, images, labels) -> {label: {"seconds": s, "times FGSM's": ratio}}`.
    """

    def measure(models, x, y):
        x, y = x[:batch], y[:batch]
        steps = {label: _training_step(models[label], attack, x, y) for label, attack in suite.items()}
        taken = {label: [] for label in steps}
        for step in steps.values():
            step()
        for _, label in itertools.product(range(rounds), steps):
            started = time.perf_counter()
            steps[label]()
            taken[label].append(time.perf_counter() - started)
        seconds = {label: statistics.median(values) for label, values in taken.items()}
        first = next(iter(seconds.values()))
        return {label: {"seconds": value, "times FGSM's": value / first} for label, value in seconds.items()}

    return measure


def _training_step(model, attack, x, y):
    """A function that takes one step of adversarial training."""
    defense = training.AdversarialTraining(attack, clean_weight=0.5)
    optimizer = keras.optimizers.Adam(1e-4)
    optimizer.build(model.trainable_variables)
    step = compile_step(model, optimizer, defense)
    victim, rng = Victim(model, x[:4], 1), np.random.default_rng(0)
    return lambda: float(step(*defense.examples(victim, x, y, rng, 0))[0])


def rounded_layer(places, budgets, data="mnist", epochs=2, n_worst=200):
    """Accuracy under FGSM over budgets, in percent, of networks trained with the activations of one layer rounded.

    Args:
        places: `{label: hidden layer, from 1}`; None rounds none.
        budgets: rising, in pixel units; the worst case is that at the last.
        data: data set whose training images the networks are trained on, clean.
        epochs: of training.
        n_worst: images that the worst case is measured on.

    Returns:
        A function `({label: fresh model}, images, labels) -> {label: {column: percent}}`.
    """

    def one(model, place, x, y):
        network = model if place is None else _rounded(model, place)
        training.fit(network, datasets.load(data, "train"), epochs=epochs)
        hit = {f"{eps:g}": attacks.FGSM(eps=eps)(network, x, y).success for eps in budgets}
        few = x[:n_worst], y[:n_worst]
        worst = evaluation.evaluate(network, few, budgets[-1], suite="basic", examine=False).worst
        figures = {eps: 100 * float(1 - success.mean()) for eps, success in hit.items()}
        return figures | {"worst case": (100 * worst.value, worst.n)}

    return lambda models, x, y: {label: one(models[label], place, x, y) for label, place in places.items()}


def _rounded(model, place):
    """A copy of a network in which the activations of a hidden layer take the nearer of two values per map."""
    network = layers.quantize(model, activation="sqa2", skip=lambda layer: layer.name != f"activation_{place}")
    for layer in network.layers:
        if isinstance(layer, layers.SQA):
            layer.stochastic = "never"
    return network


def deep_defense(models, x, y):
    """Clean accuracy, rho_2 under DeepFool, accuracy under FGSM at shares of each network's eps_ref."""
    figures = {label: {"clean": 100 * float(right(model, x, y).mean())} for label, model in models.items()}
    for label, model in models.items():
        figures[label]["rho_2"] = evaluation.relative_distance(x, attacks.DeepFool()(model, x, y).x_adv)
        defended = models.get(f"{label.split(',')[0]}, Deep Defense")
        if defended is not None:
            eps = evaluation.reference_eps(defended, x, y)
            for share in (0.2, 0.5, 1.0):
                attacked = attacks.FGSM(eps=share * eps)(model, x, y).success
                figures[label][f"{share} eps_ref"] = 100 * float(1 - attacked.mean())
    return figures


def deep_defense_distances(eps):
    """Least distances by three attacks, accuracy under PGD-40, similarity of DeepFool's images.

    Args:
        eps: PGD's budget; it takes steps of a tenth.

    Returns:
        A function `({label: model}, images, labels) -> {label: {column: figure}}`.
    """
    pgd = attacks.PGD(eps=eps, eps_iter=eps / 10, nb_iter=40)
    return lambda models, x, y: {label: _distances(model, pgd, x, y) for label, model in models.items()}


def _distances(model, pgd, x, y):
    few = slice(0, max(1, len(x) // 10))
    nearest = attacks.DeepFool()(model, x, y)
    least = evaluation.least_fgsm_eps(model, x, y)
    reached = np.isfinite(least)
    return {
        "L2 DeepFool": float(nearest.distance.mean()),
        "rho_inf FGSM": float(np.mean(least[reached] / x[reached].max(axis=(1, 2, 3)))),
        "L2 C&W": float(attacks.CarliniWagnerL2()(model, x[few], y[few]).distance.mean()),
        f"PGD {pgd.eps:g}": 100 * float(1 - pgd(model, x, y).success.mean()),
        "PASS": evaluation.perceptual_similarity(x, nearest.x_adv),
    }


def right(model, x, y):
    """Which images a model gets right, `[n]`; a random one in most of its passes."""
    return which_right(Victim(model, x[:4]), x, y)
