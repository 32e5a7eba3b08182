"""The training loop: one loop for every defense, resumable after a kill at any moment."""

import pathlib
import time
from typing import NamedTuple

import keras
import numpy as np

from tfrobust import checks, data as datasets, terminal
from tfrobust.attacks.victim import Victim
from tfrobust.training import checkpoint, schedules
from tfrobust.training.batches import Batches
from tfrobust.training.defenses import Standard
from tfrobust.training.step import compile_run

OPTIMIZERS = {
    "adam": keras.optimizers.Adam,
    "sgd": lambda rate, **kwargs: keras.optimizers.SGD(rate, momentum=0.9, **kwargs),
}
VALIDATION_IMAGES = 500


class Epoch(NamedTuple):
    """What one epoch gave: loss and accuracy on its training examples, accuracies on held-out images, seconds."""

    epoch: int
    loss: float
    accuracy: float
    validation_clean: float | None
    validation_adversarial: float | None
    seconds: float

    def __str__(self):
        clean = "" if self.validation_clean is None else f"; held out: clean {self.validation_clean:.1%}"
        attacked = "" if self.validation_adversarial is None else f", attacked {self.validation_adversarial:.1%}"
        shown = f"loss {self.loss:.4f}, accuracy {self.accuracy:.1%}{clean}{attacked}"
        return f"epoch {self.epoch}: {shown} ({self.seconds:.0f} s)"


