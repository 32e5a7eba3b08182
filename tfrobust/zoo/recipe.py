"""A recipe: everything that makes a set of weights, as data; and the run that turns it into a zoo entry."""

import argparse
import dataclasses
import importlib.metadata
import pathlib
import platform
import tempfile

from tfrobust import checks, evaluation, training
from tfrobust.attacks import AbstractAttack
from tfrobust.types import ThreatModel
from tfrobust.zoo import cards, facts, manifest, weights
from tfrobust.zoo.hub import build, load
from tfrobust.zoo.runs import train

MAY_BE_UNUSED = (
    "surrogate",
    "ema",
    "crop",
    "flip",
    "precision",
    "start",
    "augment",
)  # cards show these only where a recipe sets them
OF_TRAINING = ("training_seconds", "trained_on", "training_log")  # what a card says of the run
PACKAGES = ("tensorflow", "keras", "numpy", "cleverhans", "ai-edge-litert")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a zoo entry is trained and measured.

    Args:
        name: the entry, `<model>.<tag>`.
        data: name of the data set.
        defense: a defense of `tfrobust.training`.
        epochs, batch_size, optimizer, learning_rate, schedule, surrogate, ema, crop, flip, seed: see
            `tfrobust.training.fit`.
        precision: Keras's dtype policy in training, e.g. `"mixed_bfloat16"`; what is shipped and measured computes in
            float32.
        start: zoo entry whose weights training begins with: the same network, or its version with ReLU (see
            `layers.handover`); None begins from fresh ones.
        augment: attack whose images of the network that training begins with join the training images, once; or None.
        eps: Linf budget of the evaluation.
        transfer_from: zoo entry whose adversarial images are tried on this one.
        n, n_costly: see `tfrobust.evaluate`; the int8 file is proven on `n_costly` images.
        paper: accuracies that the paper states, in percent by attack name, and their `source`.
        is_default: whether the model's name without a tag means this entry.
        accelerator: settings in the place of those above where an accelerator is at hand.

    Example:
        >>> Recipe(name="lenet.try", data="digits", defense=training.Standard(), epochs=1).model
        'lenet'
    """

    name: str
    data: str
    defense: training.AbstractDefense
    epochs: int
    batch_size: int = 128
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    schedule: str = "one_cycle"
    surrogate: str | None = None
    ema: float | None = None
    crop: int = 0
    flip: bool = False
    precision: str = "float32"
    seed: int = 0
    start: str | None = None
    augment: AbstractAttack | None = None
    eps: float = 0.3
    transfer_from: str | None = None
    n: int | None = None
    n_costly: int = 1000
    paper: dict = dataclasses.field(default_factory=dict)
    is_default: bool = True
    accelerator: dict = dataclasses.field(default_factory=dict)

    @property
    def model(self):
        """Name of the network."""
        return self.name.split(".")[0]

    @property
    def threat(self):
        """Threat model that it is trained for, as text."""
        return str(self.defense.attack.threat) if self.defense.attack else "none"

    @property
    def training(self):
        """Arguments of `tfrobust.training.fit`."""
        names = "defense", "epochs", "batch_size", "optimizer", "learning_rate", "schedule"
        names += "surrogate", "ema", "crop", "flip", "seed"
        return {name: getattr(self, name) for name in names}

    def text(self):
        """The training settings as text, for the card."""
        settings = {**self.training, "precision": self.precision, "start": self.start, "augment": self.augment}
        unused = {field.name: field.default for field in dataclasses.fields(self) if field.name in MAY_BE_UNUSED}
        shown = {name: value for name, value in settings.items() if name not in unused or value != unused[name]}
        return ", ".join(f"{name}={value!r}" for name, value in shown.items())


def publish(recipe, runs="runs", zoo=None, show_progress=None, on_epoch=None):
    """Train, ship the weights, and measure what was shipped: weights file, manifest row, card.

    Args:
        recipe: a `Recipe`.
        runs: folder for checkpoints.
        zoo: folder of the zoo; None is the package's own.
        show_progress, on_epoch: see `tfrobust.training.fit`.

    Returns:
        The `Card`.

    Raises:
        ValueError: `start` or `transfer_from` has no weights in the zoo: run its recipe first.
    """
    for needed in filter(None, (recipe.start, recipe.transfer_from)):
        manifest.trained(needed, zoo)  # before hours of training, not after
    model, history, machine = train(recipe, runs, zoo, show_progress, on_epoch)
    ship(recipe, model, zoo)
    return _fill(recipe, _trained(history, machine), zoo, show_progress)


def measure(recipe, zoo=None, show_progress=None):
    """Measure what was shipped once more: the same weights, on other images or under attacks that have changed since.

    Args:
        recipe: the `Recipe` that the weights were made by; `n` and `n_costly` may have changed.
        zoo: folder of the zoo; None is the package's own.
        show_progress: see `tfrobust.training.fit`.

    Returns:
        The new `Card`; what it says of the training run stays.

    Raises:
        ValueError: the entry has no weights, or they were made by other training settings than the recipe's.
    """
    card = cards.read(recipe.name, zoo)
    message = "the weights must have been made by this recipe's training settings; train them anew with `publish`."
    checks.require(card.recipe == recipe.text(), message, recipe=recipe.text(), card=card.recipe)
    return _fill(recipe, {name: getattr(card, name) for name in OF_TRAINING}, zoo, show_progress)


def enter(recipe, zoo=None):
    """Put an entry into the zoo before it is trained: manifest row and card, without weights and figures of ours.

    Args:
        recipe: a `Recipe`.
        zoo: folder of the zoo; None is the package's own.

    Returns:
        The `Card`; `publish` replaces it by one with figures.

    Raises:
        ValueError: the entry has weights already.
    """
    present = manifest.read(zoo).get(recipe.name)
    is_free = present is None or not present.is_trained
    checks.require(is_free, "the entry must not have weights yet.", name=recipe.name)
    card = cards.Card(**_stated(recipe, build(recipe.model, recipe.data)))
    cards.write(card, zoo)
    manifest.add(_entry(recipe), zoo)
    return card


def ship(recipe, model, zoo=None):
    """Write the weights of a trained model and its manifest row; return the `Entry`."""
    file = manifest.folder(zoo) / "weights" / f"{recipe.name}.npz"
    file.parent.mkdir(parents=True, exist_ok=True)
    digest, size = weights.save(model, file)
    entry = _entry(recipe, weights=file.name, sha256=digest, bytes=size)
    manifest.add(entry, zoo)
    return entry


def _entry(recipe, **file):
    same = {name: getattr(recipe, name) for name in ("name", "model", "data", "threat", "is_default")}
    return manifest.Entry(**same, **file)


def _stated(recipe, model):
    """What a card says whether or not the entry is trained."""
    return {
        **{name: getattr(recipe, name) for name in ("name", "model", "data", "seed", "paper")},
        "data_licence": cards.LICENCES[recipe.data],
        "threat": str(ThreatModel(recipe.eps)),
        "recipe": recipe.text(),
        **facts.of(model),
    }


def _trained(history, machine):
    """What a card says of the training run."""
    seconds = round(sum(epoch.seconds for epoch in history), 1)
    log = [epoch._asdict() for epoch in history]
    return dict(zip(OF_TRAINING, (seconds, machine, log), strict=True))


def _fill(recipe, of_training, zoo, show_progress):
    """Evaluate and export the shipped weights; write and return the card."""
    model, entry = load(recipe.name, zoo=zoo), manifest.trained(recipe.name, zoo)
    source = load(recipe.transfer_from, zoo=zoo) if recipe.transfer_from else None
    shared = {"source": source, "show_progress": show_progress}
    plain = {"suite": "basic", "n": recipe.n, "n_costly": recipe.n_costly, "examine": False}
    report = evaluation.evaluate(model, recipe.data, recipe.eps, **plain, **shared)
    adaptive = evaluation.evaluate(model, recipe.data, recipe.eps, suite="adaptive", n=recipe.n_costly, **shared)
    worst = min(report.worst, adaptive.worst, key=lambda accuracy: accuracy.value)
    measured = {
        **{key: report.to_dict()[key] for key in ("clean", "attacks", "is_random", "judge_passes", "eot")},
        **{key: adaptive.to_dict()[key] for key in ("checks", "verdict")},
        "adaptive": adaptive.to_dict()["attacks"],
        "worst": worst.to_dict(),
    }
    filled = cards.Card(
        **_stated(recipe, model),
        **measured,
        **of_training,
        weights_bytes=entry.bytes,
        int8=_int8(recipe, model),
        versions={
            "python": platform.python_version(),
            **{package: importlib.metadata.version(package) for package in PACKAGES},
        },
    )
    cards.write(filled, zoo)
    return filled


def _int8(recipe, model):
    """What exporting to int8 proved, as plain data; or why the exporter refused."""
    from tfrobust import export  # needs TensorFlow, training on JAX does not

    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / f"{recipe.name}.tflite"
        try:
            report = export.to_tflite(model, file, "int8", data=recipe.data, eps=recipe.eps, n=recipe.n_costly)
        except ValueError as error:  # no answer is part of the answer: hours of measuring must not be lost to it
            return {"refused": str(error).split(" Received:")[0]}
    return report.to_dict() | {"path": file.name}


def main(recipe):
    """Run a recipe from the command line, `python zoo/recipes/NAME.py [runs] [--accelerator] [--train | --measure]`."""
    parser = argparse.ArgumentParser(description=f"Train, ship and measure {recipe.name}.")
    parser.add_argument("runs", nargs="?", default="runs", help="folder for checkpoints and finished runs")
    parser.add_argument("--accelerator", action="store_true", help="the recipe's settings for an accelerator")
    parts = parser.add_mutually_exclusive_group()
    parts.add_argument("--train", action="store_true", help="leave shipping and measuring to a later call")
    parts.add_argument("--measure", action="store_true", help="measure the shipped weights once more, train nothing")
    asked = parser.parse_args()
    if asked.accelerator:
        recipe = dataclasses.replace(recipe, **recipe.accelerator)
    if asked.train:
        train(recipe, asked.runs, on_epoch=print)
    elif asked.measure:
        print(measure(recipe))
    else:
        print(publish(recipe, asked.runs, on_epoch=print))
