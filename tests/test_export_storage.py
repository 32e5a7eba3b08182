"""What stands inside an exported file: constants, kernels at their own bits, metadata."""

import keras
import numpy as np
import pytest

from tfrobust import architectures, data, export, layers, zoo
from tfrobust.export import flatbuffer, pack
from tfrobust.export.convert import convert
from tfrobust.export.metadata import with_metadata

pytestmark = pytest.mark.tensorflow

schema = flatbuffer.schema
TYPES = {code: name for name, code in vars(schema.TensorType).items() if isinstance(code, int)}


def constants(content):
    """`(type, bytes)` of each constant tensor."""
    file = flatbuffer.read(content, "test")
    stored = [(TYPES[tensor.type], file.buffers[tensor.buffer].data) for tensor in file.subgraphs[0].tensors]
    return [(kind, data) for kind, data in stored if data is not None]


def low_bit(model):
    """The same, of a packed file, without tables, scales and shapes."""
    return [constant for constant in constants(convert(model, "packed")) if constant[0] not in ("FLOAT32", "INT32")]


def one_layer(quantizer, shape=(6, 6, 3), filters=8):
    """A quantized convolution, then a normalization that the converter folds into its kernel."""
    layer = layers.QuantConv2D(filters, 3, kernel_quantizer=quantizer)
    normalization = keras.layers.BatchNormalization()
    model = keras.Sequential([keras.Input(shape), layer, normalization, keras.layers.Flatten()])
    layer.kernel.assign(1.5 * np.random.default_rng(0).normal(size=layer.kernel.shape))
    normalization.gamma.assign(np.linspace(0.5, 2, filters))
    return model


@pytest.mark.parametrize("name, levels", [("lenet_bnn", 2), ("lenet_w2", 5), ("lenet_w1a2", 2)])
def test_a_float_file_holds_quantized_kernels_and_no_latent_ones(name, levels):
    stored = [values for _, values in constants(convert(architectures.build(name)))]
    kernels = [values.view("float32") for values in stored if len(values) > 4 * 6000]
    assert len(kernels) == 2  # the first and the last layer stay float
    assert all(len(np.unique(np.abs(kernel))) <= levels for kernel in kernels)


def test_thresholds_are_constants_and_nothing_computes_them():
    operations = flatbuffer.operations(convert(architectures.build("lenet_dqa2")))
    assert operations == ["ADD", "CAST", "CONV_2D", "FULLY_CONNECTED", "GREATER", "MAX_POOL_2D", "MUL", "RESHAPE"]


@pytest.mark.parametrize(
    "quantizer, kind, bits",
    [
        ("binary", "UINT8", 1),
        ("dorefa_weights1", "UINT8", 1),
        ("dorefa_weights2", "UINT8", 2),
        ("kbit2", "UINT8", 8 / 3),  # five levels: three in a byte
        ("kbit3", "INT4", 4),
        ("dorefa_weights3", "INT4", 4),
        ("dorefa_weights4", "UINT8", 4),
        ("kbit4", "INT8", 8),  # 17 levels, one more than four bits hold
    ],
)
def test_a_kernel_is_stored_at_its_bits_and_keeps_its_values(quantizer, kind, bits, tmp_path, rng):
    model, path = one_layer(quantizer), tmp_path / "m.tflite"
    ((stored, values),) = low_bit(model)
    assert (stored, len(values)) == (kind, np.ceil(3 * 3 * 3 * 8 * bits / 8))
    x = rng.random((4, 6, 6, 3), "float32")
    path.write_bytes(convert(model))
    exact = np.stack([run(path, image) for image in x])
    path.write_bytes(convert(model, "packed"))
    np.testing.assert_allclose(np.stack([run(path, image) for image in x]), exact, rtol=1e-4, atol=1e-4)


def run(path, image):
    return export.TFLiteModel(path)(image[None])[0]


