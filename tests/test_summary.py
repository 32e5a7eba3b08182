"""Summaries: parameters, bytes and multiplications by precision, equal to arithmetic done by hand."""

import json
import math

import keras
import pytest
from keras import layers as keras_layers

import tfrobust
from tfrobust import architectures, layers

CONV_1, CONV_2, DENSE, LOGITS = 5 * 5 * 1 * 20, 5 * 5 * 20 * 50, 4 * 4 * 50 * 500, 500 * 10  # LeNet's kernels
BIASES = 20 + 50 + 500 + 10
BLOCKS = (  # MobileNetV2's table 2: expansion, channels, repeats, stride
    *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
    *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
)


def summary_of(name):
    return tfrobust.summary(architectures.build(name))


def chain(input_shape, *chained):
    return keras.Sequential([keras.Input(input_shape), *chained], name="chain")


def mobilenet_v2_kernels():
    """`(positions, weights, outputs)` of every kernel of MobileNetV2 on 224 x 224 x 3 images."""
    size, channels, kernels = 112, 32, [(112**2, 3 * 3 * 3 * 32, 32)]
    for expansion, filters, repeats, stride in BLOCKS:
        for repeat in range(repeats):
            hidden = expansion * channels
            kernels += [(size**2, channels * hidden, hidden)] * (expansion > 1)
            size //= stride if repeat == 0 else 1
            kernels += [(size**2, 3 * 3 * hidden, hidden), (size**2, hidden * filters, filters)]
            channels = filters
    return [*kernels, (7**2, 320 * 1280, 1280), (1, 1280 * 1000, 1000)]


# Networks of the zoo


def test_a_float_network_is_counted_as_by_hand():
    counted = summary_of("lenet")
    assert counted.parameters_by_bits == {32: CONV_1 + CONV_2 + DENSE + LOGITS + BIASES}
    assert counted.macs_by_bits == {(32, 32): 24 * 24 * CONV_1 + 8 * 8 * CONV_2 + DENSE + LOGITS}
    assert counted.bytes == 4 * counted.parameters and counted.ratio == 1


def test_binary_kernels_take_one_bit_and_what_surrounds_them_32():
    counted = summary_of("lenet_bnn")
    assert counted.parameters_by_bits == {32: CONV_1 + LOGITS + BIASES, 1: CONV_2 + DENSE}
    assert counted.macs_by_bits == {(32, 32): 24 * 24 * CONV_1 + LOGITS, (1, 32): 8 * 8 * CONV_2 + DENSE}
    assert counted.bytes == 4 * (CONV_1 + LOGITS + BIASES) + CONV_2 // 8 + DENSE // 8
    assert counted.ratio == counted.bytes / (4 * (CONV_1 + CONV_2 + DENSE + LOGITS + BIASES))


def test_activations_of_two_bits_are_the_inputs_of_all_layers_but_the_first():
    counted = summary_of("lenet_dqa2")
    assert counted.parameters == CONV_1 + CONV_2 + DENSE + LOGITS + BIASES + 3 * 4  # 4 spacings per activation
    assert counted.macs_by_bits == {(32, 32): 24 * 24 * CONV_1, (32, 2): 8 * 8 * CONV_2 + DENSE + LOGITS}


def test_four_bit_kernels_are_stored_two_to_the_byte():
    counted = summary_of("mlp_w4")
    floats = (784 + 1) * 500 + 150 + (150 + 1) * 10
    assert counted.parameters_by_bits == {32: floats, 4: 500 * 150}
    assert counted.macs_by_bits == {(32, 32): 784 * 500 + 150 * 10, (4, 32): 500 * 150}
    assert counted.bytes == 4 * floats + 500 * 150 // 2


def test_a_quantizer_of_the_images_is_the_first_layer_s_input_precision():
    assert summary_of("lenet_in1_dqa2").macs_by_bits[32, 1] == 24 * 24 * CONV_1


@pytest.mark.slow
def test_mobilenet_v2_is_counted_as_its_paper_does():
    counted, kernels = tfrobust.summary(keras.applications.MobileNetV2(weights=None)), mobilenet_v2_kernels()
    assert counted.macs == sum(positions * weights for positions, weights, _ in kernels)
    assert counted.macs == pytest.approx(300e6, rel=0.01)
    normalized = sum(outputs for *_, outputs in kernels[:-1])
    assert counted.parameters == sum(weights for _, weights, _ in kernels) + 4 * normalized + 1000


# Kinds of layers


