"""Export: files of builtin operations that the stock interpreter runs, proven against the Keras model."""

import os

import keras
import numpy as np
import pytest

from tfrobust import architectures, attacks, data, export, layers, zoo
from tfrobust.export.interpreter import operations

pytestmark = pytest.mark.tensorflow

QUIET = {"show_progress": False}


@pytest.fixture(scope="module")
def trained():
    """A trained DQA model; an untrained one would sit on its thresholds and agree with nothing."""
    return zoo.load("lenet_dqa2.digits_pgd")


@pytest.mark.parametrize("quantize, most", [(None, 1.01), ("float16", 0.52), ("dynamic", 0.3), ("int8", 0.3)])
def test_every_mode_gives_the_same_labels_from_a_file_of_the_expected_size(trained, tmp_path, quantize, most):
    path = tmp_path / "model.tflite"
    report = export.to_tflite(trained, path, quantize, data="digits", n=200, **QUIET)
    assert report.label_agreement >= 0.99
    assert report.bytes == path.stat().st_size <= most * 4 * trained.count_params() + 8000
    assert not report.is_random and not [name for name in report.ops if "Flex" in name]
    assert abs(report.clean - report.clean_keras) < 0.015 and abs(report.attacked - report.attacked_keras) < 0.05


def test_a_float_file_computes_what_the_keras_model_computes(tmp_path):
    report = export.to_tflite(zoo.load("lenet"), tmp_path / "model.tflite", data="digits", n=50, **QUIET)
    assert report.max_logit_difference < 1e-4 and report.label_agreement == 1


def test_int8_files_take_and_give_int8(trained, tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    export.to_tflite(trained, tmp_path / "model.tflite", "int8", data="digits", n=20, **QUIET)
    interpreter = Interpreter(str(tmp_path / "model.tflite"))
    dtypes = [details[0]["dtype"] for details in (interpreter.get_input_details(), interpreter.get_output_details())]
    assert dtypes == [np.int8, np.int8]


@pytest.mark.parametrize("name", ["lenet", "lenet_fixed2", "lenet_dqa1", "lenet_dqa3", "lenet_bnn", "mlp_w2"])
def test_every_quantizer_exports_to_equal_logits(name, tmp_path):
    model = architectures.build(name)
    export.to_tflite(model, tmp_path / "model.tflite", data="digits", n=20, **QUIET)
    x = data.load("digits", n=20).pixels()
    logits = np.asarray(model(x))
    difference = np.abs(export.TFLiteModel(tmp_path / "model.tflite")(x) - logits).max(-1)
    # A value within float rounding of a threshold may fall to its other side: rare, so most images agree fully.
    assert np.median(difference) < 1e-4 * max(1, np.abs(logits).max())


@pytest.mark.parametrize("quantize", [None, "int8"])
def test_a_random_model_keeps_its_randomness_by_the_builtin_operation(quantize, tmp_path):
    report = export.to_tflite(
        architectures.build("mlp_sqa"), tmp_path / "m.tflite", quantize, data="digits", n=10, **QUIET
    )
    assert report.is_random and report.passes == 20
    assert "RANDOM_UNIFORM" in report.ops and not [name for name in report.ops if "Flex" in name]


def test_the_file_of_a_random_layer_has_the_layer_s_mean(tmp_path):
    model = keras.Sequential([keras.Input((4, 4, 1)), layers.SQA(2), keras.layers.Flatten()])
    x = np.linspace(0, 1, 16, dtype="float32").reshape(1, 4, 4, 1)
    given = {"data": (x, np.zeros(1, "int64")), "eps": 0.1}
    export.to_tflite(model, tmp_path / "m.tflite", **given, **QUIET)
    file = export.TFLiteModel(tmp_path / "m.tflite")
    mean = np.mean([file(x)[0] for _ in range(2000)], axis=0)
    np.testing.assert_allclose(mean, x.ravel(), atol=4.5 * 0.5 / np.sqrt(2000))


def test_a_file_stands_wherever_a_model_is_a_callable(trained, tmp_path):
    export.to_tflite(trained, tmp_path / "model.tflite", data="digits", n=20, **QUIET)
    file = export.TFLiteModel(tmp_path / "model.tflite")
    digits = data.load("digits", n=30)
    noise = attacks.UniformNoise(eps=0.3)
    ours, theirs = (noise(model, digits.pixels(), digits.labels).success for model in (file, trained))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "path, message",
    [
        (lambda folder: folder / "model.bin", "the path must end in .tflite"),
        (lambda folder: folder / "missing" / "model.tflite", "in a folder that exists"),
        (lambda folder: folder / "taken.tflite", "in a folder that can be written to"),
    ],
)
def test_a_path_that_cannot_be_written_is_refused_and_nothing_is_left_behind(path, message, tmp_path):
    (tmp_path / "taken.tflite").mkdir()
    with pytest.raises(ValueError, match=message):
        export.to_tflite(architectures.build("mlp"), path(tmp_path), data="digits", n=5, **QUIET)
    assert [entry.name for entry in tmp_path.iterdir()] == ["taken.tflite"]


