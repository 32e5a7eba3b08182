"""A fixed set of adversarial images beside the clean ones, made once and then trained on."""

import dataclasses
import pathlib

import numpy as np

from tfrobust import terminal
from tfrobust.files import write_atomically

PART = 1024  # images attacked between two moves of the progress bar


def with_adversarial(model, data, attack, *, file=None, show_progress=None):
    """The images of `data`, followed by what `attack` makes of each against `model` as it is now.

    Formula: `{(x, y)} + {(attack(model, x, y), y)}`; trained on, it is the DeepFool paper's adversarial training, "Adv.
    Train I" in Deep Defense.

    Args:
        model: callable from images to logits, or a Keras model.
        data: a `tfrobust.data.Dataset`.
        attack: any attack.
        file: `.npz` that keeps the adversarial images; if it is there, they are read instead of made.
        show_progress: True, False, or None for "on a terminal".

    Returns:
        A `Dataset` of twice as many images, float32; the labels are the true ones.

    Raises:
        ValueError: images or labels are not as the attack needs them, or `file` cannot be written.

    Example:
        >>> from tfrobust import architectures, attacks, data
        >>> digits = data.load("digits", "train", 20)
        >>> len(with_adversarial(architectures.build("mlp"), digits, attacks.FGSM(eps=0.1)))
        40

    Reference:
        S.-M. Moosavi-Dezfooli, A. Fawzi, P. Frossard, "DeepFool: A Simple and Accurate Method to Fool Deep Neural
        Networks", CVPR 2016.
    """
    if file is not None and pathlib.Path(file).exists():
        with np.load(file) as saved:
            x_adv = saved["x_adv"]
    else:
        x_adv = _attacked(model, data, attack, show_progress)
        if file is not None:
            write_atomically(file, lambda path: np.savez(path, x_adv=x_adv))
    return dataclasses.replace(
        data,
        name=f"{data.name} and {attack.name}",
        images=np.concatenate([data.pixels(), x_adv]),
        labels=np.concatenate([data.labels, data.labels]),
    )


def _attacked(model, data, attack, show_progress):
    parts = []
    with terminal.bar(attack.name, len(data), show_progress) as advance:
        for first in range(0, len(data), PART):
            part = slice(first, first + PART)
            parts.append(attack(model, data.pixels(part), data.labels[part], first=first).x_adv)
            advance(len(parts[-1]))
    return np.concatenate(parts)
