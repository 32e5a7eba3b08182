"""The bridge to tfmot: twins in tf_keras, quantization-aware training, pruning, and what it leaves of the process."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tfrobust import architectures, attacks, data, export, zoo
from tfrobust.export import tfmot as bridge
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


# Twins

DETERMINISTIC = """lenet_dqa2 lenet_in1_w4 lenet_fixed2 lenet_bnn conv3_bnn convnet nin alexnet vgg16
resnet20x2_dqa2 resnet20x2_w1a2g6 resnet50x2 wide_resnet16_1""".split()


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_a_twin_has_the_weights_and_logits_of_its_model(name):
    keras.utils.set_random_seed(0)
    model = architectures.build(name)
    twin = bridge.twin(model)
    x = np.random.default_rng(0).random((4, *model.input_shape[1:])).astype("float32")
    assert isinstance(twin, tf_keras.Model) and twin.count_params() == model.count_params()
    np.testing.assert_allclose(logits(twin, x), logits(model, x), rtol=1e-5, atol=1e-6)


def test_a_twin_s_trained_thresholds_are_its_model_s():
    model = zoo.load("lenet_dqa2.digits_pgd")
    np.testing.assert_allclose(logits(bridge.twin(model)), logits(model), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["mlp_mcd", "cnn_small_sqa", "lenet_randbnn"])
def test_a_random_model_s_twin_draws_anew_around_the_same_mean(name):
    keras.utils.set_random_seed(0)
    tf.random.set_seed(0)
    model = architectures.build(name)
    twin, few = bridge.twin(model), X[:2]
    ours, theirs = (np.stack([logits(each, few) for _ in range(200)]) for each in (model, twin))
    assert theirs.std(0).min() > 0
    error = np.sqrt((ours.var(0) + theirs.var(0)) / 200)
    assert (np.abs(ours.mean(0) - theirs.mean(0)) < 5 * error).all()


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


@pytest.mark.parametrize("name", ["mlp", "lenet_in1_w4", "conv3_bnn", "resnet20x2"])
def test_eight_bits_begin_close_to_the_model(name):
    keras.utils.set_random_seed(0)
    model = architectures.build(name)
    x = np.random.default_rng(0).random((64, *model.input_shape[1:])).astype("float32")
    expected, found = logits(model, x), logits(bridge.quantize_aware(model, x), x)
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
