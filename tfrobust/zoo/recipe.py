"""A recipe: everything that makes a set of weights, as data; and the run that turns it into a zoo entry."""

import dataclasses
import importlib.metadata
import pathlib
import platform
import tempfile

import keras

from tfrobust import architectures, checks, data as datasets, evaluation, export, training
from tfrobust.attacks import AbstractAttack
from tfrobust.quantizers import AbstractQuantizer
from tfrobust.zoo import cards, manifest, weights
from tfrobust.zoo.hub import load

MAY_BE_UNUSED = ("surrogate", "ema", "crop", "start", "augment")  # cards show these only where a recipe sets them
PACKAGES = ("tensorflow", "keras", "numpy", "cleverhans", "ai-edge-litert")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a zoo entry is trained and measured.

    Args:
        name: the entry, `<model>.<tag>`.
        data: name of the data set.
        defense: a defense of `tfrobust.training`.
        epochs, batch_size, optimizer, learning_rate, schedule, surrogate, ema, crop, seed: see `tfrobust.training.fit`.
        start: zoo entry of the same network whose weights training begins with; None begins from fresh ones.
        augment: attack whose images of the network that training begins with join the training images, once; or None.
        eps: Linf budget of the evaluation.
        transfer_from: zoo entry whose adversarial images are tried on this one.
        n, n_costly: see `tfrobust.evaluate`; the int8 file is proven on `n_costly` images.
        paper: accuracies that the paper states, in percent by attack name, and their `source`.
        is_default: whether the model's name without a tag means this entry.

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
    seed: int = 0
    start: str | None = None
    augment: AbstractAttack | None = None
    eps: float = 0.3
    transfer_from: str | None = None
    n: int | None = None
    n_costly: int = 1000
    paper: dict = dataclasses.field(default_factory=dict)
    is_default: bool = True

    @property
    def model(self):
        """Name of the network."""
        return self.name.split(".")[0]

    @property
    def training(self):
        """Arguments of `tfrobust.training.fit`."""
        names = "defense", "epochs", "batch_size", "optimizer", "learning_rate", "schedule"
        names += "surrogate", "ema", "crop", "seed"
        return {name: getattr(self, name) for name in names}

    def text(self):
        """The training settings as text, for the card."""
        settings = {**self.training, "start": self.start, "augment": self.augment}
        unused = {field.name: field.default for field in dataclasses.fields(self) if field.name in MAY_BE_UNUSED}
        shown = {name: value for name, value in settings.items() if name not in unused or value != unused[name]}
        return ", ".join(f"{name}={value!r}" for name, value in shown.items())


