"""The bridge to tfmot: twins in tf_keras, quantization-aware training, pruning, and what it leaves of the process."""

import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import tf_keras
import twins

from tfrobust import architectures, attacks, data, export, layers, quantizers, zoo
from tfrobust.export import tfmot as bridge
from tfrobust.export.convert import convert
from tfrobust.layers.noise import SavesRandomState
from tfrobust.training import TRADES, AdversarialTraining

pytestmark = pytest.mark.tensorflow

DIGITS = data.load("digits", "train", 256)
PGD = attacks.PGD(eps=0.1, eps_iter=0.05, nb_iter=2)
X = DIGITS.pixels()
annotate, apply = (getattr(bridge.quantization, f"quantize_{name}") for name in ("annotate_layer", "apply"))
needs_mnist = pytest.mark.skipif(not data.is_available("mnist"), reason="needs MNIST")


def logits(model, x=X):
    return np.asarray(model(x))


def labels(model, x=X):
    return logits(model, x).argmax(-1)


def assert_equal_but_for_rounding(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=5e-6 * np.abs(theirs).max())


# Twins

# One network for each kind of entry, and the architectures and quantizers of which there is none.
OTHERS = {"alexnet": (32, 32, 3), "vgg16": (32, 32, 3), "resnet20x2_w1a2g6": twins.SMALL_IMAGE}
NETWORKS = {**twins.names(), **OTHERS}
RANDOM = [name for name in NETWORKS if re.search("sqa|rand|mcd", name) and "resnet" not in name]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_twin_has_the_weights_and_for_the_same_noise_the_logits_of_its_model(name):
    model = twins.filled(name, NETWORKS[name])
    twin = bridge.twin(model)
    assert isinstance(twin, tf_keras.Model) and twin.count_params() == model.count_params()
    assert_equal_but_for_rounding(*(twins.logits(each, NETWORKS[name]) for each in (twin, model)))


@pytest.mark.parametrize("name", RANDOM)
def test_a_random_twin_s_draws_follow_from_its_states_as_its_model_s_do(name):
    model = twins.filled(name, NETWORKS[name])  # whose random states are zeros
    twin, x = bridge.twin(model), np.random.default_rng(2).random((4, *NETWORKS[name]), "float32")
    for layer in twin.layers:
        if isinstance(layer, SavesRandomState):
            layer.seed_generator.state.assign([0, 0])
    ours, theirs = ([logits(each, x) for _ in range(3)] for each in (twin, model))
    assert_equal_but_for_rounding(ours, theirs)
    assert not np.array_equal(ours[0], ours[1]) and not np.array_equal(ours[1], ours[2])


def test_a_twin_has_the_seeds_of_its_model():
    random = [layers.SQA(3, seed=1), layers.MCDropout(0.5, seed=2), keras.layers.Flatten()]
    kernel = layers.QuantDense(
        4, kernel_quantizer="binary_stochastic", input_quantizer=quantizers.SQAQuantizer(), seed=3
    )
    model = keras.Sequential([keras.Input((28, 28, 1)), *random, kernel])
    twin = bridge.twin(model)
    again = tf_keras.models.clone_model(twin)
    again.set_weights(twin.get_weights())
    assert [layer.seed for layer in twin.layers if isinstance(layer, SavesRandomState)] == [1, 2, 3, 3]
    np.testing.assert_array_equal(logits(again), logits(twin))


@pytest.mark.parametrize("name", RANDOM)
def test_a_random_twin_s_file_is_of_builtin_operations_only_and_draws(name, tmp_path):
    twin = bridge.twin(twins.filled(name, NETWORKS[name]))
    (tmp_path / "m.tflite").write_bytes(convert(twin))
    file, x = export.TFLiteModel(tmp_path / "m.tflite"), np.ones((2, *NETWORKS[name]), "float32")
    assert "RANDOM_UNIFORM" in file.ops and not [name for name in file.ops if "Flex" in name]
    assert not np.array_equal(*file(x))


