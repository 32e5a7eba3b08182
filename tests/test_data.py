"""Data sets: shapes, ranges, splits that share nothing, order, and what is said when one is missing."""

import sys

import numpy as np
import pytest

from tfrobust import data

DIGITS_SIZES = {"train": 1300, "validation": 137, "test": 360}


@pytest.fixture(scope="module")
def digits():
    return {split: data.load("digits", split) for split in DIGITS_SIZES}


@pytest.fixture(scope="module")
def mnist_is_there():
    if not data.is_available("mnist"):
        pytest.skip("MNIST is not in TFDS_DATA_DIR")


@pytest.mark.parametrize(("split", "size"), DIGITS_SIZES.items())
def test_digits_have_the_size_of_their_split(split, size, digits):
    assert len(digits[split]) == size and (digits[split].name, digits[split].split) == ("digits", split)


def test_digits_splits_are_all_of_the_1797_images():
    from sklearn.datasets import load_digits

    counts = sum(np.bincount(data.load("digits", split).labels, minlength=10) for split in DIGITS_SIZES)
    np.testing.assert_array_equal(counts, np.bincount(load_digits().target))


def test_digits_splits_share_no_image(digits):
    # Resizing keeps what differs, and no two of scikit-learn's digits are equal.
    images = [image.tobytes() for split in digits.values() for image in split.images]
    assert len(images) == len(set(images)) == 1797


def test_digits_are_bytes_of_28_by_28_pixels(digits):
    assert digits["test"].images.shape == (360, 28, 28, 1)
    assert (digits["test"].images.dtype, digits["test"].labels.dtype) == ("uint8", "int64")


def test_digits_keep_the_corners_of_the_real_images(digits):
    from sklearn.datasets import load_digits

    corner = {int(round(value / 16 * 255)) for value in np.unique(load_digits().images[:, 0, 7])}
    assert set(np.unique(digits["train"].images[:, 0, 27, 0])) <= corner


def test_pixels_are_float32_from_zero_to_one(digits):
    pixels = digits["train"].pixels()
    assert pixels.dtype == "float32" and (pixels.min(), pixels.max()) == (0, 1)
    np.testing.assert_array_equal(pixels, digits["train"].images / np.float32(255))


def test_pixels_of_an_index_are_those_images(digits):
    np.testing.assert_array_equal(digits["test"].pixels([5, 2]), digits["test"].pixels()[[5, 2]])


def test_every_split_of_digits_has_every_class_in_balance(digits):
    for split in digits.values():
        assert np.bincount(split.labels, minlength=10).min() > 0.05 * len(split)


def test_digits_come_in_the_same_order_every_time(digits):
    again = data.load("digits", "train")
    np.testing.assert_array_equal(again.images, digits["train"].images)
    np.testing.assert_array_equal(again.labels, digits["train"].labels)


def test_digits_can_be_told_apart(digits):
    # Labels belong to their images: a nearest neighbour reads the test digits.
    train, test = (digits[split].pixels().reshape(DIGITS_SIZES[split], -1) for split in ("train", "test"))
    nearest = (np.square(train).sum(-1) - 2 * test @ train.T).argmin(-1)
    assert (digits["train"].labels[nearest] == digits["test"].labels).mean() > 0.97


@pytest.mark.parametrize(("n", "expected"), [(1, 1), (7, 7), (10000, 360), (None, 360)])
def test_n_keeps_the_first_images(n, expected, digits):
    some = data.load("digits", n=n)
    assert len(some) == len(some.images) == expected
    np.testing.assert_array_equal(some.images, digits["test"].images[:expected])


def test_batches_cover_all_in_order_and_the_last_may_be_smaller(digits):
    batches = list(digits["test"].batches(100))
    assert [len(labels) for _, labels in batches] == [100, 100, 100, 60]
    np.testing.assert_array_equal(np.concatenate([images for images, _ in batches]), digits["test"].pixels())
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in batches]), digits["test"].labels)


def test_digits_are_always_available():
    assert data.is_available("digits")


def test_name_that_is_no_data_set_is_not_available():
    assert not data.is_available("no_such_data_set")


@pytest.mark.parametrize("name", data.TFDS)
def test_missing_data_set_names_the_variable_to_set(name, tmp_path):
    with pytest.raises(ValueError, match=rf"{name} was not found: set TFDS_DATA_DIR .*Received: data_dir='{tmp_path}"):
        data.load(name, data_dir=tmp_path)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: data.load("digit"), r"data set must be one of .*did you mean digits.*Received: data set='digit'"),
        (lambda: data.load("digits", "dev"), r"split must be one of train, validation, test\. Received: split='dev'"),
        (lambda: data.load("digits", n=0), r"n must be an integer of at least 1\. Received: n=0"),
        (lambda: data.load("digits", n=2.0), r"n must be an integer of at least 1\. Received: n=2\.0"),
        (lambda: data.for_shape((8, 8, 1)), r"give data: no data set is known.*Received: shape=\(8, 8, 1\)"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_colour_images_of_32_pixels_mean_cifar10():
    assert data.for_shape((32, 32, 3)) == "cifar10"


def test_grey_images_without_mnist_mean_digits(monkeypatch):
    monkeypatch.setattr(data, "is_available", lambda name: False)
    assert data.for_shape([28, 28, 1]) == "digits"


def test_mnist_test_split_is_the_published_one(mnist_is_there):
    mnist = data.load("mnist", "test")
    assert mnist.images.shape == (10000, 28, 28, 1) and mnist.images.dtype == "uint8"
    assert np.bincount(mnist.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_mnist_training_images_have_the_published_mean(mnist_is_there):
    train, validation = data.load("mnist", "train"), data.load("mnist", "validation")
    assert (len(train), len(validation)) == (55000, 5000)
    assert np.concatenate([train.images, validation.images]).mean() / 255 == pytest.approx(0.1307, abs=1e-4)
    assert train.images.mean() / 255 == pytest.approx(0.1307, abs=1e-3)


def test_grey_images_mean_mnist_where_it_is_there(mnist_is_there):
    assert data.for_shape((28, 28, 1)) == "mnist"


def test_an_archive_stands_in_for_tensorflow_datasets(tmp_path, monkeypatch, mnist_is_there):
    original = {split: data.load("mnist", split) for split in ("train", "validation", "test")}
    data.archive("mnist", tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    assert data.is_available("mnist")
    for split, expected in original.items():
        found = data.load("mnist", split)
        np.testing.assert_array_equal(found.images, expected.images)
        np.testing.assert_array_equal(found.labels, expected.labels)


def test_what_is_made_from_another_package_is_not_archived(tmp_path):
    with pytest.raises(ValueError, match="data set must be one of mnist, cifar10. Received: data set='digits'"):
        data.archive("digits", tmp_path)
    assert not list(tmp_path.iterdir())