def train(recipe, runs="runs", zoo=None, show_progress=None, on_epoch=None):
    """Train what `recipe` says, in `runs/<name>`; a run that was killed goes on, a finished one is loaded.

    Args:
        recipe: a `Recipe`.
        runs: folder for checkpoints and logs.
        zoo: folder of the zoo that `start` is looked up in; None is the package's own.
        show_progress, on_epoch: see `tfrobust.training.fit`.

    Returns:
        `(model, history)`: the trained `keras.Model` and its `Epoch` records.

    Raises:
        ValueError: the folder holds a run with other settings, or `start` is not in the zoo or of another network.
    """
    folder = pathlib.Path(runs) / recipe.name
    keras.utils.set_random_seed(recipe.seed)
    model = architectures.build(recipe.model)
    if recipe.start:
        begun = load(recipe.start, zoo=zoo)
        checks.require(begun.name == model.name, f"start must be an entry of {model.name}.", start=recipe.start)
        model.set_weights(begun.get_weights())
    data = datasets.load(recipe.data, "train")
    if recipe.augment:
        folder.mkdir(parents=True, exist_ok=True)
        data = training.with_adversarial(model, data, recipe.augment, file=folder / "adversarial.npz")
    hooks = {"folder": folder, "show_progress": show_progress, "on_epoch": on_epoch}
    validation = datasets.load(recipe.data, "validation")
    return model, training.fit(model, data, validation=validation, **hooks, **recipe.training)


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
        ValueError: `transfer_from` is not in the zoo: run its recipe first.
    """
    if recipe.transfer_from:
        manifest.resolve(recipe.transfer_from, zoo)  # before hours of training, not after
    model, history = train(recipe, runs, zoo, show_progress, on_epoch)
    entry = ship(recipe, model, zoo)
    filled = _measure(recipe, entry, load(recipe.name, zoo=zoo), history, zoo, show_progress)
    cards.write(filled, zoo)
    return filled


def ship(recipe, model, zoo=None):
    """Write the weights of a trained model and its manifest row; return the `Entry`."""
    file = f"{recipe.name}.npz"
    digest, size = weights.save(model, (zoo or manifest.folder()) / "weights" / file)
    entry = manifest.Entry(
        name=recipe.name,
        model=recipe.model,
        data=recipe.data,
        threat=str(recipe.defense.attack.threat) if recipe.defense.attack else "none",
        weights=file,
        sha256=digest,
        bytes=size,
        is_default=recipe.is_default,
    )
    manifest.add(entry, zoo)
    return entry


def _measure(recipe, entry, model, history, zoo, show_progress):
    """Evaluate and export the shipped weights; return the filled card."""
    source = load(recipe.transfer_from, zoo=zoo) if recipe.transfer_from else None
    shared = {"source": source, "show_progress": show_progress}
    plain = {"suite": "basic", "n": recipe.n, "n_costly": recipe.n_costly, "examine": False}
    report = evaluation.evaluate(model, recipe.data, recipe.eps, **plain, **shared)
    adaptive = evaluation.evaluate(model, recipe.data, recipe.eps, suite="adaptive", n=recipe.n_costly, **shared)
    worst = min(report.worst, adaptive.worst, key=lambda accuracy: accuracy.value)
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / f"{recipe.name}.tflite"
        int8 = export.to_tflite(model, file, "int8", data=recipe.data, eps=recipe.eps, n=recipe.n_costly).to_dict()
    int8["path"] = file.name
    measured = {
        **{key: report.to_dict()[key] for key in ("threat", "clean", "attacks", "is_random", "judge_passes", "eot")},
        **{key: adaptive.to_dict()[key] for key in ("checks", "verdict")},
        "adaptive": adaptive.to_dict()["attacks"],
        "worst": worst.to_dict(),
    }
    return cards.Card(
        name=entry.name,
        model=entry.model,
        data=recipe.data,
        data_licence=cards.LICENCES[recipe.data],
        seed=recipe.seed,
        recipe=recipe.text(),
        paper=recipe.paper,
        parameters=model.count_params(),
        activation_bits=_activation_bits(model),
        weight_bits=_bits(getattr(layer, "kernel_quantizer", None) for layer in model.layers),
        weights_bytes=entry.bytes,
        int8=int8,
        training_seconds=round(sum(epoch.seconds for epoch in history), 1),
        training_log=[epoch._asdict() for epoch in history],
        versions={
            "python": platform.python_version(),
            **{package: importlib.metadata.version(package) for package in PACKAGES},
        },
        **measured,
    )


def _activation_bits(model):
    """The lowest precision among activations; that of the images does not count (the model's name tells it)."""
    layers = list(model.layers)
    first = next(place for place, layer in enumerate(layers) if getattr(layer, "kernel", None) is not None)
    places = "quantizer", "input_quantizer"
    return _bits(getattr(layer, place, None) for layer in layers[first + 1 :] for place in places)


def _bits(quantizers):
    """The lowest precision of some quantizers; 32 where there is none."""
    found = [quantizer.precision for quantizer in quantizers if isinstance(quantizer, AbstractQuantizer)]
    return min(found, default=32)


def main(recipe):
    """Run a recipe from the command line: `python zoo/recipes/NAME.py [runs folder]`."""
    import sys

    checks.require(
        len(sys.argv) <= 2, "a recipe takes at most one argument, the folder for checkpoints.", argv=sys.argv
    )
    print(publish(recipe, *sys.argv[1:], on_epoch=print))