def fit(
    model,
    data,
    *,
    defense=Standard(),
    epochs=10,
    batch_size=128,
    optimizer="adam",
    learning_rate=1e-3,
    schedule="one_cycle",
    surrogate=None,
    ema=None,
    crop=0,
    flip=False,
    validation=None,
    seed=0,
    folder=None,
    save_seconds=60,
    show_progress=None,
    on_epoch=None,
):
    """Train a model in place.

    The randomness of each step comes from `seed` and the step's number alone, so a run that was killed and started
    again with the same `folder` ends with the same weights as one that was not.

    Args:
        model: `keras.Model` from images in [0, 1] to logits.
        data: a data set's name (its training split is used) or a `tfrobust.data.Dataset`.
        defense: what a step minimises: `Standard()`, `AdversarialTraining(attack, …)`, ….
        epochs: passes over the training images (each batch `defense.replays` times in a row).
        batch_size: images per step (with clean images mixed in, each step sees twice as many).
        optimizer: `"adam"`, or `"sgd"` with momentum 0.9.
        learning_rate: peak rate.
        schedule: `"one_cycle"`, `"cosine"`, `"step"`, `"two_steps"`, `"halved"` or `"constant"`.
        surrogate: pseudo-derivative that replaces each quantizer's own in the gradient of the weights, see
            `tfrobust.quantizers.surrogates`; None keeps their own. (The attack's is chosen by `BPDA`.)
        ema: momentum, in [0, 1), of an exponential moving average of the weights, which takes their place at the end;
            None keeps the last weights.
        crop: pixels of black added on each side before each image is cut out again at a random place; 0 leaves the
            images where they are.
        flip: whether each image is mirrored, left to right, half of the times it is seen.
        validation: a `Dataset` held out from training; None takes the `"validation"` split if `data` is a name.
        seed: seed of order, attacks and layers.
        folder: where checkpoints go; None keeps none. An existing checkpoint of the same run is continued.
        save_seconds: time between checkpoints.
        show_progress: True, False, or None for "on a terminal".
        on_epoch: called with the `Epoch` record after each epoch.

    Returns:
        List of `Epoch` records.

    Raises:
        ValueError: an argument outside its range, a loss that is not finite, or a checkpoint of another run.

    Example:
        >>> from tfrobust import architectures
        >>> history = fit(architectures.build("mlp"), "digits", epochs=1)
        >>> history[0].validation_clean > 0.5
        True

    Reference:
        A. Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks", ICLR 2018.
    """
    _check(epochs, batch_size, optimizer, ema, crop)
    if isinstance(data, str):
        validation = validation or datasets.load(data, "validation")
        data = datasets.load(data, "train")
    checks.labels(data.labels, len(data), model.output_shape[-1])
    checks.require(batch_size <= len(data), f"batch_size must be at most {len(data)}.", batch_size=batch_size)
    batches = Batches(data, batch_size, seed, crop, flip, defense.replays)
    steps = epochs * batches.per_epoch
    averaging = {} if ema is None else {"use_ema": True, "ema_momentum": ema}
    update = OPTIMIZERS[optimizer](schedules.get(schedule, learning_rate, steps), **averaging)
    update.build(model.trainable_variables)
    begun = defense.begin(update, (batch_size, *data.images.shape[1:]))
    victim = _victim(model, data, defense)
    run = compile_run(model, update, begun, surrogate, batches, victim)

    settings = f"{epochs=} {batch_size=} {optimizer=} {learning_rate=} {schedule=} {surrogate=} {seed=}"
    rare = {"ema": ema, "crop": crop or None, "flip": flip or None}
    identity = _identity(model, data, defense, settings, rare)
    state = {"step": 0, "loss": 0.0, "right": 0.0, "seconds": 0.0, "history": []}
    if folder is not None:
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
        state = checkpoint.restore(folder, model, update, identity) or state

    tick = saved = time.monotonic()
    with terminal.bar("training", steps, show_progress) as advance:
        advance(state["step"])
        for step in range(state["step"], steps):
            loss, right = run(step)
            checks.require(np.isfinite(loss), "the training loss must stay finite: lower learning_rate.", loss=loss)
            if ema is not None and step + 1 == steps:
                run.settle()
                update.finalize_variable_values(model.trainable_variables)
            now = time.monotonic()
            gained = {"loss": loss / batches.per_epoch, "right": right / batches.per_epoch, "seconds": now - tick}
            state |= {"step": step + 1, **{key: state[key] + value for key, value in gained.items()}}
            if (step + 1) % batches.per_epoch == 0:
                run.settle()
                record = _end_epoch(victim, defense, validation, (step + 1) // batches.per_epoch, state, seed)
                state |= {"loss": 0.0, "right": 0.0, "seconds": 0.0, "history": [*state["history"], record]}
                if on_epoch is not None:
                    on_epoch(record)
            tick = time.monotonic()
            if folder is not None and (tick - saved > save_seconds or step + 1 == steps):
                run.settle()
                checkpoint.save(folder, model, update, identity, state)
                saved = tick
            advance(1)
    return [Epoch(*record) for record in state["history"]]


def _check(epochs, batch_size, optimizer, ema, crop):
    """Refuse settings outside their range."""
    checks.count(epochs, "epochs")
    checks.count(batch_size, "batch_size")
    checks.one_of(optimizer, "optimizer", OPTIMIZERS)
    checks.count(crop, "crop", 0)
    checks.require(ema is None or 0 <= ema < 1, "ema must lie in [0, 1).", ema=ema)


def _identity(model, data, defense, settings, rare):
    """What two runs must share for one to go on with the other's checkpoint; of `rare`, what is not None counts."""
    precision = model.dtype_policy.name
    rare = rare | {"precision": None if precision == "float32" else precision}
    return {
        "data": f"{data.name} {data.split} {len(data)}",
        "defense": repr(defense),
        "settings": " ".join([settings, *(f"{name}={value}" for name, value in rare.items() if value is not None)]),
        "variables": [list(variable.shape) for variable in model.variables],
    }


def _victim(model, data, defense):
    """The model as the defense's attack sees it; one gradient pass per step unless the attack asks for more."""
    eot = 1 if defense.attack is None else defense.attack.eot or 1
    return Victim(model, data.pixels(slice(0, 4)), eot)


def _end_epoch(victim, defense, validation, epoch, state, seed):
    """Measure the model on the first held-out images, clean and under the defense's own attack."""
    clean = adversarial = None
    if validation is not None:
        held_out = validation.first(VALIDATION_IMAGES)
        x, y = held_out.pixels(), held_out.labels
        clean = float((victim.decide(x) == y).mean())
        if defense.attack is not None:
            x_adv = defense.attack.perturb(victim, x, y, np.random.default_rng([seed, 2, epoch]))
            adversarial = float((victim.decide(x_adv) == y).mean())
    return Epoch(epoch, state["loss"], state["right"], clean, adversarial, state["seconds"])