def test_a_twin_s_trained_thresholds_are_its_model_s():
    model = zoo.load("lenet_dqa2.digits_pgd")
    np.testing.assert_allclose(logits(bridge.twin(model)), logits(model), rtol=1e-4, atol=1e-5)


def test_a_layer_called_twice_stays_one_layer():
    shared = keras.layers.Dense(4, name="shared")
    images = keras.Input((4,))
    model = keras.Model(images, shared(shared(images)))
    twin, x = bridge.twin(model), np.eye(4, dtype="float32")
    assert twin.count_params() == model.count_params()
    np.testing.assert_allclose(logits(twin, x), logits(model, x), rtol=1e-6)


def test_a_saved_twin_is_loaded_with_its_quantizers(tmp_path):
    twin = bridge.twin(architectures.build("lenet_in1_w4_dqa2"))
    twin.save(tmp_path / "twin.keras")
    np.testing.assert_array_equal(logits(tf_keras.models.load_model(tmp_path / "twin.keras")), logits(twin))


@pytest.mark.parametrize("file", ["twin.keras", "twin"])
@pytest.mark.parametrize("name", ["mlp_sqa", "mlp_mcd", "mlp_randbnn"])
def test_a_saved_random_twin_is_loaded_with_its_random_states(name, file, tmp_path):
    twin = bridge.twin(architectures.build(name))
    twin(X)
    twin.save(tmp_path / file)
    loaded = tf_keras.models.load_model(tmp_path / file)
    assert_equal_but_for_rounding(logits(loaded), logits(twin))


@pytest.mark.parametrize("layer", [keras.layers.Conv1D(2, 1, name="odd"), keras.layers.LeakyReLU(name="odd")])
def test_a_layer_without_counterpart_is_named(layer):
    model = keras.Sequential([keras.Input((4, 4)), layer])
    with pytest.raises(ValueError, match="a layer must have a counterpart in tf_keras.*Received: 'odd', a"):
        bridge.twin(model)


def test_an_argument_that_the_counterpart_does_not_take_is_not_dropped():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation="tanh", name="odd")])
    with pytest.raises(ValueError, match="Received: 'odd', a Dense"):
        bridge.twin(model)


# Quantization-aware training


def test_ranges_begin_as_those_of_the_images():
    model = architectures.build("mlp")
    aware, twin = bridge.quantize_aware(model, X), bridge.twin(model)
    found = {weight.name: float(weight) for weight in aware.weights if "activation_1/output" in weight.name}
    hidden = tf_keras.Model(twin.input, twin.get_layer("activation_1").output)(X).numpy()
    assert found["quant_activation_1/output_min:0"] == 0
    # What comes before is rounded to 8 bits already.
    assert found["quant_activation_1/output_max:0"] == pytest.approx(hidden.max(), rel=0.02)


@pytest.mark.parametrize("name", "mlp lenet_in1_w4 conv3_bnn resnet20x2 mlp_sqa mlp_mcd lenet_randbnn".split())
def test_eight_bits_begin_close_to_the_model(name):
    keras.utils.set_random_seed(0)
    model = architectures.build(name)
    x = np.random.default_rng(0).random((64, *model.input_shape[1:])).astype("float32")
    aware = bridge.quantize_aware(model, x)
    with layers.noise_source(twins.noise):
        expected, found = logits(model, x), logits(aware, x)
    assert np.abs(found - expected).mean() < 0.15 * expected.std()


@pytest.mark.parametrize("attack", [None, attacks.FGSM(eps=0.1)])
def test_fine_tuning_clean_or_adversarial_lowers_the_loss_and_is_repeatable(attack):
    defense = None if attack is None else AdversarialTraining(attack, clean_weight=0.5)

    def losses():
        keras.utils.set_random_seed(0)
        aware = bridge.quantize_aware(architectures.build("mlp_dqa2"), X)
        return bridge.fine_tune(aware, DIGITS, defense, epochs=3, batch_size=64, learning_rate=1e-3)

    first = losses()
    assert first[-1] < 0.8 * first[0] and first == losses()