@pytest.mark.parametrize(
    ("layer", "input_shape", "macs"),
    [
        (keras_layers.Conv2D(8, 3), (9, 7, 4), (7 * 5) * (3 * 3 * 4) * 8),
        (keras_layers.Conv2D(8, 3, strides=2, padding="same"), (9, 7, 4), (5 * 4) * (3 * 3 * 4) * 8),
        (keras_layers.Conv2D(8, 3, dilation_rate=2), (9, 7, 4), (5 * 3) * (3 * 3 * 4) * 8),
        (keras_layers.Conv2D(8, 3, groups=4), (9, 7, 4), (7 * 5) * (3 * 3 * 1) * 8),
        (keras_layers.Conv1D(5, 3), (10, 4), 8 * (3 * 4) * 5),
        (keras_layers.Conv3D(2, 2), (4, 4, 4, 3), 3**3 * (2**3 * 3) * 2),
        (keras_layers.Conv2DTranspose(8, 3, strides=2), (9, 7, 4), (9 * 7) * (3 * 3 * 4) * 8),
        (keras_layers.DepthwiseConv2D(3, depth_multiplier=2), (9, 7, 4), (7 * 5) * (3 * 3) * 4 * 2),
        (keras_layers.SeparableConv2D(8, 3), (9, 7, 4), (7 * 5) * ((3 * 3) * 4 + 4 * 8)),
        (keras_layers.Conv2D(8, 3, data_format="channels_first"), (4, 9, 7), (7 * 5) * (3 * 3 * 4) * 8),
        (keras_layers.Dense(6), (5,), 5 * 6),
        (keras_layers.Dense(6), (7, 5), 7 * 5 * 6),
        (keras_layers.BatchNormalization(), (9, 7, 4), 0),
        (keras_layers.Embedding(10, 3), (5,), 0),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_layer_s_macs_are_its_weights_times_its_positions(layer, input_shape, macs):
    assert tfrobust.summary(chain(input_shape, layer)).macs == macs


@pytest.mark.parametrize("kind", [layers.QuantDepthwiseConv2D, layers.QuantSeparableConv2D])
def test_all_kernels_of_a_quantized_convolution_have_its_bits(kind):
    layer = kind(
        **({"filters": 8} if kind is layers.QuantSeparableConv2D else {}), kernel_size=3, kernel_quantizer="kbit3"
    )
    counted = tfrobust.summary(chain((9, 9, 4), layer))
    kernels, bias = (9 * 4 + 4 * 8, 8) if kind is layers.QuantSeparableConv2D else (9 * 4, 4)
    assert counted.parameters_by_bits == {32: bias, 3: kernels}
    assert counted.bytes == 4 * bias + math.ceil(3 * kernels / 8)


def test_half_precision_weights_take_16_bits_and_so_do_their_inputs():
    counted = tfrobust.summary(
        chain((5,), keras_layers.Dense(6, dtype="float16"), keras_layers.Dense(1, dtype="float16"))
    )
    assert counted.parameters_by_bits == {16: 5 * 6 + 6 + 6 + 1}
    assert counted.macs_by_bits == {(16, 32): 5 * 6, (16, 16): 6}


def test_a_layer_that_no_formula_is_known_for_is_named_and_not_counted_as_zero():
    counted = tfrobust.summary(chain((4, 3), keras_layers.LSTM(2, name="memory"), keras_layers.Dense(5)))
    assert counted.uncounted == ["memory"] and counted.macs == 2 * 5
    assert ("MACs not counted", "memory") in counted.rows() and "?" in counted.layers[0].cells()


# Where an input's precision comes from


@pytest.mark.parametrize(
    "between",
    [
        keras_layers.MaxPooling2D(),
        keras_layers.ZeroPadding2D(),
        keras_layers.Cropping2D(),
        keras_layers.Dropout(0.5),
        layers.MCDropout(0.5),
        keras_layers.Reshape((16, 1)),
        keras_layers.GlobalMaxPooling2D(),
    ],
    ids=lambda layer: layer.name,
)
def test_layers_that_move_values_pass_the_precision_on(between):
    counted = tfrobust.summary(chain((4, 4, 1), layers.DQA(2), between, keras_layers.Flatten(), keras_layers.Dense(1)))
    assert counted.layers[-1].input_bits == 2


@pytest.mark.parametrize(
    "between",
    [keras_layers.AveragePooling2D(2), keras_layers.BatchNormalization(), keras_layers.Activation("tanh")],
    ids=lambda layer: layer.name,
)
def test_layers_that_compute_new_values_end_the_precision(between):
    counted = tfrobust.summary(chain((4, 4, 1), layers.DQA(2), between, keras_layers.Conv2D(1, 1)))
    assert counted.layers[-1].input_bits == 32


def test_a_sum_of_quantized_values_has_32_bits_and_values_side_by_side_the_most_of_theirs():
    x = keras.Input((4,))
    sides = layers.DQA(2)(x), layers.FixedQuantizedActivation(3)(x)
    joined = [keras_layers.Dense(1)(join(sides)) for join in (keras_layers.Concatenate(), keras_layers.Add())]
    assert tfrobust.summary(keras.Model(x, joined)).macs_by_bits == {(32, 32): 4, (32, 3): 8}


def test_a_layer_s_own_input_quantizer_goes_before_what_it_is_given():
    dense = layers.QuantDense(3, kernel_quantizer="binary", input_quantizer="dorefa_activations4")
    assert tfrobust.summary(chain((5,), layers.DQA(2), dense)).macs_by_bits == {(1, 4): 15}


# Models


def test_a_layer_used_twice_is_stored_once_and_computed_twice():
    x, shared = keras.Input((6,)), keras_layers.Dense(6)
    counted = tfrobust.summary(keras.Model(x, shared(shared(x))))
    assert counted.parameters == 6 * 6 + 6 and counted.macs == 2 * 6 * 6


def test_models_inside_a_model_are_gone_through_with_the_precision_of_what_they_get():
    inside = [keras.Input((4, 4, 1)), keras_layers.Flatten(name="flatten"), keras_layers.Dense(5, name="dense")]
    inner = keras.Sequential(inside, name="inner")
    counted = tfrobust.summary(chain((4, 4, 1), layers.DQA(2), inner, keras_layers.Dense(2)))
    assert [cost.name for cost in counted.layers[1:3]] == ["inner/flatten", "inner/dense"]
    assert counted.macs_by_bits == {(32, 32): 5 * 2, (32, 2): 16 * 5}


def test_counting_leaves_the_model_as_it_was():
    model = architectures.build("lenet_dqa2")
    tfrobust.summary(model)
    assert all(layer.output is not None for layer in model.layers)  # Keras refuses `output` after a second call


@pytest.mark.parametrize("name", ["lenet_dqa2", "cnn_small_sqa", "mlp_bnn", "lenet_w2_mcd"])
def test_every_parameter_of_a_model_is_counted(name):
    assert summary_of(name).parameters == architectures.build(name).count_params()


# Forms


def test_the_dict_is_plain_and_says_the_same():
    counted = summary_of("mlp_w4")
    plain = json.loads(json.dumps(counted.to_dict()))
    assert plain["macs_by_bits"] == {"32x32": 784 * 500 + 150 * 10, "4x32": 500 * 150}
    assert plain["parameters_by_bits"]["4"] == 500 * 150 and plain["bytes"] == counted.bytes
    assert sum(layer["bytes"] for layer in plain["layers"]) == counted.bytes


def test_the_printed_table_and_the_markdown_hold_layers_and_totals():
    counted = summary_of("mlp_w4")
    for text in (str(counted), counted.markdown()):
        assert "dense_2" in text and "75,150" in text and "4 bit weights x 32 bit inputs" in text
    assert counted.markdown().startswith("| layer | kind |")


@pytest.mark.tensorflow
def test_the_command_prints_the_table_the_json_and_the_markdown(capsys, tmp_path):
    from tfrobust import cli

    model, file = architectures.build("mlp_w4"), str(tmp_path / "mine.keras")
    model.save(file)
    assert cli.main(["summary", "mlp_w4", "--json"]) == cli.main(["summary", file, "--markdown"]) == 0
    printed, _, markdown = capsys.readouterr().out.partition("\n| layer")
    assert json.loads(printed)["macs"] == 784 * 500 + 500 * 150 + 150 * 10 and "dense_2" in markdown
    assert cli.main(["summary", "lenett"]) == 2


class Subclassed(keras.Model):
    def call(self, x):
        return x


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Subclassed(name="mine"), r"must be functional or sequential and built.*Received: model='mine'"),
        (lambda: keras.Sequential([keras_layers.Dense(1)], name="open"), r"begins with keras\.Input.*model='open'"),
        (lambda: chain((None, None, 3), keras_layers.Conv2D(1, 1)), r"must have a fixed size.*\[\(None, None, 3\)\]"),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        tfrobust.summary(make())
