"""Export: files of builtin operations that the stock interpreter runs, proven against the Keras model."""

import os

import keras
import numpy as np
import pytest

from tfrobust import architectures, attacks, data, export, layers, quantizers, zoo
from tfrobust.export.convert import convert
from tfrobust.export.flatbuffer import operations

pytestmark = pytest.mark.tensorflow

QUIET = {"show_progress": False}


@pytest.fixture(scope="module")
def trained():
    """A trained DQA model; an untrained one would sit on its thresholds and agree with nothing."""
    return zoo.load("lenet_dqa2.digits_pgd")


@pytest.mark.parametrize("quantize, most", [(None, 1.01), ("float16", 0.52), ("dynamic", 0.27), ("int8", 0.27)])
def test_every_mode_gives_the_same_labels_from_a_file_of_the_expected_size(trained, tmp_path, quantize, most):
    path = tmp_path / "model.tflite"
    report = export.to_tflite(trained, path, quantize, data="digits", n=200, **QUIET)
    assert report.label_agreement >= 0.99
    assert report.bytes == path.stat().st_size <= most * 4 * trained.count_params() + 8000
    assert report.bytes_per_weight == report.bytes / trained.count_params()
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


def test_int8x16_files_take_and_give_int16_and_are_no_less_exact(trained, tmp_path):
    path, x = tmp_path / "model.tflite", data.load("digits", n=30).pixels()
    logits, gaps = np.asarray(trained(x)), []
    for quantize in ("int8", "int8x16"):
        path.write_bytes(convert(trained, quantize, data.load("digits", "train", 100).pixels()))
        gaps.append(np.abs(export.TFLiteModel(path)(x) - logits).mean())
    assert export.TFLiteModel(path).dtype == np.int16 and gaps[1] <= 1.05 * gaps[0]


@pytest.mark.parametrize("activation", [layers.SQA(2), layers.FixedQuantizedActivation(2)])
def test_int8x16_is_refused_with_a_reason_where_it_would_be_silently_wrong(activation):
    model = keras.Sequential([keras.Input((4, 4, 1)), activation, keras.layers.Flatten()])
    with pytest.raises(ValueError, match="int8x16 needs a model that selects between no two tensors.*use int8"):
        convert(model, "int8x16", np.random.default_rng(0).random((5, 4, 4, 1), "float32"))


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_int8x16_is_refused_for_kernels_that_are_drawn_also_inside_models_inside_the_model(depth):
    model = keras.Sequential([keras.Input((16,)), layers.QuantDense(4, kernel_quantizer="binary_stochastic")])
    for _ in range(depth):
        model = keras.Sequential([keras.Input((16,)), model])
    with pytest.raises(ValueError, match="kernels are the same at each call: use int8.*layers=.'quant_dense"):
        convert(model, "int8x16", np.random.default_rng(0).random((5, 16), "float32"))


@pytest.mark.parametrize("layer", ["conv", "dense"])
def test_stochastic_binary_kernels_keep_mean_and_spread_in_int8(layer, tmp_path, rng):
    kinds = {"conv": layers.QuantConv2D(4, 5), "dense": layers.QuantDense(20)}
    kinds[layer].kernel_quantizer = quantizers.BinaryStochastic()
    order = [kinds[layer], keras.layers.Flatten()][:: 1 if layer == "conv" else -1]
    model = keras.Sequential([keras.Input((8, 8, 1)), *order])
    x = rng.random((100, 8, 8, 1), "float32")
    (tmp_path / "m.tflite").write_bytes(convert(model, "int8", x))
    file = export.TFLiteModel(tmp_path / "m.tflite")
    ours, theirs = (np.stack([np.asarray(call(x[:1]))[0] for _ in range(300)]) for call in (file, model))
    error = np.sqrt((ours.var(0) + theirs.var(0)) / 300)
    assert (np.abs(ours.mean(0) - theirs.mean(0)) < 5 * error + file.step).all()
    assert 0.9 < ours.std(0).mean() / theirs.std(0).mean() < 1.1


def test_binary_kernels_are_drawn_as_often_in_int8_as_their_weights_say(tmp_path):
    layer = layers.QuantDense(4, use_bias=False, kernel_quantizer=quantizers.BinaryStochastic())
    model = keras.Sequential([keras.Input((2, 1, 1)), keras.layers.Flatten(), layer])
    layer.set_weights([np.array([[-1, 1, 0, 0.6], [0, 0, 0, 0]], "float32")])
    x = np.array([1, 0], "float32").reshape(1, 2, 1, 1)
    (tmp_path / "m.tflite").write_bytes(convert(model, "int8", np.repeat(x, 50, axis=0)))
    file = export.TFLiteModel(tmp_path / "m.tflite")
    drawn = np.stack([file(x)[0] for _ in range(3000)])
    np.testing.assert_allclose(np.abs(drawn), 1, atol=file.step)
    assert (drawn[:, 0] < 0).all() and (drawn[:, 1] > 0).all()
    np.testing.assert_allclose((drawn > 0).mean(0), [0, 1, 0.5, 0.8], atol=4.5 * 0.5 / np.sqrt(3000))


