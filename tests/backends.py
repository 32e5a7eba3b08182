"""What tests/test_backends.py computes on TensorFlow and on JAX, to compare."""

import keras
import numpy as np

from tfrobust import architectures, attacks, data, evaluation, training, zoo

FLOAT, STAIRCASE, EPS = "lenet.mnist_clean", "lenet_dqa2.digits_pgd", 0.3


def logits():
    """Logits of trained entries on real digits."""
    x = data.load("digits", "test", 200).pixels()
    return {name: np.asarray(keras.ops.convert_to_numpy(zoo.load(name)(x))) for name in (FLOAT, STAIRCASE)}


def withstood():
    """Which images a trained entry gets right under PGD."""
    test = data.load("digits", "test", 200)
    pgd = attacks.PGD(eps=EPS, eps_iter=EPS / 10, nb_iter=20)
    return {"withstood": ~pgd(zoo.load(STAIRCASE), test.pixels(), test.labels).success}


def trained():
    """Weights after steps of adversarial training without chance: on one backend as on the other."""
    model, images = architectures.build("lenet"), data.load("digits", "train", 200)
    for variable, values in zip(model.trainable_variables, start(), strict=True):
        variable.assign(values)
    defense = training.WeightDecay(1e-3, defense=training.AdversarialTraining(attacks.FGSM(eps=0.1), clean_weight=0.5))
    settings = {"epochs": 1, "batch_size": 50, "optimizer": "sgd", "learning_rate": 0.05, "ema": 0.5}
    training.fit(model, images, defense=defense, show_progress=False, **settings)
    weights = model.trainable_variables
    return {f"weight{i}": np.asarray(keras.ops.convert_to_numpy(value)) for i, value in enumerate(weights)}


def start():
    """Weights from numpy, the same on every backend."""
    rng = np.random.default_rng(0)
    shapes = [variable.shape for variable in architectures.build("lenet").trainable_variables]
    scales = [(2 / np.prod(shape[:-1])) ** 0.5 if len(shape) > 1 else 0.1 for shape in shapes]
    return [rng.normal(scale=scale, size=shape).astype("float32") for scale, shape in zip(scales, shapes, strict=True)]


def evaluated():
    """Worst case of a suite, and what stood in it."""
    model, test = zoo.load(STAIRCASE), data.load("digits", "test", 40)
    report = evaluation.evaluate(model, test, EPS, suite="basic", examine=False, show_progress=False)
    return {"worst": report.worst.value, "attacks": [attack.name for attack in report.attacks]}


def results():
    """Everything that is compared."""
    return {**logits(), **withstood(), **trained(), **evaluated()}
