"""The networks beyond MNIST: what a policy puts where, shortcuts, readouts, low precision, names, bad input."""

import functools
import itertools

import cases
import keras
import numpy as np
import pytest
import restated
from helpers import array, sized, vjp
from keras import layers as keras_layers

from tfrobust import architectures, data, layers, quantizers
from tfrobust.architectures import Policy, residual

ON_EVERY_ARCHITECTURE = pytest.mark.parametrize(**cases.named(cases.LARGE_ARCHITECTURES))


@functools.cache
def built(name):
    """A network that no test changes."""
    return architectures.build(name)


def of_kind(model, *kinds):
    return [layer for layer in model.layers if type(layer) in kinds]


def hidden_layers(model):
    """The hidden layers with weights, in order, the first one included."""
    return of_kind(model, layers.QuantConv2D, layers.QuantDense)


def endings(kind_layers):
    """`conv_2_1_a` -> `2_1_a`."""
    return [layer.name.partition("_")[2] for layer in kind_layers]


def images(rng, n=2, shape=(32, 32, 3)):
    return rng.uniform(size=(n, *shape)).astype("float32")


# What a policy puts where


@ON_EVERY_ARCHITECTURE
def test_model_maps_images_to_finite_logits_whose_readout_is_linear(case, rng):
    model = built(case.name)
    logits = array(model(images(rng)))
    assert logits.shape == (2, 10) and np.isfinite(logits).all() and np.std(logits) > 1e-3
    assert model.layers[-1].name == "logits"
    assert keras.activations.get(model.layers[-1].activation) is keras.activations.linear


@ON_EVERY_ARCHITECTURE
def test_without_a_policy_nothing_is_quantized(case):
    model = built(case.name)
    assert len(of_kind(model, keras_layers.ReLU)) == case.activations
    assert len(hidden_layers(model)) == case.hidden
    assert all(layer.kernel_quantizer is layer.input_quantizer is None for layer in hidden_layers(model))


@ON_EVERY_ARCHITECTURE
@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        ("dqa2", layers.DQA),
        ("fixed2", layers.FixedQuantizedActivation),
        ("w1a2", layers.QuantizedActivation),
    ],
)
def test_quantized_activations_replace_every_relu(case, suffix, kind):
    model = sized(f"{case.name}_{suffix}")
    found = of_kind(model, kind)
    assert endings(found) == endings(of_kind(built(case.name), keras_layers.ReLU))
    assert {layer.quantizer.bits for layer in found} == {2} and not of_kind(model, keras_layers.ReLU)


@ON_EVERY_ARCHITECTURE
def test_sqa_follows_the_first_activation_and_the_one_behind_the_first_block(case):
    model = sized(f"{case.name}_sqa")
    sqa = of_kind(model, layers.SQA)
    before = [model.get_layer(f"activation_{place}") for place in case.sqa]
    assert [layer.quantizer.levels for layer in sqa] == [2, 3]
    assert [layer.input is relu.output for layer, relu in zip(sqa, before, strict=True)] == [True, True]


@ON_EVERY_ARCHITECTURE
@pytest.mark.parametrize(
    ("suffix", "quantizer"),
    [("bnn", quantizers.Binary), ("w4", quantizers.KBit), ("w2a2g6", quantizers.DoReFaWeights)],
)
def test_weight_policy_leaves_the_first_and_the_last_kernel_float(case, suffix, quantizer):
    model = sized(f"{case.name}_{suffix}")
    first, *others = hidden_layers(model)
    assert first.name == "conv_1" and first.kernel_quantizer is None
    assert {type(layer.kernel_quantizer) for layer in others} == {quantizer} and len(others) == case.hidden - 1
    assert type(model.get_layer("logits")) is keras_layers.Dense


@ON_EVERY_ARCHITECTURE
def test_gradients_are_quantized_behind_every_layer_with_a_quantized_kernel(case):
    model = sized(f"{case.name}_w2a2g6")
    quantized = of_kind(model, layers.QuantizedGradient)
    assert sorted(endings(quantized)) == sorted(endings(hidden_layers(model)[1:]))
    assert {layer.gradient_quantizer.bits for layer in quantized} == {6}


