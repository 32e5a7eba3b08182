"""Data sets: images in [0, 1], by name, from tensorflow-datasets or (digits) from scikit-learn."""

import dataclasses
import os
import pathlib

import numpy as np

from tfrobust import checks
from tfrobust.files import write_arrays

TFDS = ("mnist", "cifar10")
DATASETS = (*TFDS, "digits")
SPLITS = ("train", "validation", "test")
HELD_OUT = {"mnist": 5000, "cifar10": 5000, "digits": 137}  # last training images, kept for choosing among models
DIGITS_TEST = 360
SHAPES = {"mnist": (28, 28, 1), "digits": (28, 28, 1), "cifar10": (32, 32, 3)}
EPS = {"mnist": 0.3, "digits": 0.3, "cifar10": 8 / 255}  # the budgets that the field reports, Linf
DIGITS = list("0123456789")
LABELS = {  # names of the classes
    "mnist": DIGITS,
    "digits": DIGITS,
    "cifar10": ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
}


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Images (uint8 as stored, or float32 in [0, 1]; `[n, height, width, channels]`) and labels (int64, `[n]`)."""

    name: str
    split: str
    images: np.ndarray
    labels: np.ndarray

    def __len__(self):
        return len(self.labels)

    def first(self, n):
        """The first `n` images (all of them for None)."""
        if n is None:
            return self
        return dataclasses.replace(self, images=self.images[:n], labels=self.labels[:n])

    def pixels(self, index=slice(None)):
        """Images of `index` as float32 in [0, 1]."""
        chosen = self.images[index]
        return chosen.astype("float32") / 255 if chosen.dtype == np.uint8 else chosen

    def batches(self, batch_size):
        """Yield `(images in [0, 1], labels)` in order; the last batch may be smaller."""
        for start in range(0, len(self), batch_size):
            part = slice(start, start + batch_size)
            yield self.pixels(part), self.labels[part]


def load(name, split="test", n=None, data_dir=None, download=False):
    """Load a data set.

    Args:
        name: `"mnist"`, `"cifar10"`, or `"digits"`: scikit-learn's 1,797 real 8x8 digits resized to 28x28, which
            need no network.
        split: `"train"`, `"validation"` (the last part of the training images, held out) or `"test"`.
        n: keep the first `n` images; None keeps all.
        data_dir: folder of tensorflow-datasets, or of what `archive` wrote; None is `TFDS_DATA_DIR` or its default.
        download: let tensorflow-datasets fetch what is missing.

    Returns:
        A `Dataset`; `len(data)`, `data.pixels()`, `data.batches(128)`.

    Raises:
        ValueError: an unknown name or split, `n` below 1, or a data set that is not there.

    Example:
        >>> load("digits", n=2).pixels().shape
        (2, 28, 28, 1)

    Reference:
        Y. LeCun et al., "Gradient-based learning applied to document recognition", Proc. IEEE 1998 (MNIST);
        A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009 (CIFAR-10);
        E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI 1998 (digits).
    """
    checks.one_of(name, "data set", DATASETS)
    checks.one_of(split, "split", SPLITS)
    if n is not None:
        checks.count(n, "n")
    source = "test" if split == "test" else "train"
    images, labels = _digits(source) if name == "digits" else _tfds(name, source, data_dir, download)
    if split == "train":
        images, labels = images[: -HELD_OUT[name]], labels[: -HELD_OUT[name]]
    if split == "validation":
        images, labels = images[-HELD_OUT[name] :], labels[-HELD_OUT[name] :]
    return Dataset(name, split, images, labels).first(n)


def unpack(data, n=None):
    """Name, images in [0, 1] and labels of whatever a user may give as data.

    Args:
        data: a data set's name (its test split is taken), a `Dataset`, or `(images, labels)`.
        n: keep the first `n` images, at least 1; None keeps all.

    Returns:
        `(name or None, images float32, labels)`.

    Example:
        >>> unpack("digits", n=3)[1].shape
        (3, 28, 28, 1)
    """
    if n is not None:
        checks.count(n, "n")
    if isinstance(data, str):
        data = load(data, "test", n)
    if isinstance(data, Dataset):
        data = data.first(n)
        return data.name, data.pixels(), data.labels
    x, y = data
    return None, np.asarray(x, "float32")[:n], np.asarray(y)[:n]


def for_shape(shape):
    """Name of the data set at hand for images of `shape`: MNIST if it is there, else digits; CIFAR-10 for colour.

    Raises:
        ValueError: no known data set has images of that shape.
    """
    shape = tuple(shape)
    checks.require(shape in SHAPES.values(), "give data: no data set is known for this shape.", shape=shape)
    if shape == SHAPES["cifar10"]:
        return "cifar10"
    return "mnist" if is_available("mnist") else "digits"


def is_available(name):
    """Whether `load(name)` would find its files without a network."""
    if name == "digits" or _archive_file(name).is_file():
        return True
    import tensorflow_datasets as tfds

    try:
        return tfds.builder(name).is_prepared()
    except tfds.core.registered.DatasetNotFoundError:
        return False


def _tfds(name, split, data_dir, download):
    """Images and labels of one tensorflow-datasets split, as arrays."""
    packed = _archive_file(name, data_dir)
    if packed.is_file():
        with np.load(packed) as arrays:
            return arrays[f"{split}_images"], arrays[f"{split}_labels"]
    import tensorflow_datasets as tfds

    builder = tfds.builder(name, data_dir=data_dir)
    if not builder.is_prepared() and not download:
        raise ValueError(
            f"{name} was not found: set TFDS_DATA_DIR to a tensorflow-datasets folder that holds it, or call "
            f"load({name!r}, download=True) once with a network. Received: data_dir={str(builder.data_dir)!r}"
        )
    builder.download_and_prepare()
    arrays = tfds.as_numpy(builder.as_dataset(split=split, batch_size=-1))
    return arrays["image"], arrays["label"].astype("int64")


def archive(name, folder):
    """Write a data set as `<folder>/<name>.npz`, for a machine without tensorflow-datasets.

    Args:
        name: `"mnist"` or `"cifar10"`.
        folder: where `load` will be told to look, by `data_dir` or `TFDS_DATA_DIR`.

    Returns:
        Path of the file.

    Raises:
        ValueError: another name, or a data set that is not there.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = archive("mnist", folder) if is_available("mnist") else None

    Reference:
        numpy's format of arrays, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
    """
    checks.one_of(name, "data set", TFDS)
    parts = {split: _tfds(name, split, None, download=False) for split in ("train", "test")}
    arrays = {
        f"{split}_{what}": part[i] for split, part in parts.items() for i, what in enumerate(("images", "labels"))
    }
    file = pathlib.Path(folder) / f"{name}.npz"
    write_arrays(file, arrays)
    return file


def _archive_file(name, data_dir=None):
    return pathlib.Path(data_dir or os.environ.get("TFDS_DATA_DIR", "")) / f"{name}.npz"


def _digits(split):
    """scikit-learn's digits as uint8 28x28 images, in an order shuffled once (neighbours share a writer)."""
    from keras import ops
    from sklearn.datasets import load_digits

    raw = load_digits()
    order = np.random.default_rng(0).permutation(len(raw.target))
    small = raw.images[order, :, :, None].astype("float32") / 16
    images = np.asarray(ops.convert_to_numpy(ops.image.resize(small, (28, 28), interpolation="bilinear")))
    images, labels = np.round(images * 255).astype("uint8"), raw.target[order].astype("int64")
    part = slice(None, DIGITS_TEST) if split == "test" else slice(DIGITS_TEST, None)
    return images[part], labels[part]
