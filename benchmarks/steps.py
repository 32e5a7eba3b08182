"""Costs as ratios, each taken in one run: quantized training steps against ReLU, PGD-40 against its bare gradient.

Run `make benchmarks` while nothing else runs. Prints a table and exits with 1 if a ratio misses its bound.
"""

import statistics
import subprocess
import sys
import time

import keras
import numpy as np
import rich.console
import rich.table

from tfrobust import architectures, data, losses, reproduce
from tfrobust.attacks import FGSM, PGD, Victim
from tfrobust.attacks.gradients import input_gradient
from tfrobust.reproduce import measures
from tfrobust.training import Standard
from tfrobust.training.defenses import clean_examples
from tfrobust.training.step import compile_step
from tfrobust.zoo.runs import computing

BATCH, ROUNDS, STEPS = 128, 15, 10


def seconds(functions, rounds=ROUNDS):
    """Median seconds of each function; they take turns, so that drift of the machine hits all alike."""
    for function in functions.values():
        function()
    taken = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            started = time.perf_counter()
            function()
            taken[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in taken.items()}


def training_step(name, x, y):
    """A function that takes `STEPS` training steps of the network `name`."""
    model = architectures.build(name)
    optimizer = keras.optimizers.Adam(1e-4)
    optimizer.build(model.trainable_variables)
    step, examples = compile_step(model, optimizer, Standard()), clean_examples(x, y)
    return lambda: [float(step(*examples)[0]) for _ in range(STEPS)]


def defended_steps(x, y):
    """Times FGSM's step of each row of table 4 of the SQA paper."""
    item = reproduce.ITEMS["sqa/table4"]
    measured = item.measure({row.label: architectures.build(row.entry) for row in item.rows}, x, y)
    return {label: figures["times FGSM's"] for label, figures in measured.items()}


def residual_steps():
    """Times the ReLU network's of an FGSM training step of the quantized ones, as CIFAR-10 is trained on a CPU."""
    x, y = np.random.default_rng(0).random((32, 32, 32, 3), "float32"), np.arange(32) % 10
    with computing("mixed_bfloat16"):
        models = {name: architectures.build(name) for name in ("resnet18", "resnet18_dqa2", "resnet18_sqa")}
    measure = measures.step_seconds(dict.fromkeys(models, FGSM(eps=8 / 255)), batch=len(x))
    return {name: figures["times FGSM's"] for name, figures in measure(models, x, y).items()}


def pgd_and_gradients(x, y):
    """PGD-40 as the attack runs it, and 40 bare compiled input gradients of the same model."""
    model = architectures.build("lenet")
    attack = PGD(eps=0.3, eps_iter=0.01, nb_iter=40)
    victim = Victim(model, x[:4])
    rng = np.random.default_rng(0)
    return (
        lambda: attack.perturb(victim, x, y, rng),
        lambda: [input_gradient(model, losses.cross_entropy, x, y).numpy() for _ in range(40)],
    )


def import_seconds(module):
    """Median seconds that a fresh process takes to import a module."""
    command = [sys.executable, "-c", f"import {module}"]

    def run():
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)

    return run


def main():
    digits = data.load("mnist" if data.is_available("mnist") else "digits", "train", BATCH)
    x, y = digits.pixels(), digits.labels
    taken = seconds({name: training_step(name, x, y) for name in ("lenet", "lenet_dqa2", "lenet_sqa")})
    times, residual = defended_steps(x, y), residual_steps()
    pgd, gradients = pgd_and_gradients(x, y)
    taken |= seconds({"pgd": pgd, "gradients": gradients})
    taken |= seconds({"keras": import_seconds("keras"), "tfrobust": import_seconds("tfrobust")}, rounds=5)
    rows = [
        ("DQA2 training step / ReLU step, lenet", taken["lenet_dqa2"] / taken["lenet"], "<=", 1.5),
        ("SQA training step / ReLU step, lenet", taken["lenet_sqa"] / taken["lenet"], "<=", 1.35),
        ("SQA + FGSM training step / FGSM step, cnn_large", times["SQA + FGSM"], "<=", 1.35),
        ("PGD-10 training step / FGSM step, cnn_large", times["PGD-10"], "paper", 2.86),
        ("PGD-100 training step / FGSM step, cnn_large", times["PGD-100"], "paper", 23.65),
        ("DQA2 + FGSM training step / ReLU's, resnet18, bfloat16", residual["resnet18_dqa2"], "<=", 1.25),
        ("SQA + FGSM training step / ReLU's, resnet18, bfloat16", residual["resnet18_sqa"], "<=", 1.35),
        ("PGD-40 speed / bare compiled gradient's", taken["gradients"] / taken["pgd"], ">=", 0.85),
        ("import tfrobust / import keras", taken["tfrobust"] / taken["keras"], "<=", 1.1),
    ]
    table = rich.table.Table("ratio", "measured", "bound", title=f"batch {BATCH}, medians of interleaved rounds")
    for what, ratio, sign, bound in rows:
        table.add_row(what, f"{ratio:.2f}", f"{sign} {bound}")
    rich.console.Console().print(table)
    # An input gradient costs two thirds of a training step here, a third on the paper's network: theirs is no bound.
    missed = {"<=": lambda ratio, bound: ratio > bound, ">=": lambda ratio, bound: ratio < bound}
    return int(any(missed[sign](ratio, bound) for _, ratio, sign, bound in rows if sign in missed))


if __name__ == "__main__":
    sys.exit(main())
