"""Model surgery: float models with quantized layers in place of theirs, equal to float layers on quantized tensors."""

import logging

import keras
import numpy as np
import pytest
from helpers import array
from keras import layers as keras_layers, ops

import tfrobust
from tfrobust import architectures, data, layers, quantizers

KERNELS = {
    "conv": (lambda: keras_layers.Conv2D(4, 3, strides=2, activation="tanh"), layers.QuantConv2D),
    "dense": (lambda: keras_layers.Dense(4, activation="tanh"), layers.QuantDense),
    "depthwise": (lambda: keras_layers.DepthwiseConv2D(3, depth_multiplier=2), layers.QuantDepthwiseConv2D),
    "separable": (lambda: keras_layers.SeparableConv2D(4, 3, padding="same"), layers.QuantSeparableConv2D),
}
RELUS = {
    "layer": keras_layers.ReLU(6.0),
    "activation": keras_layers.Activation("relu6"),
    "operation": ops.relu,
    "function": keras.activations.relu,
    "argument": keras_layers.DepthwiseConv2D(1, activation="relu", depthwise_initializer="ones"),
}


def chain(*chained, input_shape=(6, 6, 3), name="chain"):
    return keras.Sequential([keras.Input(input_shape), *chained], name=name)


def images(rng, model, n=3):
    return rng.normal(size=(n, *model.input_shape[1:])).astype("float32")


def kinds(model):
    return [type(layer).__name__ for layer in model.layers if not isinstance(layer, keras_layers.InputLayer)]


def convnet():
    """Convolution, ReLU as argument, normalization, ReLU as layer, two dense layers."""
    x = image = keras.Input((6, 6, 3), name="images")
    x = keras_layers.ZeroPadding2D(name="pad")(x)
    x = keras_layers.Conv2D(4, 3, activation="relu", name="first")(x)
    x = keras_layers.Conv2D(5, 3, use_bias=False, name="second")(x)
    x = keras_layers.ReLU(name="relu")(keras_layers.BatchNormalization(name="norm")(x))
    x = keras_layers.Dense(6, activation="relu", name="hidden")(keras_layers.Flatten(name="flatten")(x))
    return keras.Model(image, keras_layers.Dense(3, activation="softmax", name="last")(x), name="convnet")


def with_model_inside():
    return chain(convnet(), keras_layers.Dense(4, activation="relu", name="head"), name="around")


def branching():
    image, shared = {name: keras.Input((5,), name=name) for name in "ab"}, keras_layers.Dense(5, activation="relu")
    x = shared(image["a"]) + 2 * shared(keras_layers.Dropout(0.5)(image["b"]))
    return keras.Model(image, [keras_layers.Dense(2)(x), keras_layers.Dense(3)(ops.relu(x))])


def states(model, *arguments, **settings):
    """(layer, part) -> (state, detail) of the plan."""
    changes = layers.quantization_plan(model, *arguments, **settings).changes
    return {(change.layer, change.part): (change.state, change.detail) for change in changes}


# What is computed


@pytest.mark.parametrize("make", [convnet, with_model_inside, lambda: architectures.build("cnn_small")])
def test_a_copy_without_quantizers_computes_exactly_the_same(make, rng):
    model = make()
    x = images(rng, model)
    np.testing.assert_array_equal(array(tfrobust.quantize(model)(x)), array(model(x)))


def test_a_copy_keeps_several_inputs_and_outputs_and_shared_layers(rng):
    model = branching()
    copy, x = tfrobust.quantize(model), {name: rng.normal(size=(3, 5)).astype("float32") for name in "ab"}
    for ours, theirs in zip(copy(x), model(x), strict=True):
        np.testing.assert_array_equal(array(ours), array(theirs))
    assert tfrobust.quantize(model, "dqa2", "binary").count_params() == model.count_params() + 2 * 4