def test_four_levels_on_a_grid_become_int2():
    assert pack._grid(np.float32([-1, -0.5, 0, 0.5]))[0] == 2
    assert pack._grid(np.float32([-1, -0.5, 0, 0.5, 1]))[0] == 4  # int2 ends at +1/2
    assert pack._grid(np.float32([-0.3, 0.1, 0.17])) is None


@pytest.mark.parametrize("quantizer", ["binary", "kbit3"])
def test_a_layer_that_is_called_twice_and_one_that_equals_it_are_packed_too(quantizer, tmp_path, rng):
    first, second = (layers.QuantConv2D(3, 3, padding="same", kernel_quantizer=quantizer) for _ in range(2))
    images = keras.Input((6, 6, 3))
    model = keras.Model(images, keras.layers.Flatten()(second(first(first(images)))))
    second.set_weights(first.get_weights())
    (tmp_path / "m.tflite").write_bytes(convert(model, "packed"))
    x = rng.random((1, 6, 6, 3), "float32")
    np.testing.assert_allclose(run(tmp_path / "m.tflite", x[0]), np.asarray(model(x))[0], rtol=1e-4, atol=1e-4)


def test_kernels_of_a_model_inside_the_model_are_packed_too():
    outer = keras.Sequential([keras.Input((6, 6, 3)), one_layer("dorefa_weights2")])
    assert [(kind, len(data)) for kind, data in low_bit(outer)] == [("UINT8", 3 * 3 * 3 * 8 * 2 / 8)]


def test_negative_scales_have_no_type_and_become_words():
    model = one_layer("kbit3")
    model.layers[1].gamma.assign(-np.ones(8))
    assert [kind for kind, _ in low_bit(model)] == ["UINT8"]


def test_words_hold_their_digits_lowest_first_and_the_last_is_filled_up():
    assert pack._words(np.array([1, 0, 1, 1, 0, 0, 0, 0, 1]), 8, 2).tolist() == [0b1101, 1]
    assert pack._words(np.array([4, 3, 2, 1]), 3, 5).tolist() == [4 + 3 * 5 + 2 * 25, 1]


@pytest.mark.parametrize("name, most", [("lenet_bnn", 0.22), ("lenet_w2", 0.6), ("lenet_w1a2", 0.6)])
def test_low_bit_networks_are_far_smaller_than_int8(name, most):
    model = architectures.build(name)
    packed, int8 = convert(model, "packed"), convert(model, "int8", data.load("digits", "train", 20).pixels())
    assert len(packed) <= most * model.count_params() and len(packed) < len(int8) / 1.5


def test_a_written_file_keeps_buffers_aligned_for_devices_that_map_it():
    content = with_metadata(convert(architectures.build("lenet_bnn"), "packed"), {"odd": "length"})
    file = schema.Model.GetRootAs(content, 0)
    buffers = [file.Buffers(i) for i in range(file.BuffersLength())]
    starts = [buffer._tab.Vector(buffer._tab.Offset(4)) for buffer in buffers if buffer.DataLength()]
    assert len(starts) > 5 and all(start % flatbuffer.ALIGNMENT == 0 for start in starts)


def test_a_file_says_what_it_is_and_an_interpreter_passes_over_it(tmp_path):
    path, name = tmp_path / "m.tflite", "lenet_dqa2.digits_pgd"
    card = zoo.card(name).brief()
    export.to_tflite(zoo.load(name), path, "int8", data="digits", n=5, card=card, show_progress=False)
    record = export.metadata(path)
    assert record["labels"] == list("0123456789") and record["threat_model"] == "Linf 0.3 on [0,1]"
    assert (record["model"], record["quantize"]) == ("lenet_dqa2", "int8")
    assert record["input"] == {"shape": [28, 28, 1], "range": [0, 1]}
    assert record["card"]["name"] == name and record["card"]["worst"] == card["worst"]


def test_a_file_of_someone_else_holds_no_metadata(tmp_path):
    (tmp_path / "m.tflite").write_bytes(convert(architectures.build("mlp")))
    with pytest.raises(ValueError, match="the file must hold tfrobust's metadata"):
        export.metadata(tmp_path / "m.tflite")