@ON_EVERY_ARCHITECTURE
def test_an_input_policy_quantizes_pixels_before_they_are_standardised(case):
    model = sized(f"{case.name}_in2")
    quantize, standardize = model.get_layer("quantize_images"), model.get_layer("standardize")
    assert quantize.input is model.input and standardize.input is quantize.output
    assert quantize.quantizer.bits == 2 and all(layer.input_quantizer is None for layer in hidden_layers(model))


@pytest.mark.parametrize("name", ["resnet20_in1", "conv3_in1"])
def test_one_bit_per_pixel_tells_those_above_one_half(name, rng):
    model, x = built(name), images(rng)
    np.testing.assert_allclose(array(model(x)), array(model((x > 0.5).astype("float32"))), atol=1e-5)


@pytest.mark.parametrize("name", ["convnet", "nin"])
@pytest.mark.parametrize("suffix", ["bnn", "w2", "w2a8"])
def test_without_normalization_quantized_kernels_start_with_features_of_the_float_ones_size(name, suffix, rng):
    models, x = (built(name), built(f"{name}_{suffix}")), images(rng, 4)
    float_, quantized = (np.std(array(keras.Model(m.input, m.layers[-1].input)(x))) for m in models)
    assert 0.2 < quantized / float_ < 20


# Standardisation


@pytest.mark.parametrize("name", ["convnet", "resnet20"])
def test_pixels_are_standardised_inside_by_mean_and_std(name, rng):
    x, mean, std = images(rng), (0.1, 0.2, 0.3), (0.5, 1.0, 2.0)
    inside, outside = architectures.build(name, mean=mean, std=std), architectures.build(name, mean=0, std=1)
    outside.set_weights(inside.get_weights())
    by_hand = ((x - np.array(mean)) / np.array(std)).astype("float32")
    np.testing.assert_allclose(array(inside(x)), array(outside(by_hand)), rtol=1e-4, atol=1e-5)


def test_standardisation_is_by_default_near_that_of_real_images():
    standardize = built("resnet20").get_layer("standardize")
    assert (standardize.mean, standardize.std) == ([0.5], [0.25])


# Shortcuts


@pytest.mark.parametrize(("strides", "window"), [(1, 1), (2, 1), (2, 2)])
def test_padded_shortcut_takes_every_second_position_or_their_mean_and_adds_channels_of_zeros(strides, window, rng):
    x = images(rng, shape=(6, 6, 3))
    inputs = keras.Input((6, 6, 3))
    shortcut = keras.Model(inputs, residual.padded(inputs, 8, strides, "2_1", window))
    rows = [x[:, i::strides, j::strides] for i, j in itertools.product(range(window), repeat=2)]
    expected = np.pad(np.mean(rows, axis=0), ((0, 0), (0, 0), (0, 0), (2, 3)))
    np.testing.assert_allclose(array(shortcut(x)), expected, atol=1e-6)


@pytest.mark.parametrize(("name", "last"), [("resnet18x2", "norm_2_1_b"), ("resnet50x2", "norm_2_2_c")])
def test_block_without_its_branch_is_the_activation_of_its_shortcut(name, last, rng):
    model, label = architectures.build(name), last[5:8]
    model.get_layer(last).gamma.assign(0 * model.get_layer(last).gamma)
    block = model.get_layer(f"add_{label}")
    shortcut, after = block.input[1], model.get_layer(f"activation_{label}").output
    found = keras.Model(model.input, [shortcut, after])(images(rng))
    np.testing.assert_array_equal(array(found[1]), np.maximum(array(found[0]), 0))


def test_preactivated_stream_is_never_cut_by_an_activation(rng):
    model = built("wide_resnet16_1")
    stream = [model.get_layer(f"add_{stage}_{block}") for stage in (2, 3, 4) for block in (1, 2)]
    assert all(second.input[1] is first.output for first, second in zip(stream[::2], stream[1::2], strict=True))
    assert array(keras.Model(model.input, stream[0].output)(images(rng))).min() < 0


# Readouts that the papers write as convolutions