def test_a_folder_that_refuses_the_file_is_named_and_nothing_is_left_behind(tmp_path, monkeypatch):
    def refuse(source, target):
        raise PermissionError(target)

    monkeypatch.setattr(os, "replace", refuse)  # root may write anywhere, so a read-only folder would prove nothing
    with pytest.raises(ValueError, match="in a folder that can be written to. Received: path=.*model.tflite"):
        export.to_tflite(architectures.build("mlp"), tmp_path / "model.tflite", data="digits", n=5, **QUIET)
    assert not list(tmp_path.iterdir())


def test_an_operation_without_a_builtin_is_refused_and_nothing_is_left_behind(tmp_path):
    images = keras.Input((28, 28, 1))
    flex = keras.Model(images, keras.ops.cast(keras.ops.svd(images[..., 0])[1], "float32"))
    with pytest.raises(ValueError, match="every operation of the model must be a TFLite builtin"):
        export.to_tflite(flex, tmp_path / "model.tflite", data="digits", n=5, **QUIET)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"quantize": "int4"}, "quantize must be one of None, float16, dynamic, int8"),
        ({"n": 0}, "n must be an integer of at least 1"),
        ({"eps": -1}, "eps must be finite and at least 0"),
        ({"quantize": "int8", "calibration": np.zeros((0, 28, 28, 1))}, "calibration images must hold at least one"),
        (
            {"quantize": "int8", "calibration": np.full((1, 28, 28, 1), 255.0)},
            r"calibration images must lie in \[0, 1\]",
        ),
        ({"data": (np.full((2, 28, 28, 1), np.nan), np.zeros(2, int))}, "images must be finite"),
    ],
)
def test_bad_settings_are_refused(kwargs, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        export.to_tflite(
            architectures.build("mlp"), tmp_path / "m.tflite", **{"data": "digits", "n": 5, **kwargs}, **QUIET
        )


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "the file must exist"),
        (b"not a model", "must be a TFLite flatbuffer"),
        (b"", "must be a TFLite flatbuffer"),
    ],
)
def test_a_foreign_file_is_refused(content, message, tmp_path):
    path = tmp_path / "model.tflite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        export.TFLiteModel(path)


def test_the_file_refuses_images_of_another_shape(tmp_path):
    export.to_tflite(architectures.build("mlp"), tmp_path / "m.tflite", data="digits", n=5, **QUIET)
    with pytest.raises(ValueError, match=r"file's input shape \(28, 28, 1\).*Received: shape=\(8, 8, 1\)"):
        export.TFLiteModel(tmp_path / "m.tflite")(np.zeros((1, 8, 8, 1)))


def test_operations_are_read_from_the_file_itself(tmp_path):
    export.to_tflite(architectures.build("mlp"), tmp_path / "m.tflite", data="digits", n=5, **QUIET)
    assert operations((tmp_path / "m.tflite").read_bytes()) == ["FULLY_CONNECTED", "RESHAPE"]
