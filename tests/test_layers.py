"""Layers: equal to float layers on quantized tensors, the same after saving, random exactly when they say so."""

import cases
import keras
import numpy as np
import pytest
from helpers import array, vjp, weight_gradients
from keras import ops

from tfrobust import layers, quantizers
from tfrobust.layers.graph import layers_of

ON_EVERY_LAYER = pytest.mark.parametrize(**cases.named(cases.LAYERS))
ON_RANDOM_LAYERS = pytest.mark.parametrize(**cases.named([case for case in cases.LAYERS if case.is_random]))
ON_EVERY_KERNEL_QUANTIZER = pytest.mark.parametrize("name", cases.KERNEL_QUANTIZERS)


def same_noise(shape, seed_generator):
    """A noise source that always draws the same numbers."""
    return np.random.default_rng(1).uniform(size=tuple(shape)).astype("float32")


def batch_for(case, rng, batch=4):
    return rng.uniform(size=(batch, *case.input_shape)).astype("float32")


def model_of(case, rng):
    """A model of one layer, with random weights (not the initial ones) and a random state that has moved on."""
    model = keras.Sequential([keras.Input(case.input_shape), case.make()])
    model.set_weights([rng.normal(size=weight.shape) for weight in model.get_weights()])
    model(batch_for(case, rng))
    return model


def saved_and_loaded(model, folder):
    model.save(folder / "model.keras")
    return keras.models.load_model(folder / "model.keras", safe_mode=True)


@ON_EVERY_LAYER
def test_layer_has_the_weights_and_the_output_shape_that_it_announces(case, rng):
    layer = case.make()
    output = layer(batch_for(case, rng))
    assert tuple(tuple(weight.shape) for weight in layer.weights) == case.weight_shapes
    assert tuple(output.shape) == tuple(layer.compute_output_shape((4, *case.input_shape)))


@ON_EVERY_LAYER
def test_layer_rebuilt_from_its_config_has_the_same_config(case):
    layer = case.make()
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()


@ON_EVERY_LAYER
def test_loaded_layer_has_the_same_float_weights(case, rng, tmp_path):
    model = model_of(case, rng)
    loaded = saved_and_loaded(model, tmp_path)
    for saved, read in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(read, saved)
        assert len(np.unique(read)) == read.size


@ON_EVERY_LAYER
def test_next_output_of_a_loaded_layer_is_that_of_the_saved_one(case, rng, tmp_path):
    model, x = model_of(case, rng), batch_for(case, rng)
    loaded = saved_and_loaded(model, tmp_path)
    np.testing.assert_array_equal(array(loaded(x)), array(model(x)))


@ON_RANDOM_LAYERS
def test_weights_file_without_a_random_state_still_loads(case, rng):
    layer, store = model_of(case, rng).layers[0], {}
    layer.save_own_variables(store)
    weights = {name: array(value) for name, value in store.items() if name != "random_state"}
    layer.load_own_variables(weights)
    assert len(weights) == len(case.weight_shapes)


@ON_RANDOM_LAYERS
def test_random_layer_draws_anew_at_every_inference(case, rng):
    layer, x = model_of(case, rng), batch_for(case, rng)
    assert not np.array_equal(array(layer(x, training=False)), array(layer(x, training=False)))