def test_nin_reads_out_what_its_paper_s_last_convolution_and_mean_do(rng):
    model, x = built("nin"), images(rng)
    features = array(keras.Model(model.input, model.get_layer("mean").input)(x))
    kernel, bias = (array(weight) for weight in model.get_layer("logits").weights)
    np.testing.assert_allclose(array(model(x)), (features @ kernel + bias).mean(axis=(1, 2)), rtol=1e-4, atol=1e-5)


def test_convnet_s_dense_layer_is_the_tabulated_convolution_of_kernel_4(rng):
    model, x = built("convnet"), images(rng)
    before, dense = model.get_layer("flatten").input, model.get_layer("dense_4")
    features = array(keras.Model(model.input, before)(x))
    conv4 = keras.ops.conv(features, array(dense.kernel).reshape(4, 4, 64, 64)) + array(dense.bias)
    np.testing.assert_allclose(array(keras.Model(model.input, dense.output)(x)), array(conv4)[:, 0, 0], atol=1e-5)


# The low-precision paper's


def test_logistic_s_softmax_is_the_sigmoid_of_one_unit_with_a_quantized_kernel(rng):
    model, x = architectures.build("logistic_w3"), images(rng, 5, (28, 28, 1))
    kernel, bias = rng.uniform(-1, 1, size=(784, 1)).astype("float32"), np.array([0.3], "float32")
    model.get_layer("logits").set_weights([kernel, bias])
    z = x.reshape(5, -1) @ restated.kbit(kernel, 3) + bias
    np.testing.assert_allclose(array(model(x)), np.hstack([0 * z, z]), atol=1e-4)


@pytest.mark.parametrize(("name", "places"), [("mlp_spheres", ["2"]), ("conv3", ["2", "3"])])
def test_low_precision_networks_normalize_behind_quantized_kernels_only(name, places):
    assert of_kind(sized(name), keras_layers.BatchNormalization) == []
    assert of_kind(sized(f"{name}_dqa2"), keras_layers.BatchNormalization) == []
    assert endings(of_kind(sized(f"{name}_w1a2"), keras_layers.BatchNormalization)) == places


def test_mlp_spheres_maps_points_to_two_logits_through_binary_weights_and_four_levels(rng):
    model = architectures.build("mlp_spheres_w1a2", units=32)
    first, second = hidden_layers(model)
    assert first.kernel_quantizer is None and second.kernel_quantizer.bits == 1
    after = keras.Model(model.input, model.get_layer("activation_2").output)(rng.normal(size=(50, 2)))
    assert set(np.round(3 * array(after), 5).ravel()) == {0, 1, 2, 3} and model.output_shape == (None, 2)


# DoReFa


@pytest.mark.parametrize("bits", [1, 6])
def test_gradient_layer_quantizes_in_training_and_keeps_32_bits_for_an_attacker(bits, rng):
    layer, x, upstream = layers.QuantizedGradient(bits), *rng.normal(size=(2, 4, 5)).astype("float32")
    noise = rng.uniform(size=(4, 5)).astype("float32")
    with layers.noise_source(lambda shape, seed_generator: noise):
        (trained,) = vjp(lambda x: layer(x, training=True), upstream, x)
        (attacked,) = vjp(lambda x: layer(x, training=False), upstream, x)
    np.testing.assert_allclose(trained, restated.dorefa_gradients(upstream, noise, bits), atol=1e-5)
    np.testing.assert_array_equal(attacked, upstream)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["lenet_w1a2g6", "lenet_w2a2"])
def test_low_bits_in_weights_activations_and_gradients_learn_digits(name):
    from tfrobust import training

    model = architectures.build(name)
    training.fit(model, data.load("digits", "train"), epochs=4, batch_size=50, learning_rate=2e-3)
    digits = data.load("digits")
    assert (array(model(digits.pixels())).argmax(-1) == digits.labels).mean() > 0.9