@pytest.mark.parametrize("kernel", ["binary", "kbit4", "dorefa4"])
@pytest.mark.parametrize(("make", "kind"), KERNELS.values(), ids=KERNELS)
def test_a_quantized_layer_computes_what_the_float_one_does_with_quantized_kernels(make, kind, kernel, rng):
    model = chain(make())
    quantized, x = tfrobust.quantize(model, kernel=kernel, skip=()), images(rng, model)
    quantizer = quantized.layers[0].kernel_quantizer
    weights = [array(quantizer(w)) if len(w.shape) > 1 else w for w in model.get_weights()]
    model.set_weights(weights)
    assert type(quantized.layers[0]) is kind
    np.testing.assert_allclose(array(quantized(x)), array(model(x)), atol=1e-5)


@pytest.mark.parametrize("relu", RELUS.values(), ids=RELUS)
@pytest.mark.parametrize("name", ["dqa2", "fixed3", "dorefa2"])
def test_every_form_of_relu_gives_way_to_the_quantizer(relu, name, rng):
    image = keras.Input((4, 4, 3))
    model, quantizer = keras.Model(image, relu(image)), quantizers.get(name.replace("dorefa", "dorefa_activations"))
    x = images(rng, model)
    np.testing.assert_array_equal(array(tfrobust.quantize(model, name, skip=())(x)), array(quantizer(x)))


@pytest.mark.parametrize("relu", RELUS.values(), ids=RELUS)
def test_sqa_comes_after_the_relu_and_gives_two_levels_per_image(relu, rng):
    image = keras.Input((4, 4, 3))
    model = keras.Model(image, relu(image))
    x = images(rng, model)
    out, float_ = array(tfrobust.quantize(model, "sqa2", skip=())(x)), array(model(x))
    for ours, theirs in zip(out, float_, strict=True):
        np.testing.assert_allclose(np.unique(ours), [theirs.min(), theirs.max()], atol=1e-6)


def test_sqa_follows_the_first_two_relus_with_two_and_three_levels():
    model = chain(*(keras_layers.ReLU() for _ in range(3)))
    quantized = tfrobust.quantize(model, "sqa", skip=())
    assert kinds(quantized) == ["ReLU", "SQA", "ReLU", "SQA", "ReLU"]
    assert [layer.quantizer.levels for layer in quantized.layers if isinstance(layer, layers.SQA)] == [2, 3]


# What is chosen


def test_the_kernels_at_the_ends_and_the_activation_of_the_last_stay_float():
    quantized = tfrobust.quantize(convnet(), "dqa2", "dorefa4")
    hidden = ["QuantConv2D", "BatchNormalization", "DQA", "Flatten", "QuantDense", "DQA"]
    assert kinds(quantized) == ["ZeroPadding2D", "Conv2D", "DQA", *hidden, "Dense"]
    assert quantized.get_layer("last").activation is keras.activations.softmax
    assert quantized.get_layer("first").activation is keras.activations.linear


@pytest.mark.parametrize(
    ("skip", "float_"),
    [
        ((), []),
        ("ends", ["first", "last"]),
        ("second", ["second"]),
        (["ends", "hidden"], ["first", "hidden", "last"]),
        (lambda layer: isinstance(layer, keras_layers.Dense), ["hidden", "last"]),
        (["first", lambda layer: layer.name == "last"], ["first", "last"]),
    ],
)
def test_what_skip_names_stays_float_and_nothing_else(skip, float_):
    plan = layers.quantization_plan(convnet(), kernel="binary", skip=skip)
    assert [change.layer for change in plan.kept if change.layer != "norm"] == float_
    assert {change.layer for change in plan.converted} == {"first", "second", "hidden", "last"} - set(float_)


def test_skip_takes_a_model_inside_with_all_its_layers():
    plan = layers.quantization_plan(with_model_inside(), "dqa2", "binary", skip="convnet")
    assert [(change.layer, change.part) for change in plan.converted] == [("head", "kernel"), ("head", "activation")]


def test_a_skipped_layer_keeps_the_activation_in_its_argument():
    quantized = tfrobust.quantize(convnet(), "dqa2", "binary", skip="hidden")
    assert quantized.get_layer("hidden").activation is keras.activations.relu


