"""Saving the whole state of a training run, so that a killed run goes on as if nothing had happened."""

import json
import pathlib

import numpy as np

from tfrobust import checks
from tfrobust.files import write_atomically

FILE = "checkpoint.npz"


def save(folder, model, optimizer, run, state):
    """Write the variables of model and optimizer (random states too), what `run` this is, and the loop's `state`."""
    arrays = {f"model{i}": np.asarray(v) for i, v in enumerate(model.variables)}
    arrays |= {f"optimizer{i}": np.asarray(v) for i, v in enumerate(optimizer.variables)}
    arrays["meta"] = np.array(json.dumps({"run": run, "state": state}))
    write_atomically(pathlib.Path(folder) / FILE, lambda path: np.savez(path, **arrays))


def restore(folder, model, optimizer, run):
    """Load what `save` wrote into model and optimizer; return the loop's state, or None if there is no checkpoint.

    Raises:
        ValueError: the checkpoint is of another run (other data, seed, defense, …).
    """
    path = pathlib.Path(folder) / FILE
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as arrays:
        meta = json.loads(str(arrays["meta"]))
        differing = sorted(key for key in run if meta["run"].get(key) != run[key])
        checks.require(
            not differing,
            "the checkpoint in this folder is of another run; choose another folder or the same settings "
            f"({', '.join(differing)} differ).",
            folder=str(folder),
        )
        for kind, variables in (("model", model.variables), ("optimizer", optimizer.variables)):
            for i, variable in enumerate(variables):
                variable.assign(arrays[f"{kind}{i}"])
    return meta["state"]
