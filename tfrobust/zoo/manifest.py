"""The manifest: which entries there are, and the fingerprint that each weight file must have."""

import dataclasses
import json
import pathlib

from tfrobust import architectures, checks
from tfrobust.files import write_atomically

FILE = "manifest.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """One set of weights, or the place that a recipe's weights will take.

    Attributes:
        name: `<model>.<tag>`.
        model: name of the network, `<architecture>[_<quantization>]`.
        data: data set it is trained on; "" if unknown.
        threat: threat model it is trained for, as text.
        weights: file in the `weights` folder: a network's weights (`.npz`) or a whole model (`.keras`); None as long as
            there are none.
        sha256: what that file must hash to.
        bytes: its size.
        is_default: whether the model's name without a tag means this entry.

    Raises:
        ValueError: only some of file, hash and size are given.
    """

    name: str
    model: str
    data: str
    threat: str
    weights: str | None = None
    sha256: str | None = None
    bytes: int | None = None
    is_default: bool

    def __post_init__(self):
        file = {"weights": self.weights, "sha256": self.sha256, "bytes": self.bytes}
        is_whole = len({value is None for value in file.values()}) == 1
        checks.require(
            is_whole, f"{self.name} must have a weight file, its hash and its size, or none of them.", **file
        )

    @property
    def is_trained(self):
        """Whether there are weights."""
        return self.weights is not None


def folder(zoo=None):
    """The folder `zoo`; None is the package's own: packaged inside the wheel, else beside the package in a checkout."""
    if zoo is not None:
        return pathlib.Path(zoo)
    package = pathlib.Path(__file__).resolve().parent.parent
    packaged = package / "zoo_data"
    return packaged if packaged.is_dir() else package.parent / "zoo"


def read(zoo=None):
    """All entries, by name.

    Raises:
        ValueError: a record lacks a field, has one too many, or a value of another type.
    """
    path = folder(zoo) / FILE
    records = json.loads(path.read_text()) if path.exists() else []
    return {record["name"]: checks.record(Entry, record) for record in records}


def add(entry, zoo=None):
    """Put an entry into the manifest, in place of one of the same name."""
    entries = {**read(zoo), entry.name: entry}
    records = [dataclasses.asdict(entries[name]) for name in sorted(entries)]
    write_atomically(folder(zoo) / FILE, lambda path: path.write_text(json.dumps(records, indent=1) + "\n"))


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
        known = checks.listing(name, [model for model, entry in defaults.items() if entry.is_trained])
        raise ValueError(
            f"{name} has no trained weights yet: load it with weights=None, or take one of {known}. Received: {name!r}"
        )
    raise ValueError(f"a model must be one of {checks.listing(name, {**defaults, **entries})}. Received: {name!r}")


def trained(name, zoo=None):
    """As `resolve`, for an entry that has weights.

    Raises:
        ValueError: nothing has that name, or it has no weights yet; then its recipe is named.
    """
    entry = resolve(name, zoo)
    recipe = f"run its recipe, zoo/recipes/{entry.name}.py, or load the fresh network with weights=None"
    checks.require(entry.is_trained, f"{entry.name} has no trained weights yet: {recipe}.", name=name)
    return entry


def _is_buildable(name):
    try:
        architectures.split_name(name)
    except ValueError:
        return False
    return True