def test_the_file_of_a_trained_on_model_is_int8_throughout_and_agrees_with_it(tmp_path):
    aware = bridge.quantize_aware(zoo.load("lenet_dqa2.digits_pgd"), X)
    bridge.fine_tune(aware, DIGITS, batch_size=64)
    report = export.to_tflite(aware, tmp_path / "aware.tflite", "int8", data="digits", n=200)
    assert report.label_agreement >= 0.99 and report.clean >= 0.95
    assert "DEQUANTIZE" not in report.ops


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("file", ["aware.h5", "aware"])
def test_a_quantization_aware_model_with_drawn_kernels_draws_anew_trained_on_saved_and_loaded(file, tmp_path):
    aware = bridge.quantize_aware(architectures.build("mlp_randbnn"), X)
    bridge.fine_tune(aware, DIGITS, batch_size=64)
    aware.save(tmp_path / file)
    with bridge.quantization.quantize_scope():
        loaded = tf_keras.models.load_model(tmp_path / file)
    assert len(loaded.weights) == len(aware.weights)
    for model in (aware, loaded):
        assert not np.array_equal(logits(model), logits(model))


@needs_mnist
@pytest.mark.slow
@pytest.mark.parametrize("name", ["lenet", "lenet_in1_w4"])
def test_on_mnist_eight_bits_lose_at_most_half_a_point(name):
    model, test, train = zoo.load(name), data.load("mnist", "test"), data.load("mnist", "train", 6400)
    aware = bridge.quantize_aware(model, train.pixels(slice(0, 256)))
    bridge.fine_tune(aware, train)
    parts = [slice(start, start + 1000) for start in range(0, len(test), 1000)]
    right = [
        [(labels(each, test.pixels(part)) == test.labels[part]).mean() for part in parts] for each in (model, aware)
    ]
    assert np.mean(right[1]) >= np.mean(right[0]) - 0.005


# A user's own tf_keras model


def own():
    layers = [
        tf_keras.layers.InputLayer((28, 28, 1)),
        annotate(tf_keras.layers.Conv2D(4, 5), bridge.QuantizeConfig("binary", "dqa2")),
        annotate(tf_keras.layers.Flatten()),
        annotate(tf_keras.layers.Dense(10), bridge.QuantizeConfig()),
    ]
    with bridge.quantization.quantize_scope():
        return apply(tf_keras.Sequential(layers))


def test_annotated_layers_of_a_user_s_model_take_this_package_s_quantizers():
    model = own()
    convolution = next(layer for layer in model.layers if "conv2d" in layer.name)
    outputs = tf_keras.Model(model.input, convolution.output)
    before = [weight.numpy() for weight in model.trainable_weights]
    bridge.fine_tune(model, DIGITS, batch_size=64)
    assert len(np.unique(np.asarray(outputs(X)).round(2))) <= 4  # two bits
    assert len(np.unique(convolution.layer.kernel.numpy().round(4))) <= 2  # what the layer computed with
    moved = [not np.array_equal(a, b) for a, b in zip(before, model.trainable_weights, strict=True)]
    assert all(moved) and len(moved) == 5  # two kernels, two biases, the thresholds


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")  # tfmot's layers load from no other
def test_a_user_s_quantized_model_is_saved_and_loaded(tmp_path):
    model = own()
    bridge.fine_tune(model, DIGITS, batch_size=64)
    model.save(tmp_path / "own.h5")
    with bridge.quantization.quantize_scope():
        loaded = tf_keras.models.load_model(tmp_path / "own.h5")
    np.testing.assert_allclose(logits(loaded), logits(model), atol=1e-5)


def test_a_user_s_model_is_not_cut_off_at_the_ranges_that_tfmot_begins_with():
    layer = annotate(tf_keras.layers.Dense(10), bridge.QuantizeConfig("binary"))
    with bridge.quantization.quantize_scope():
        model = apply(tf_keras.Sequential([tf_keras.layers.InputLayer((28, 28, 1)), tf_keras.layers.Flatten(), layer]))
    exact = X.reshape(len(X), -1) @ np.sign(model.trainable_weights[0].numpy())
    assert np.abs(logits(model)).max() < 6.1 < np.abs(exact).max()
    bridge.set_ranges(model, X)
    np.testing.assert_allclose(logits(model), exact, atol=0.02 * np.abs(exact).max())


