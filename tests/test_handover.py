"""Weights of a network with ReLU as the start of one with quantized activations."""

import keras
import numpy as np
import pytest

from tfrobust import layers
from tfrobust.layers.handover import hand_over

BITS = 8  # 256 levels: rounding is small beside the logits


def residual(activation):
    """Stem, a block with an identity shortcut, one with a projection; no padding, so that the hand-over is exact."""

    def norm(x, name):
        return keras.layers.BatchNormalization(name=f"norm_{name}", epsilon=1e-5)(x)

    def conv(x, filters, name):
        return norm(keras.layers.Conv2D(filters, 1, use_bias=False, name=name)(x), name)

    x = images = keras.Input((6, 6, 3))
    x = activation("act_0")(conv(x, 4, "stem"))
    x = activation("act_1")(keras.layers.Add()([conv(activation("act_1a")(conv(x, 4, "1a")), 4, "1b"), x]))
    branch = conv(activation("act_2a")(conv(x, 8, "2a")), 8, "2b")
    x = activation("act_2")(keras.layers.Add()([branch, conv(x, 8, "2s")]))
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, keras.layers.Dense(5, name="logits")(x))


def plain(activation):
    """Convolutions and dense layers with biases, pooling before and behind the activation."""
    x = images = keras.Input((12, 12, 3))
    x = keras.layers.MaxPooling2D(2)(keras.layers.Conv2D(4, 3, name="conv_1")(x))
    x = keras.layers.MaxPooling2D(2)(keras.layers.Conv2D(6, 2, name="conv_2")(activation("act_1")(x)))
    x = keras.layers.Dense(7, name="dense")(keras.layers.Flatten()(activation("act_2")(x)))
    return keras.Model(images, keras.layers.Dense(5, name="logits")(activation("act_3")(x)))


def clipped(name):
    return keras.layers.ReLU(max_value=2.0, name=name)


def quantized(name):
    return layers.DQA(BITS, name=name)


def made(network, activation):
    keras.utils.set_random_seed(0)
    model, random = network(activation), np.random.default_rng(0)
    for weight in model.weights:
        if "spacing" not in weight.path:
            low = 0.5 if "variance" in weight.path else -0.5
            weight.assign(random.uniform(low, 1.0, weight.shape))
    return model


@pytest.mark.parametrize("network", [plain, residual])
def test_a_fine_staircase_computes_what_relu_clipped_at_2_computed(network):
    trained, model = made(network, clipped), network(quantized)
    before = [np.asarray(weight) for weight in trained.weights]
    hand_over(trained, model)
    x = np.random.default_rng(1).uniform(0, 1, (20, *trained.input_shape[1:])).astype("float32")
    expected, found = np.asarray(trained(x)), np.asarray(model(x))
    assert expected.std() > 0.1
    np.testing.assert_allclose(found, expected, atol=0.05 * expected.std())
    for weight, value in zip(trained.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_the_same_activations_get_the_same_weights():
    trained, model = made(residual, quantized), residual(quantized)
    trained.get_layer("act_1").spacing.assign_add(np.linspace(0, 1, 2**BITS))
    hand_over(trained, model)
    for weight, expected in zip(model.weights, trained.weights, strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_another_network_is_refused():
    longer = keras.Sequential([keras.Input((12, 12, 3)), plain(clipped), keras.layers.Dense(5, name="more")])
    for trained, model in (
        (plain(clipped), residual(clipped)),
        (plain(quantized), plain(clipped)),
        (plain(clipped), longer),
    ):
        before = model.get_weights()
        with pytest.raises(ValueError, match=f"start must be the network {model.name}, or that with ReLU. Received"):
            hand_over(trained, model)
        for weight, value in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(weight, value)


def test_a_staircase_over_the_images_themselves_is_refused():
    def network(activation):
        images = keras.Input((4,))
        return keras.Model(images, keras.layers.Dense(2, name="logits")(activation("act")(images)))

    with pytest.raises(ValueError, match="a bias or a shift must come before each quantized activation"):
        hand_over(network(clipped), network(quantized))