def test_drawn_kernels_keep_the_spread_of_logits_behind_relu_in_int8(tmp_path):
    model, x = architectures.build("lenet_randbnn"), data.load("digits", n=1).pixels()
    (tmp_path / "m.tflite").write_bytes(convert(model, "int8", data.load("digits", "train", 100).pixels()))
    calls = export.TFLiteModel(tmp_path / "m.tflite"), model
    ours, theirs = (np.stack([np.asarray(call(x))[0] for _ in range(200)]).std(0).mean() for call in calls)
    assert 0.93 < ours / theirs < 1.07


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
        (
            {"quantize": "int4"},
            "quantize must be one of None, float16, dynamic, int8, int8x16, packed",
        ),
        ({"n": 0}, "n must be an integer of at least 1"),
        ({"eps": -1}, "eps must be finite and at least 0"),
        ({"quantize": "int8", "calibration": np.zeros((0, 28, 28, 1))}, "calibration images must hold at least one"),
        (
            {"quantize": "int8", "calibration": np.full((1, 28, 28, 1), 255.0)},
            r"calibration images must lie in \[0, 1\]",
        ),
        (
            {"quantize": "int8x16", "calibration": np.zeros((3, 8, 8, 1))},
            r"calibration images must have the model's input shape \(28, 28, 1\).*Received: shape=\(8, 8, 1\)",
        ),
        ({"data": (np.full((2, 28, 28, 1), np.nan), np.zeros(2, int))}, "images must be finite"),
        ({"labels": ["one", "two"]}, "labels must be 10 names, one per class"),
        ({"card": {"made": object()}}, "card must be plain data"),
        ({"quantize": "packed"}, "packed needs a model with kernels of at most 256 levels. Received: model='mlp'"),
    ],
)
def test_bad_settings_are_refused(kwargs, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        export.to_tflite(
            architectures.build("mlp"), tmp_path / "m.tflite", **{"data": "digits", "n": 5, **kwargs}, **QUIET
        )
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def content():
    return convert(architectures.build("mlp"))


@pytest.mark.parametrize("read", [export.TFLiteModel, export.metadata, export.benchmark])
@pytest.mark.parametrize("share", [0, 1e-5, 1e-3, 0.5, 0.999])
def test_a_file_that_is_cut_short_is_refused_wherever_it_is_cut(read, share, content, tmp_path):
    (tmp_path / "m.tflite").write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match="must be a whole TFLite flatbuffer. Received: path=.*m.tflite"):
        read(tmp_path / "m.tflite")


@pytest.mark.parametrize(
    "foreign, message",
    [
        (None, "the file must exist"),
        (b"not a model, but long enough to be one", "must be a whole TFLite flatbuffer"),
        (b"\x08\0\0\0TFL3" + bytes(range(256)), "must be a whole TFLite flatbuffer|the stock interpreter must"),
    ],
)
def test_a_foreign_file_is_refused(foreign, message, tmp_path):
    path = tmp_path / "model.tflite"
    if foreign is not None:
        path.write_bytes(foreign)
    with pytest.raises(ValueError, match=message):
        export.TFLiteModel(path)


def test_a_file_that_maps_no_image_to_logits_is_refused(tmp_path):
    (tmp_path / "m.tflite").write_bytes(convert(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])))
    with pytest.raises(ValueError, match=r"must map one image .* to logits .*inputs=\[\[1, 4\]\]"):
        export.TFLiteModel(tmp_path / "m.tflite")


@pytest.mark.parametrize(
    "images, message",
    [
        (np.zeros((1, 8, 8, 1)), r"file's input shape \(28, 28, 1\).*Received: shape=\(8, 8, 1\)"),
        (np.zeros((1, 28, 28, 1), "uint8"), r"images must be floats in \[0, 1\].*Received: dtype='uint8'"),
    ],
)
def test_the_file_refuses_images_of_another_shape_or_type(images, message, content, tmp_path):
    (tmp_path / "m.tflite").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        export.TFLiteModel(tmp_path / "m.tflite")(images)


def test_no_images_give_no_logits_and_no_threads_are_refused(content, tmp_path):
    (tmp_path / "m.tflite").write_bytes(content)
    assert export.TFLiteModel(tmp_path / "m.tflite")(np.zeros((0, 28, 28, 1))).shape == (0, 10)
    with pytest.raises(ValueError, match="^threads must be an integer of at least 1. Received: threads=0$"):
        export.TFLiteModel(tmp_path / "m.tflite", threads=0)


@pytest.mark.parametrize("model", ["lenet_dqa2", keras.Sequential([keras.layers.Dense(3)])])
def test_only_a_built_model_can_be_exported(model, tmp_path):
    with pytest.raises(ValueError, match="the model must be a built Keras model. Received: model="):
        export.to_tflite(model, tmp_path / "m.tflite", data="digits", n=5, **QUIET)
    assert not list(tmp_path.iterdir())


def test_operations_are_read_from_the_file_itself(content):
    assert operations(content) == ["FULLY_CONNECTED", "RESHAPE"]
