"""A training run of a recipe: where it computes, what it leaves, and how it comes back from another machine."""

import contextlib
import json
import pathlib

import keras

from tfrobust import checks, data as datasets, training
from tfrobust.files import sha256, write_atomically
from tfrobust.layers.handover import hand_over
from tfrobust.zoo import weights
from tfrobust.zoo.hub import build, load

WEIGHTS, RECORD = "weights.npz", "run.json"  # of a finished run: all that has to travel
BEGUN = "recipe.txt"  # of a run that has begun: what it was begun with


def train(recipe, runs="runs", zoo=None, show_progress=None, on_epoch=None):
    """Train what `recipe` says, in `runs/<name>`; a run that was killed goes on, a finished one is loaded.

    A finished run is its `weights.npz` and its `run.json`, which may come from another machine.

    Args:
        recipe: a `Recipe`.
        runs: folder for checkpoints and logs.
        zoo: folder of the zoo that `start` is looked up in; None is the package's own.
        show_progress, on_epoch: see `tfrobust.training.fit`.

    Returns:
        `(model, history, machine)`: the trained `keras.Model`, its `Epoch` records, and what it was trained on, as
        text.

    Raises:
        ValueError: the folder holds a run, begun or finished, of another recipe; or `start` is not in the zoo or is of
            another network.
    """
    folder = pathlib.Path(runs) / recipe.name
    if not (folder / RECORD).exists():
        _run(recipe, folder, zoo, show_progress, on_epoch)
    record = json.loads((folder / RECORD).read_text())
    same = record["recipe"] == recipe.text()
    checks.require(same, "the folder must not hold a finished run of another recipe.", folder=str(folder))
    model = build(recipe.model, recipe.data)
    weights.load(model, folder / WEIGHTS, record["sha256"])
    return model, [training.Epoch(**epoch) for epoch in record["history"]], record["machine"]


def _run(recipe, folder, zoo, show_progress, on_epoch):
    """Train to the end and write down what came of it."""
    keras.utils.set_random_seed(recipe.seed)
    with computing(recipe.precision):
        model = build(recipe.model, recipe.data)
    if recipe.start:
        hand_over(load(recipe.start, zoo=zoo), model)
    data = datasets.load(recipe.data, "train")
    _claim(folder, recipe)
    if recipe.augment:
        data = training.with_adversarial(model, data, recipe.augment, file=folder / "adversarial.npz")
    hooks = {"folder": folder, "show_progress": show_progress, "on_epoch": on_epoch}
    validation = datasets.load(recipe.data, "validation")
    history = training.fit(model, data, validation=validation, **hooks, **recipe.training)
    weights.save(model, folder / WEIGHTS)
    record = {
        "recipe": recipe.text(),
        "machine": machine(),
        "sha256": sha256(folder / WEIGHTS),
        "history": [epoch._asdict() for epoch in history],
    }
    write_atomically(folder / RECORD, lambda path: path.write_text(json.dumps(record, indent=1) + "\n"))


def _claim(folder, recipe):
    """Mark the folder as this recipe's. The checkpoint knows settings, not the weights and images begun with."""
    folder.mkdir(parents=True, exist_ok=True)
    begun = folder / BEGUN
    has_work = any(file != begun for file in folder.iterdir())  # a run that was refused leaves none to go on with
    is_free = not has_work or not begun.exists() or begun.read_text() == recipe.text()
    checks.require(is_free, "the folder must not hold a run of another recipe.", folder=str(folder))
    write_atomically(begun, lambda path: path.write_text(recipe.text()))


@contextlib.contextmanager
def computing(precision):
    """Layers made inside compute by this dtype policy of Keras."""
    usual = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(usual)


def machine():
    """What the backend computes on, e.g. `"CPU"` or `"NVIDIA H200 by JAX"`."""
    if keras.backend.backend() == "jax":
        import jax

        kinds = [device.device_kind for device in jax.devices()]
    else:
        import tensorflow as tf

        devices = tf.config.list_physical_devices("GPU")
        kinds = [tf.config.experimental.get_device_details(each).get("device_name", "GPU") for each in devices]
    if not kinds or kinds[0] == "cpu":
        return "CPU"
    return ("" if len(kinds) == 1 else f"{len(kinds)} x ") + kinds[0]