def test_a_depthwise_kernel_is_quantized_too():
    with bridge.quantization.quantize_scope():
        first = annotate(tf_keras.layers.DepthwiseConv2D(3, input_shape=(8, 8, 2)), bridge.QuantizeConfig("binary"))
        model = apply(tf_keras.Sequential([first]))
    model(np.zeros((1, 8, 8, 2), "float32"))
    kernel = model.layers[-1].layer.depthwise_kernel.numpy()
    np.testing.assert_allclose(np.abs(kernel), 1, atol=1 / 64)


def test_a_layer_without_kernel_is_told_what_to_say():
    layer = annotate(tf_keras.layers.Flatten(input_shape=(4, 4, 1), name="odd"), bridge.QuantizeConfig("binary"))
    with bridge.quantization.quantize_scope(), pytest.raises(ValueError, match="give QuantizeConfig.kernel=False.*odd"):
        apply(tf_keras.Sequential([layer]))


# Pruning


def test_pruning_zeroes_the_asked_share_of_float_kernels_and_leaves_quantized_ones():
    model = architectures.build("mlp_w4")
    bridge.prune(model, DIGITS, 0.8, batch_size=64, epochs=2)
    for layer in model.layers[-3:]:
        if layer.weights:
            is_float = getattr(layer, "kernel_quantizer", None) is None
            share = (np.asarray(layer.kernel) == 0).mean()
            assert share == pytest.approx(0.8 if is_float else 0, abs=0.01)


def test_there_must_be_something_to_prune():
    model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten()])
    with pytest.raises(ValueError, match="must have a convolution or dense layer with a float kernel"):
        bridge.prune(model, DIGITS)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: bridge.prune(model, DIGITS, 1.0), r"sparsity must lie in \(0, 1\). Received: sparsity=1.0"),
        (lambda model: bridge.fine_tune(bridge.twin(model), DIGITS, epochs=0), "epochs must be"),
        (lambda model: bridge.fine_tune(bridge.twin(model), DIGITS, batch_size=300), "batch_size must be at most 256"),
        (
            lambda model: bridge.fine_tune(bridge.twin(model), DIGITS, TRADES(PGD)),
            "defense must be Standard or AdversarialTraining",
        ),
        (lambda model: bridge.quantize_aware(model, X * 2), r"must lie in \[0, 1\]|images must"),
        (
            lambda model: bridge.quantize_aware(model, X[:, :14]),
            r"images must have the model's input shape \(28, 28, 1",
        ),
        (lambda model: bridge.quantize_aware(model, DIGITS), "images must be an array of numbers.*Dataset"),
        (lambda model: bridge.twin(bridge.twin(model)), "the model must be one of Keras 3.*Received: model='mlp'"),
        (lambda model: bridge.fine_tune(model, DIGITS), "the model must be one of tf_keras.*Received: model='mlp'"),
        (lambda model: bridge.fine_tune(bridge.twin(model), (X, X)), "data must be a data set's name or.*type='tuple'"),
        (lambda model: bridge.fine_tune(bridge.twin(model), DIGITS, learning_rate=0), "learning_rate must be positive"),
        (lambda model: bridge.fine_tune(bridge.twin(model), DIGITS, seed=-1), "seed must be"),
        (
            lambda model: convert(bridge.quantize_aware(model, X[:8]), "int8x16", X[:8]),
            "int8x16 needs a model without the 8 bits of quantization-aware training: use int8",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(architectures.build("mlp"))


# The process


@pytest.mark.parametrize("before", [None, "0"])
def test_the_user_s_process_keeps_its_keras(before):
    code = "import os, tfrobust.export.tfmot, tensorflow as tf; "
    code += "print(os.environ.get('TF_USE_LEGACY_KERAS'), tf.keras.__version__)"
    environment = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    environment |= {} if before is None else {"TF_USE_LEGACY_KERAS": before}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    variable, version = done.stdout.split()
    assert variable == str(before) and version == keras.__version__