@ON_RANDOM_LAYERS
def test_random_layer_draws_anew_at_every_predict(case, rng):
    model, x = model_of(case, rng), batch_for(case, rng)
    assert not np.array_equal(model.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.tensorflow
@ON_RANDOM_LAYERS
def test_tracing_a_graph_does_not_freeze_the_draws(case, rng):
    import tensorflow as tf

    call, x = tf.function(model_of(case, rng)), batch_for(case, rng)
    assert not np.array_equal(array(call(x)), array(call(x)))


@pytest.mark.parametrize(**cases.named([case for case in cases.LAYERS if not case.is_random]))
def test_layer_that_is_not_random_repeats_itself(case, rng):
    model, x = model_of(case, rng), batch_for(case, rng)
    np.testing.assert_array_equal(array(model(x)), array(model(x)))


# Quantized convolution and dense


@ON_EVERY_KERNEL_QUANTIZER
def test_quantized_convolution_is_the_float_one_with_a_quantized_kernel(name, rng):
    x = rng.normal(size=(2, 7, 7, 3)).astype("float32")
    arguments = {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same", "activation": "relu"}
    quantized, plain = layers.QuantConv2D(kernel_quantizer=name, **arguments), keras.layers.Conv2D(**arguments)
    quantized.build(x.shape), plain.build(x.shape)
    kernel, bias = rng.normal(size=(3, 3, 3, 4)).astype("float32"), rng.normal(size=4)
    quantized.set_weights([kernel, bias])
    plain.set_weights([array(quantizers.get(name)(kernel, same_noise(kernel.shape, None))), bias])
    with layers.noise_source(same_noise):
        np.testing.assert_allclose(array(quantized(x)), array(plain(x)), atol=1e-5)


@ON_EVERY_KERNEL_QUANTIZER
def test_quantized_dense_is_the_float_one_with_a_quantized_kernel(name, rng):
    x, arguments = rng.normal(size=(5, 6)).astype("float32"), {"units": 4, "activation": "tanh"}
    quantized, plain = layers.QuantDense(kernel_quantizer=name, **arguments), keras.layers.Dense(**arguments)
    quantized.build(x.shape), plain.build(x.shape)
    kernel, bias = rng.normal(size=(6, 4)).astype("float32"), rng.normal(size=4)
    quantized.set_weights([kernel, bias])
    plain.set_weights([array(quantizers.get(name)(kernel, same_noise(kernel.shape, None))), bias])
    with layers.noise_source(same_noise):
        np.testing.assert_allclose(array(quantized(x)), array(plain(x)), atol=1e-5)


@pytest.mark.parametrize("name", ["binary", "fixed2", "dqa2", "sqa3", "dorefa_activations2"])
def test_input_quantizer_changes_the_input_of_a_dense_layer_only(name, rng):
    x, kernel = rng.normal(size=(5, 6)).astype("float32"), rng.normal(size=(6, 4)).astype("float32")
    layer = layers.QuantDense(4, input_quantizer=name, use_bias=False)
    layer.build(x.shape)
    layer.set_weights([kernel])
    expected = array(quantizers.get(name)(x, same_noise(x.shape, None))) @ kernel
    with layers.noise_source(same_noise):
        np.testing.assert_allclose(array(layer(x)), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["binary", "fixed2", "dqa2", "sqa3", "dorefa_activations2"])
def test_input_quantizer_changes_the_input_of_a_convolution_only(name, rng):
    x, kernel = rng.normal(size=(2, 5, 5, 3)).astype("float32"), rng.normal(size=(3, 3, 3, 4)).astype("float32")
    layer = layers.QuantConv2D(4, 3, input_quantizer=name, use_bias=False)
    layer.build(x.shape)
    layer.set_weights([kernel])
    expected = ops.conv(array(quantizers.get(name)(x, same_noise(x.shape, None))), kernel)
    with layers.noise_source(same_noise):
        np.testing.assert_allclose(array(layer(x)), array(expected), atol=1e-5)


def test_gradient_reaches_the_float_kernel_where_it_is_inside_the_range(rng):
    x, kernel = rng.normal(size=(5, 6)).astype("float32"), rng.normal(size=(6, 4)).astype("float32")
    layer, upstream = layers.QuantDense(4, kernel_quantizer="binary"), rng.normal(size=(5, 4)).astype("float32")
    layer.build(x.shape)
    layer.set_weights([kernel, np.zeros(4)])
    of_kernel, of_bias = weight_gradients(layer, upstream, x)
    np.testing.assert_allclose(of_kernel, (x.T @ upstream) * (np.abs(kernel) <= 1), atol=1e-5)
    np.testing.assert_allclose(of_bias, upstream.sum(axis=0), atol=1e-5)


def test_layer_takes_a_quantizer_object():
    layer = layers.QuantDense(3, kernel_quantizer=quantizers.KBit(3, surrogate="soft"))
    assert layer.get_config()["kernel_quantizer"]["config"] == {"bits": 3, "surrogate": "soft"}


# SQA


def test_sqa_always_draws_in_training_and_at_inference(rng):
    layer, x = layers.SQA(2, stochastic="always"), rng.normal(size=(2, 50)).astype("float32")
    for training in (True, False):
        assert not np.array_equal(array(layer(x, training=training)), array(layer(x, training=training)))


def test_sqa_train_draws_in_training_only(rng):
    layer, x = layers.SQA(2, stochastic="train"), rng.normal(size=(2, 50)).astype("float32")
    assert not np.array_equal(array(layer(x, training=True)), array(layer(x, training=True)))
    np.testing.assert_array_equal(array(layer(x, training=False)), array(quantizers.sqa(x, 0.5, 2)))


@pytest.mark.parametrize("training", [True, False])
def test_sqa_never_rounds_to_nearest(training, rng):
    layer, x = layers.SQA(3, stochastic="never"), rng.normal(size=(2, 50)).astype("float32")
    np.testing.assert_array_equal(array(layer(x, training=training)), array(quantizers.sqa(x, 0.5, 3)))


@pytest.mark.parametrize("make", [lambda: layers.SQA(2, seed=7), lambda: layers.MCDropout(0.5, seed=7)])
def test_equal_seeds_draw_equally(make, rng):
    x = rng.normal(size=(2, 50)).astype("float32")
    np.testing.assert_array_equal(array(make()(x)), array(make()(x)))


def test_layers_without_a_seed_draw_differently(rng):
    x = rng.normal(size=(2, 50)).astype("float32")
    assert not np.array_equal(array(layers.SQA(2)(x)), array(layers.SQA(2)(x)))


# DQA


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("per_channel", [False, True])
def test_dqa_thresholds_start_evenly_spaced(bits, per_channel):
    layer = layers.DQA(bits, per_channel=per_channel)
    layer.build((None, 4, 4, 3))
    even = -1 + 2 * np.arange(1, 2**bits) / 2**bits
    np.testing.assert_array_equal(array(layer.thresholds), np.stack([even] * 3, axis=1) if per_channel else even)


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("size", [1, 10, 100, 1e6])
def test_dqa_thresholds_stay_apart_and_inside_whatever_the_weights(bits, size, rng):
    layer = layers.DQA(bits)
    layer.build((None, 4))
    for _ in range(20):
        layer.spacing.assign(size * rng.normal(size=2**bits))
        t = array(layer.thresholds)
        assert t[0] > -1 and t[-1] < 1 and (np.diff(t) > 0).all()


def test_dqa_thresholds_stay_apart_and_inside_after_huge_optimizer_steps(rng):
    x, target = rng.normal(size=(2, 64, 8)).astype("float32")
    model = keras.Sequential([keras.Input((8,)), layers.DQA(2)])
    model.compile(keras.optimizers.SGD(1e4), "mse")
    for _ in range(5):
        model.train_on_batch(x, target)
    layer = model.layers[0]
    assert np.ptp(array(layer.spacing)) > 20
    np.testing.assert_array_less(np.array([-1.0, *array(layer.thresholds)]), np.array([*array(layer.thresholds), 1.0]))


@pytest.mark.parametrize("per_channel", [False, True])
def test_dqa_trains_every_threshold(per_channel, rng):
    layer, x = layers.DQA(2, per_channel=per_channel), rng.normal(size=(16, 3)).astype("float32")
    layer.build(x.shape)
    (gradient,) = weight_gradients(layer, rng.normal(size=x.shape).astype("float32"), x)
    assert (np.abs(gradient) > 1e-3).all()


def test_dqa_spacing_gradient_is_the_chain_rule_through_the_softmax(rng):
    layer, x = layers.DQA(2), rng.normal(size=(16, 3)).astype("float32")
    layer.build(x.shape)
    upstream = rng.normal(size=x.shape).astype("float32")
    _, of_t = vjp(quantizers.dqa, upstream, x, array(layer.thresholds))
    # At even spacing dp_j/ds_k = p_j (1[j = k] - p_k), and t_i = -1 + 2 sum of the first i shares.
    of_shares = np.array([2 * of_t[j:].sum() for j in range(4)])
    expected = 0.25 * (of_shares - of_shares.mean())
    np.testing.assert_allclose(weight_gradients(layer, upstream, x)[0], expected, rtol=1e-3, atol=1e-4)


def test_dqa_training_moves_thresholds_to_where_they_help(rng):
    x = rng.uniform(-1, 1, size=(512, 1)).astype("float32")
    target = np.where(x > 0.5, 1.0, -1.0)
    model = keras.Sequential([keras.Input((1,)), layers.DQA(1)])
    model.compile(keras.optimizers.SGD(0.3), "mse")
    model.fit(x, target, batch_size=128, epochs=60, verbose=0)
    assert array(model.layers[0].thresholds)[0] == pytest.approx(0.5, abs=0.05)


# A surrogate chosen by an attacker


def test_swapping_the_surrogate_changes_the_gradient_and_no_weight(rng):
    layer, x = layers.DQA(2), np.array([[-3.0, -0.2, 0.7, 3.0]], "float32")
    layer.build(x.shape)
    before = [array(weight) for weight in layer.weights]
    np.testing.assert_array_equal(vjp(layer, np.ones_like(x), x)[0][0, [0, 3]], 0)
    layer.quantizer.surrogate = "identity"
    np.testing.assert_allclose(vjp(layer, np.ones_like(x), x)[0], 1, atol=1e-6)
    np.testing.assert_array_equal(array(layer.weights[0]), before[0])


# Standardisation, MC dropout, noise


def test_standardize_subtracts_the_mean_and_divides_by_the_deviation_of_each_channel(rng):
    x, mean, std = rng.uniform(size=(2, 5, 5, 3)).astype("float32"), (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)
    expected = (x - np.array(mean)) / np.array(std)
    np.testing.assert_allclose(array(layers.Standardize(mean, std)(x)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_mc_dropout_drops_its_share_and_keeps_the_mean(rate):
    n = 100000
    output = array(layers.MCDropout(rate)(np.ones((100, n // 100), "float32")))
    np.testing.assert_allclose(np.unique(output), [0, 1 / (1 - rate)], rtol=1e-6)
    assert abs((output == 0).mean() - rate) <= 4 * np.sqrt(rate * (1 - rate) / n)


def test_mc_dropout_of_rate_zero_is_the_identity(rng):
    x = rng.normal(size=(3, 7)).astype("float32")
    np.testing.assert_array_equal(array(layers.MCDropout(0)(x)), x)


def test_mc_dropout_gradient_passes_through_the_kept_units_only(rng):
    layer, x = layers.MCDropout(0.5), np.ones((4, 50), "float32")
    with layers.noise_source(same_noise):
        kept = array(layer(x))
        np.testing.assert_array_equal(vjp(layer, np.ones_like(x), x)[0], kept)
    assert 0 < (kept > 0).mean() < 1


def test_noise_source_is_what_layers_draw_from():
    layer, x = layers.MCDropout(0.5), np.ones((2, 3), "float32")
    with layers.noise_source(lambda shape, seed_generator: ops.zeros(shape)):
        np.testing.assert_array_equal(array(layer(x)), 0)


def test_noise_source_gives_way_to_the_previous_one_after_an_exception():
    layer, x = layers.MCDropout(0.5), np.ones((2, 3), "float32")
    with layers.noise_source(lambda shape, seed_generator: ops.ones(shape)):
        with pytest.raises(RuntimeError), layers.noise_source(lambda shape, seed_generator: ops.zeros(shape)):
            raise RuntimeError
        np.testing.assert_array_equal(array(layer(x)), 2)


def test_after_a_noise_source_layers_draw_from_their_own_state_again():
    x = np.ones((2, 50), "float32")
    with pytest.raises(RuntimeError), layers.noise_source(lambda shape, seed_generator: ops.zeros(shape)):
        raise RuntimeError
    assert set(np.unique(array(layers.MCDropout(0.5)(x)))) == {0, 2}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: layers.SQA(1), r"levels must be an integer of at least 2\. Received: levels=1"),
        (lambda: layers.SQA(stochastic="allways"), r"did you mean always.*Received: stochastic='allways'"),
        (lambda: layers.SQA(surrogate="line"), r"surrogate must be one of ste, identity, soft"),
        (lambda: layers.FixedQuantizedActivation(9), r"bits must be an integer from 1 to 8\. Received: bits=9"),
        (lambda: layers.DQA(0), r"bits must be an integer from 1 to 8\. Received: bits=0"),
        (lambda: layers.MCDropout(1.0), r"rate must lie in \[0, 1\)\. Received: rate=1\.0"),
        (lambda: layers.MCDropout(-0.1), r"rate must lie in \[0, 1\)\. Received: rate=-0\.1"),
        (lambda: layers.Standardize(0.5, (1.0, 0.0)), r"std must be above 0\. Received: std=\(1\.0, 0\.0\)"),
        (lambda: layers.QuantDense(3, kernel_quantizer="binray"), r"did you mean binary"),
        (lambda: layers.QuantConv2D(3, 3, input_quantizer="kbit0"), r"bits must be an integer from 1 to 8"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_walk_over_layers_goes_into_models_and_wrappers_and_nowhere_in_other_callables():
    wrapped = layers.QuantDense(2, name="wrapped")
    inner = keras.Sequential([keras.Input((3, 4)), keras.layers.TimeDistributed(wrapped, name="wrapper")], name="inner")
    outer = keras.Sequential([keras.Input((3, 4)), inner, keras.layers.Flatten(name="flat")])
    assert [layer.name for layer in layers_of(outer)] == ["inner", "wrapper", "wrapped", "flat"]
    assert list(layers_of(lambda x: x)) == []
