"""Files that are whole or absent, and their fingerprints."""

import hashlib
import os
import pathlib

import numpy as np


def write_atomically(path, write):
    """Call `write(temporary_path)`, then move the file into place: a kill leaves the old file or the new one.

    Raises:
        ValueError: the folder does not exist or cannot be written to.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        write(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise ValueError(
            f"the file must be in a folder that can be written to. Received: path={str(path)!r}"
        ) from error
    finally:
        if path.parent.is_dir():
            temporary.unlink(missing_ok=True)


def write_arrays(path, arrays):
    """Write a dictionary of arrays as a compressed `.npz`, whole or not at all."""

    def write(temporary):
        with open(temporary, "wb") as file:  # a name would get a second suffix
            np.savez_compressed(file, **arrays)

    write_atomically(path, write)


def sha256(path):
    """SHA-256 of a file, in hex."""
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
