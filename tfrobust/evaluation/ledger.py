"""What an evaluation has found so far, image by image and attack by attack; kept in a file, it survives a kill."""

import dataclasses
import hashlib
import json
import pathlib
import zipfile

import keras
import numpy as np

from tfrobust import files

NOT_TRIED, STANDS, BROKEN = -1, 0, 1


@dataclasses.dataclass
class Ledger:
    """One row per attack, one column per image.

    Attributes:
        state: `NOT_TRIED`, `STANDS` or `BROKEN`, int8 `[attacks, images]`.
        queries, distance: what the attack spent and how far it went, `[attacks, images]`.
        seconds: wall time of each attack, `[attacks]`.
        path: the file, or None.
        key: what the file belongs to.
    """

    state: np.ndarray
    queries: np.ndarray
    distance: np.ndarray
    seconds: np.ndarray
    path: pathlib.Path | None
    key: dict

    @classmethod
    def open(cls, path, key, attacks, images):
        """An empty ledger, or the one in `path` if that file exists.

        Raises:
            ValueError: the file belongs to another evaluation, or is no such file.
        """
        shape = attacks, images
        empty = np.full(shape, NOT_TRIED, "int8"), np.zeros(shape), np.zeros(shape), np.zeros(attacks)
        if path is None:
            return cls(*empty, None, key)
        path = pathlib.Path(path)
        if not path.exists():
            return cls(*empty, path, key)
        try:
            with np.load(path) as file:
                kept = json.loads(str(file["key"]))
                arrays = [file[name] for name in ("state", "queries", "distance", "seconds")]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ValueError(f"the state file must be one that an evaluation wrote. Received: {str(path)!r}") from error
        other = [name for name in key if kept.get(name) != key[name]]
        if other:
            raise ValueError(
                "the state file must belong to this evaluation; remove it or give another. "
                f"Received: {str(path)!r}, made with another {', '.join(other)}"
            )
        return cls(*arrays, path, key)

    def record(self, attack, rows, result, seconds):
        """Note the `AttackResult` of some images, and write the file."""
        self.state[attack, rows] = np.where(result.success, BROKEN, STANDS)
        self.queries[attack, rows] = result.queries
        self.distance[attack, rows] = result.distance
        self.seconds[attack] += seconds
        if self.path is not None:
            files.write_atomically(self.path, self._write)

    def _write(self, path):
        arrays = {name: getattr(self, name) for name in ("state", "queries", "distance", "seconds")}
        with open(path, "wb") as file:
            np.savez_compressed(file, key=json.dumps(self.key), **arrays)


def key_of(model, x, y, attacks, batch_size):
    """What an evaluation's results depend on, as short digests by name."""
    parts = {
        "model": _weights(model),
        "data": [np.ascontiguousarray(x), np.ascontiguousarray(y)],
        "suite": [f"{attack!r} {attack.name}".encode() for attack in attacks],
        "batch_size": [str(batch_size).encode()],
    }
    return {name: _digest(values) for name, values in parts.items()}


def _weights(model):
    if isinstance(model, keras.Model):
        trained = model.trainable_variables + model.non_trainable_variables
        # Random states move with every pass; the weights do not.
        fixed = [variable for variable in trained if "seed" not in variable.path]
        return [model.name.encode(), *(np.ascontiguousarray(variable.numpy()) for variable in fixed)]
    return [getattr(model, "name", type(model).__name__).encode()]


def _digest(values):
    sha = hashlib.sha256()
    for value in values:
        sha.update(value)
    return sha.hexdigest()[:16]