# Saving


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("resnet20_w1a2g6", {}),
        ("wide_resnet8_2_in1_sqa_w4", {}),
        ("convnet_dqa2", {}),
        ("logistic_w4", {}),
        ("mlp_spheres_w1a2", {"units": 8}),
    ],
)
def test_loaded_model_computes_the_same_logits(name, arguments, rng, tmp_path):
    model = architectures.build(name, **arguments)
    x = images(rng, shape=model.input_shape[1:])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(array(loaded(x)), array(model(x)))


def test_logits_of_an_image_do_not_depend_on_its_batch(rng):
    model, x = built("resnet20_dqa2"), images(rng, 3)
    np.testing.assert_allclose(array(model(x))[1:2], array(model(x[1:2])), atol=1e-5)


# Names and bad input


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet18", ("resnet18", Policy())),
        ("resnet18x16_dqa2", ("resnet18x16", Policy("dqa2"))),
        ("wide_resnet28_10", ("wide_resnet28_10", Policy())),
        ("wide_resnet32_10_in1_sqa", ("wide_resnet32_10", Policy("sqa", input="dorefa_activations1"))),
        ("vgg16_w1a2", ("vgg16", Policy("dorefa_activations2", "dorefa_weights1"))),
        ("resnet18_w1a2g6", ("resnet18", Policy("dorefa_activations2", "dorefa_weights1", gradient=6))),
        ("mlp_spheres_w3a3_mcd", ("mlp_spheres", Policy("dorefa_activations3", "dorefa_weights3", dropout=0.5))),
    ],
)
def test_name_splits_into_architecture_and_policy(name, expected):
    assert architectures.split_name(name) == expected


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("resnet18", {"depth": 18}),
        ("resnet50x16", {"depth": 50, "filters": 16}),
        ("wide_resnet34_20", {"depth": 34, "width": 20}),
        ("vgg16", {}),
    ],
)
def test_numbers_in_a_name_are_arguments(name, numbers):
    assert architectures.find(name).keywords == numbers


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: architectures.build("resnet19_dqa2"), r"depth must be one of 18, 34.*Received: depth=19"),
        (lambda: architectures.build("resnet18x0"), r"filters must be an integer of at least 1\. Received: filters=0"),
        (lambda: architectures.build("wide_resnet30_10"), r"depth must be 6n \+ 4 or 6n \+ 2.*Received: depth=30"),
        (lambda: architectures.build("wide_resnet4_1"), r"depth must be 6n \+ 4 or 6n \+ 2.*Received: depth=4"),
        (lambda: architectures.build("wide_resnet28_0"), r"width must be an integer of at least 1"),
        (lambda: architectures.split_name("resnet_dqa2"), r"must begin with an architecture.*Received: 'resnet_dqa2'"),
        (lambda: architectures.split_name("wide_resnet28_dqa2"), r"did you mean wide_resnet<depth>_<width>\?\)"),
        (lambda: architectures.split_name("vgg16_w1a2g"), r"a quantization must be one of.*Received: 'w1a2g'"),
        (lambda: architectures.split_name("vgg16_w2_w1a2"), r"may give its kernel one quantization.*'w2_w1a2'"),
        (lambda: architectures.split_name("vgg16_w1a2_dqa2"), r"may give its activation one.*'w1a2_dqa2'"),
        (lambda: architectures.split_name("vgg16_w1a9"), r"bits must be an integer from 1 to 8\. Received: bits=9"),
        (lambda: architectures.split_name("vgg16_w1a2g32"), r"bits must be an integer from 1 to 8\. Received: bits=32"),
        (lambda: architectures.build("logistic_dqa2"), r"logistic has no hidden layer to quantize\. Received: policy"),
        (lambda: architectures.mlp_spheres(units=0), r"units must be an integer of at least 1\. Received: units=0"),
        (
            lambda: architectures.build("nin", mean=(0.1, 0.2)),
            r"mean must be one number, or one for each of 3 channels",
        ),
        (lambda: architectures.build("nin", std=(0.1, 0.2)), r"std must be one number, or one for each of 3 channels"),
        (lambda: layers.QuantizedGradient(0), r"bits must be an integer from 1 to 8\. Received: bits=0"),
        (lambda: layers.QuantizedActivation("dorefa"), r"a quantizer must be one of.*Received: 'dorefa'"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
