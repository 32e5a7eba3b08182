"""The manifest: which weights there are, and the fingerprint that each file must have."""

import dataclasses
import json
import pathlib

from tfrobust import architectures, checks
from tfrobust.files import write_atomically

FILE = "manifest.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """One set of weights.

    Attributes:
        name: `<model>.<tag>`.
        model: name of the network, `<architecture>[_<quantization>]`.
        data: data set it was trained on.
        threat: threat model it was trained for, as text.
        weights: file in the `weights` folder.
        sha256: what that file must hash to.
        bytes: its size.
        is_default: whether the model's name without a tag means this entry.
    """

    name: str
    model: str
    data: str
    threat: str
    weights: str
    sha256: str
    bytes: int
    is_default: bool


def folder():
    """The zoo's folder: packaged inside the wheel, else beside the package in a checkout."""
    package = pathlib.Path(__file__).resolve().parent.parent
    packaged = package / "zoo_data"
    return packaged if packaged.is_dir() else package.parent / "zoo"


def read(zoo=None):
    """All entries, by name.

    Raises:
        ValueError: a record lacks a field, has one too many, or a value of another type.
    """
    path = (zoo or folder()) / FILE
    records = json.loads(path.read_text()) if path.exists() else []
    return {record["name"]: checks.record(Entry, record) for record in records}


def add(entry, zoo=None):
    """Put an entry into the manifest, in place of one of the same name."""
    zoo = zoo or folder()
    entries = {**read(zoo), entry.name: entry}
    records = [dataclasses.asdict(entries[name]) for name in sorted(entries)]
    write_atomically(zoo / FILE, lambda path: path.write_text(json.dumps(records, indent=1) + "\n"))


def resolve(name, zoo=None):
    """The entry that `name` means: itself, or the default entry of a model's name without a tag.

    Raises:
        ValueError: nothing in the zoo has that name; names near to it are listed.
    """
    entries = read(zoo)
    if name in entries:
        return entries[name]
    defaults = {entry.model: entry for entry in entries.values() if entry.is_default}
    if name in defaults:
        return defaults[name]
    if "." not in name and _is_buildable(name):
        known = checks.listing(name, defaults)
        raise ValueError(
            f"{name} has no trained weights yet: load it with weights=None, or take one of {known}. Received: {name!r}"
        )
    raise ValueError(f"a model must be one of {checks.listing(name, {**defaults, **entries})}. Received: {name!r}")


def _is_buildable(name):
    try:
        architectures.split_name(name)
    except ValueError:
        return False
    return True