@pytest.mark.parametrize("name", ["dorefa1", "dorefa_activations1"])
def test_the_input_quantizer_reaches_the_layer_that_reads_the_images_through_padding(name, rng):
    model = convnet()
    x = rng.uniform(size=(2, 6, 6, 3)).astype("float32")
    quantized = tfrobust.quantize(model, input=name)
    np.testing.assert_allclose(array(quantized(x)), array(model((x > 0.5).astype("float32"))), atol=1e-6)


# What cannot be done


@pytest.mark.parametrize(
    ("layer", "part", "reason"),
    [
        (keras_layers.Conv2DTranspose(2, 3), "kernel", "no quantized layer of this kind"),
        (keras_layers.TimeDistributed(keras_layers.Dense(2)), "kernel", "no quantized layer of this kind"),
        (keras_layers.LeakyReLU(), "activation", "only ReLU is replaced, this is leakyrelu"),
        (keras_layers.ReLU(negative_slope=0.1), "activation", "only ReLU is replaced, this is relu"),
        (keras_layers.Activation("silu"), "activation", "only ReLU is replaced, this is silu"),
        (keras_layers.ConvLSTM1D(2, 3, activation="relu"), "activation", "the activation is inside the layer"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_what_cannot_be_converted_is_left_with_its_reason_and_logged(layer, part, reason, caplog):
    model = chain(layer)
    assert states(model, "dqa2", "binary", skip=())[layer.name, part] == ("left", reason)
    with caplog.at_level(logging.WARNING, "tfrobust"):
        tfrobust.quantize(model, "dqa2", "binary", skip=())
    assert f"{layer.name} ({type(layer).__name__} {part}: {reason})" in caplog.text


def test_nothing_is_logged_where_everything_is_converted_or_kept_on_purpose(caplog):
    tfrobust.quantize(convnet(), "dqa2", "binary")
    assert caplog.text == ""


def test_what_is_quantized_already_stays_and_says_by_what():
    found = states(architectures.build("lenet_dqa2_bnn"), "fixed2", "kbit4", "dorefa1")
    assert found["conv_2", "kernel"] == ("kept", "quantized already by Binary(surrogate='ste')")
    assert found["activation_1", "activation"][0] == "kept" and "DQAQuantizer(bits=2" in str(found)
    assert found["conv_1", "input"] == ("converted", "dorefa_activations1")


def test_images_that_are_quantized_already_are_kept_so():
    found = states(architectures.build("lenet_in1"), input="dorefa2")
    assert found == {("conv_1", "input"): ("kept", "quantized already by DoReFaActivations(bits=1, surrogate='ste')")}


# What comes out


def test_the_original_is_left_as_it_was(rng):
    model = convnet()
    weights, config = model.get_weights(), model.get_config()
    tfrobust.quantize(model, "dqa2", "binary", "dorefa1")
    assert model.get_config() == config and all(layer.output is not None for layer in model.layers)
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(after, before)


def test_the_copy_has_the_names_and_the_weights_of_the_original():
    model = convnet()
    quantized = tfrobust.quantize(model, "dqa2", "binary")
    for name in ("first", "second", "norm", "hidden", "last"):
        for ours, theirs in zip(quantized.get_layer(name).weights, model.get_layer(name).weights, strict=True):
            np.testing.assert_array_equal(array(ours), array(theirs))
    assert quantized.name == "convnet" and quantized.inputs[0].name == "images"


def test_models_inside_stay_models(rng):
    quantized = tfrobust.quantize(with_model_inside(), "fixed2", "binary")
    assert isinstance(quantized, keras.Sequential) and kinds(quantized) == ["Functional", "Dense"]
    assert "QuantConv2D" in kinds(quantized.get_layer("convnet"))


def test_a_saved_copy_loads_to_the_same_function(rng, tmp_path):
    quantized = tfrobust.quantize(with_model_inside(), "dorefa2", "dorefa4", "dorefa1")
    quantized.save(tmp_path / "model.keras")
    x = images(rng, quantized)
    np.testing.assert_array_equal(array(keras.models.load_model(tmp_path / "model.keras")(x)), array(quantized(x)))


def test_the_plan_says_what_quantize_does():
    plan, quantized = (
        layers.quantization_plan(convnet(), "dqa2", "kbit3"),
        tfrobust.quantize(convnet(), "dqa2", "kbit3"),
    )
    done = [layer.name for layer in quantized.layers if getattr(layer, "kernel_quantizer", None)]
    assert [change.layer for change in plan.converted if change.part == "kernel"] == done == ["second", "hidden"]
    assert len(plan.changes) == len(plan.to_dict()["changes"]) == len(plan.converted) + len(plan.kept)
    assert "5 converted" in str(plan) and "last layer with a kernel" in str(plan)


# Networks of keras.applications


@pytest.mark.slow
def test_resnet50_gets_every_hidden_kernel_and_activation_quantized():
    model = keras.applications.ResNet50(weights=None, input_shape=(32, 32, 3))
    plan = layers.quantization_plan(model, "dqa2", "binary")
    converted = [change.part for change in plan.converted]
    blocks = 3 + 4 + 6 + 3
    assert (
        converted.count("kernel") == 3 * blocks + 4
    )  # three convolutions per block, one per shortcut that changes size
    assert converted.count("activation") == 1 + 3 * blocks and plan.left == []


@pytest.fixture(scope="module")
def mobilenet():
    """A quantized MobileNetV2 after one training step, 32 x 32 digits in three channels, its kernels before."""
    settings = {"input_shape": (32, 32, 3), "alpha": 0.35, "classes": 10, "classifier_activation": None}
    float_ = keras.applications.MobileNetV2(weights=None, **settings)
    for layer in float_.layers:
        if isinstance(layer, keras_layers.BatchNormalization):
            layer.momentum = 0.0  # one step sets the statistics; with those of the start all values sit on a threshold
    model, digits = tfrobust.quantize(float_, activation="dqa2", kernel="dorefa4"), data.load("digits", "train", 8)
    x = np.repeat(np.pad(digits.pixels(), ((0, 0), (2, 2), (2, 2), (0, 0))), 3, axis=-1)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
    kernels = {w.path: array(w) for w in model.trainable_variables if w.name == "kernel"}
    assert np.isfinite(model.train_on_batch(x, digits.labels))
    return model, x, kernels


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_step_moves_every_kernel_of_a_quantized_mobilenet_v2(mobilenet):
    model, _, before = mobilenet
    after = {w.path: array(w) for w in model.trainable_variables if w.path in before}
    assert len(before) == 1 + 2 + 16 * 3 + 1 + 1
    assert [path for path, kernel in before.items() if np.array_equal(kernel, after[path])] == []


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_quantized_mobilenet_v2_exports_to_builtin_operations_that_compute_the_same(mobilenet, tmp_path):
    from tfrobust import export

    model, x, _ = mobilenet
    (tmp_path / "m.tflite").write_bytes(export.convert.convert(model))
    file = export.TFLiteModel(tmp_path / "m.tflite")
    difference = np.abs(file(x) - array(model(x))).max(-1)
    assert not [name for name in file.ops if "Flex" in name]
    assert np.median(difference) < 1e-4  # a value within rounding of a threshold may change a whole image: rare


class Subclassed(keras.Model):
    def call(self, x):
        return x


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tfrobust.quantize(Subclassed(name="mine")), r"must be functional or sequential.*model='mine'"),
        (lambda: tfrobust.quantize(convnet(), "relu"), r"activation must be one of dqa, fixed.*activation='relu'"),
        (lambda: tfrobust.quantize(convnet(), "dqa"), r"dqa needs a number of bits\. Received: activation='dqa'"),
        (lambda: tfrobust.quantize(convnet(), "dqa9"), r"bits must be an integer from 1 to 8"),
        (lambda: tfrobust.quantize(convnet(), kernel="binray"), r"did you mean binary"),
        (lambda: tfrobust.quantize(convnet(), kernel="binary", skip="hiden"), r"did you mean hidden\?.*skip='hiden'"),
        (
            lambda: tfrobust.quantize(chain(keras_layers.Rescaling(2.0), keras_layers.Dense(1)), input="dorefa1"),
            r"that reads the images\. Received: input='dorefa_activations1'",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
