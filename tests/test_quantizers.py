"""Every quantizer against its formula in numpy: forward, backward, statistics, edges, names, configs, bad input."""

import json

import cases
import keras
import numpy as np
import pytest
import restated
from helpers import array, vjp
from keras import ops

from tfrobust import quantizers
from tfrobust.quantizers import surrogates
from tfrobust.quantizers.dqa import uniform_thresholds

ON_EVERY_QUANTIZER = pytest.mark.parametrize(**cases.named(cases.QUANTIZERS))
ON_EVERY_SURROGATE = pytest.mark.parametrize("surrogate", surrogates.SURROGATES)
# Multiples of 1/16 hit every jump and every end of the small quantizers exactly; the second image has half the range.
GRID = np.stack([np.arange(-32, 33) / 16, np.arange(-32, 33) / 32]).astype("float32")


@pytest.fixture
def x(rng):
    return rng.normal(size=(3, 5, 4, 2)).astype("float32")


@pytest.fixture
def noise(rng):
    return rng.uniform(size=(3, 5, 4, 2)).astype("float32")


def thresholds_of(rng, bits, channels=()):
    """Ascending thresholds, unevenly spaced inside (-1, 1)."""
    return np.sort(rng.uniform(-0.95, 0.95, size=(2**bits - 1, *channels)), axis=0).astype("float32")


@ON_EVERY_QUANTIZER
def test_forward_is_the_formula_on_a_grid(case, rng):
    noise = rng.uniform(size=GRID.shape).astype("float32")
    np.testing.assert_allclose(array(case.make()(GRID, noise)), case.forward(GRID, noise), atol=1e-6)


@ON_EVERY_QUANTIZER
def test_forward_is_the_formula_on_random_tensors(case, x, noise):
    np.testing.assert_allclose(array(case.make()(x, noise)), case.forward(x, noise), atol=1e-6)


@ON_EVERY_SURROGATE
@ON_EVERY_QUANTIZER
def test_gradient_is_the_pseudo_derivative_on_a_grid(case, surrogate, rng):
    upstream, noise = rng.normal(size=GRID.shape).astype("float32"), rng.uniform(size=GRID.shape).astype("float32")
    quantizer = case.make(surrogate=surrogate)
    (gradient,) = vjp(lambda x: quantizer(x, noise), upstream, GRID)
    np.testing.assert_allclose(gradient, upstream * case.backward(surrogate, GRID, noise), rtol=1e-3, atol=1e-5)


@ON_EVERY_SURROGATE
@ON_EVERY_QUANTIZER
def test_gradient_is_the_pseudo_derivative_on_random_tensors(case, surrogate, x, noise, rng):
    upstream = rng.normal(size=x.shape).astype("float32")
    quantizer = case.make(surrogate=surrogate)
    (gradient,) = vjp(lambda x: quantizer(x, noise), upstream, x)
    np.testing.assert_allclose(gradient, upstream * case.backward(surrogate, x, noise), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(**cases.named([case for case in cases.QUANTIZERS if case.values]))
def test_output_takes_every_legal_value_and_no_other(case, rng):
    x = rng.uniform(-1.5, 1.5, size=(1, 40000)).astype("float32")
    noise = rng.uniform(size=x.shape).astype("float32")
    np.testing.assert_allclose(np.unique(array(case.make()(x, noise))), case.values, atol=1e-6)


@ON_EVERY_QUANTIZER
def test_precision_is_the_number_of_bits(case):
    assert case.make().precision == case.precision


@ON_EVERY_QUANTIZER
def test_name_leads_to_the_same_quantizer(case):
    assert repr(quantizers.get(case.name)) == repr(case.make())


@ON_EVERY_QUANTIZER
def test_config_survives_json(case, x, noise):
    quantizer = case.make(surrogate="soft")
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(quantizer)))
    loaded = keras.saving.deserialize_keras_object(config)
    assert type(loaded) is type(quantizer)
    assert loaded.get_config() == quantizer.get_config()
    np.testing.assert_array_equal(array(loaded(x, noise)), array(quantizer(x, noise)))


@pytest.mark.parametrize(**cases.named([case for case in cases.QUANTIZERS if case.per_image]))
def test_result_for_one_image_does_not_depend_on_its_batch(case, x, noise):
    alone = array(case.make()(x[:1], noise[:1]))
    np.testing.assert_array_equal(array(case.make()(np.concatenate([x[:1], 9 * x[1:]]), noise))[:1], alone)


@ON_EVERY_QUANTIZER
def test_bfloat16_stays_bfloat16(case, x, noise):
    assert keras.backend.standardize_dtype(case.make()(ops.cast(x, "bfloat16"), noise).dtype) == "bfloat16"


@ON_EVERY_QUANTIZER
def test_backward_of_an_unknown_surrogate_set_later_is_refused(case, x, noise):
    quantizer = case.make()
    quantizer.surrogate = "smooth"
    with pytest.raises(ValueError, match="surrogate must be one of ste, identity, soft"):
        quantizer(x, noise)


# Surrogates


def test_soft_sign_rises_by_two_like_the_sign():
    u = np.linspace(-4, 4, 80001).astype("float32")
    assert np.trapezoid(array(surrogates.sign_derivative("soft", ops.convert_to_tensor(u))), u) == pytest.approx(
        2, 1e-4
    )


def test_soft_round_rises_by_one_per_step():
    v = np.linspace(0, 3, 30001).astype("float32")
    slope = array(surrogates.round_derivative("soft", ops.convert_to_tensor(v), 0, 3))
    assert np.trapezoid(slope, v) == pytest.approx(3, 1e-4)


def test_soft_round_is_steepest_at_the_jumps():
    slope = array(surrogates.round_derivative("soft", ops.convert_to_tensor([0.0, 0.5, 1.0]), 0, 3))
    assert slope[1] > 10 * slope[0] and slope[1] > 10 * slope[2]


# SQA


@pytest.mark.parametrize("levels", [2, 3, 4, 8])
def test_mean_of_sqa_is_its_input(levels, rng):
    draws, image = 20000, rng.normal(size=(1, 24)).astype("float32")
    noise = rng.uniform(size=(draws, 24)).astype("float32")
    mean = array(quantizers.sqa(np.repeat(image, draws, axis=0), noise, levels)).mean(axis=0, dtype="float64")
    chance = restated.sqa_scaled(image, levels) % 1
    standard_error = np.sqrt(chance * (1 - chance) / draws) * np.ptp(image) / (levels - 1)
    assert (np.abs(mean - image) <= 4 * standard_error + 1e-5).all()


@pytest.mark.parametrize("levels", [2, 3, 4, 8])
def test_sqa_keeps_minimum_and_maximum_whatever_the_noise(levels, x):
    for noise in (np.zeros_like(x), np.full_like(x, 1 - 2**-24)):
        drawn = array(quantizers.sqa(x, noise, levels))
        np.testing.assert_allclose(drawn.min(axis=(1, 2, 3)), x.min(axis=(1, 2, 3)), atol=1e-6)
        np.testing.assert_allclose(drawn.max(axis=(1, 2, 3)), x.max(axis=(1, 2, 3)), atol=1e-6)


@pytest.mark.parametrize("levels", [2, 3, 8])
def test_sqa_without_noise_rounds_to_nearest(levels, x):
    low, high = restated.per_image(np.min, x), restated.per_image(np.max, x)
    nearest = np.round(restated.sqa_scaled(x, levels)) / (levels - 1) * (high - low) + low
    np.testing.assert_allclose(array(quantizers.SQAQuantizer(levels)(x)), nearest, atol=1e-6)


@pytest.mark.parametrize("levels", range(2, 10))
def test_sqa_clipped_gradient_reaches_the_maximum_of_each_image(levels, rng):
    x = rng.normal(size=(500, 6)).astype("float32")
    (gradient,) = vjp(lambda x: quantizers.sqa(x, 0.5, levels, surrogate="ste"), np.ones_like(x), x)
    np.testing.assert_array_equal(gradient, 1.0)


def test_sqa_axis_chooses_what_shares_a_minimum(x, noise):
    drawn = array(quantizers.sqa(x, noise, 2, axis=(1, 2)))
    for channel in range(x.shape[-1]):
        one = array(quantizers.sqa(x[..., channel], noise[..., channel], 2))
        np.testing.assert_allclose(drawn[..., channel], one, atol=1e-6)


@pytest.mark.parametrize("value", [-2.5, 0.0, 0.3])
def test_sqa_returns_a_constant_map_and_its_gradient_unchanged(value, noise, rng):
    x, upstream = np.full(noise.shape, value, "float32"), rng.normal(size=noise.shape).astype("float32")
    np.testing.assert_array_equal(array(quantizers.sqa(x, noise, 3)), x)
    np.testing.assert_array_equal(vjp(lambda x: quantizers.sqa(x, noise, 3), upstream, x)[0], upstream)


# Fixed


def test_fixed_with_two_bits_gives_thirds():
    x = np.array([[-9.0, -0.3, 0.3, 9.0]], "float32")
    np.testing.assert_allclose(array(quantizers.fixed(x, 2)), [[-1, -1 / 3, 1 / 3, 1]], atol=1e-6)


def test_fixed_over_every_axis_is_the_literal_text(x):
    steps = 7
    scaled = np.tanh(x) / (2 * np.abs(np.tanh(x)).max()) + 0.5
    expected = 2 * np.round(steps * scaled) / steps - 1
    np.testing.assert_allclose(array(quantizers.fixed(x, 3, axis=(0, 1, 2, 3))), expected, atol=1e-6)


@ON_EVERY_SURROGATE
@pytest.mark.parametrize("name", ["fixed1", "fixed3", "dorefa_weights1", "dorefa_weights3", "kbit2", "dqa2"])
def test_zeros_give_finite_values_and_gradients(name, surrogate):
    quantizer, zeros = quantizers.get(name), np.zeros((2, 3, 3, 1), "float32")
    quantizer.surrogate = surrogate
    assert np.isfinite(array(quantizer(zeros))).all()
    assert np.isfinite(vjp(quantizer, np.ones_like(zeros), zeros)[0]).all()


@pytest.mark.parametrize("name", ["fixed1", "fixed2", "fixed3", "dorefa_weights2", "dorefa_weights3"])
def test_zeros_become_the_level_next_to_zero(name):
    steps = 2 ** int(name[-1]) - 1
    np.testing.assert_allclose(np.abs(array(quantizers.get(name)(np.zeros((1, 4), "float32")))), 1 / steps, atol=1e-6)


# DQA: the intervals of the paper's eq. 9, literally


@pytest.mark.parametrize(
    ("thresholds", "values"),
    [
        ((0.2,), (-1, 1)),
        ((-0.6, 0.1, 0.7), (-1, -0.6, 0.7, 1)),
        ((-0.8, -0.5, -0.3, 0.1, 0.2, 0.4, 0.9), (-1, -0.8, -0.5, -0.3, 0.2, 0.4, 0.9, 1)),
    ],
)
def test_dqa_takes_the_value_of_each_interval(thresholds, values):
    edges = np.array([-2.0, *thresholds, 2.0])
    inside = ((edges[1:] + edges[:-1]) / 2).astype("float32")
    np.testing.assert_allclose(array(quantizers.dqa(inside, np.float32(thresholds))), values, atol=1e-6)


@pytest.mark.parametrize("bits", range(1, 9))
def test_dqa_forward_is_eq8(bits, rng):
    x, t = rng.normal(size=(2, 500)).astype("float32"), thresholds_of(rng, bits)
    np.testing.assert_allclose(array(quantizers.dqa(x, t)), restated.dqa_eq8(x, t), atol=1e-5)


@pytest.mark.parametrize("bits", range(1, 9))
def test_dqa_threshold_gradient_is_the_product_rule_on_eq8(bits, rng):
    x, t = rng.normal(size=(2, 300)).astype("float32"), thresholds_of(rng, bits)
    upstream = rng.normal(size=x.shape).astype("float32")
    _, gradient = vjp(quantizers.dqa, upstream, x, t)
    expected = restated.dqa_eq8_thresholds(x.astype("float64"), t.astype("float64"), upstream)
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-3)


@ON_EVERY_SURROGATE
@pytest.mark.parametrize("bits", [1, 2, 3, 5])
def test_dqa_input_gradient_follows_uneven_thresholds(bits, surrogate, rng):
    x, t = rng.normal(size=(2, 200)).astype("float32"), thresholds_of(rng, bits)
    gradient, _ = vjp(lambda x, t: quantizers.dqa(x, t, surrogate), np.ones_like(x), x, t)
    np.testing.assert_allclose(gradient, restated.dqa_backward(surrogate, x, t), rtol=1e-3, atol=1e-5)


def test_dqa_identity_gradient_is_one_whatever_the_thresholds(rng):
    x = rng.normal(size=(2, 200)).astype("float32")
    gradient, _ = vjp(lambda x, t: quantizers.dqa(x, t, "identity"), np.ones_like(x), x, thresholds_of(rng, 3))
    np.testing.assert_allclose(gradient, 1, atol=1e-6)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_dqa_per_channel_treats_each_channel_by_its_own_thresholds(bits, x, rng):
    t = thresholds_of(rng, bits, channels=(2,))
    together = array(quantizers.dqa(x, t))
    for channel in range(2):
        one = array(quantizers.dqa(x[..., channel], t[:, channel]))
        np.testing.assert_allclose(together[..., channel], one, atol=1e-6)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_dqa_per_channel_gradients_are_those_of_each_channel(bits, x, rng):
    t, upstream = thresholds_of(rng, bits, channels=(2,)), rng.normal(size=x.shape).astype("float32")
    of_x, of_t = vjp(quantizers.dqa, upstream, x, t)
    for channel in range(2):
        one_x, one_t = vjp(quantizers.dqa, upstream[..., channel], x[..., channel], t[:, channel])
        np.testing.assert_allclose(of_x[..., channel], one_x, atol=1e-5)
        np.testing.assert_allclose(of_t[:, channel], one_t, atol=1e-4)


@pytest.mark.parametrize("bits", [2, 4])
def test_dqa_puts_a_tie_into_the_lower_interval_by_every_way_of_counting(bits):
    t = uniform_thresholds(bits)
    below = np.nextafter(t, -2).astype("float32")
    np.testing.assert_array_equal(array(quantizers.dqa(t, t)), array(quantizers.dqa(below, t)))
    per_channel = array(quantizers.dqa(t[:, None], t[:, None]))[:, 0]
    np.testing.assert_allclose(per_channel, array(quantizers.dqa(t, t)), atol=1e-6)


def test_dqa_starts_from_even_thresholds():
    np.testing.assert_array_equal(uniform_thresholds(2), [-0.5, 0.0, 0.5])


# Weights


def test_binary_takes_zero_for_positive():
    np.testing.assert_array_equal(array(quantizers.binary([-0.1, -0.0, 0.0, 0.1])), [-1, 1, 1, 1])


@pytest.mark.parametrize("weight", [-2.0, -1.0, -0.5, 0.0, 0.8, 1.0, 3.0])
def test_binary_stochastic_is_plus_one_as_often_as_it_should_be(weight, rng):
    draws, chance = 20000, np.clip((weight + 1) / 2, 0, 1)
    noise = rng.uniform(size=draws).astype("float32")
    plus = (array(quantizers.binary_stochastic(np.full(draws, weight, "float32"), noise)) == 1).mean()
    assert abs(plus - chance) <= 4 * np.sqrt(chance * (1 - chance) / draws)


def test_binary_stochastic_without_noise_is_binary(x):
    np.testing.assert_array_equal(array(quantizers.BinaryStochastic()(x)), array(quantizers.binary(x)))


def test_kbit_with_two_bits_gives_five_values():
    w = np.linspace(-2, 2, 101).astype("float32")
    np.testing.assert_array_equal(np.unique(array(quantizers.kbit(w, 2))), [-1, -0.5, 0, 0.5, 1])


def test_one_bit_dorefa_weights_keep_the_mean_magnitude(x):
    quantized = array(quantizers.dorefa_weights(x, 1))
    np.testing.assert_allclose(np.abs(quantized), np.abs(x).mean(), rtol=1e-5)


# DoReFa gradients


@pytest.mark.parametrize("bits", [1, 2, 6])
def test_dorefa_gradients_leave_the_forward_pass_alone(bits, x, noise):
    np.testing.assert_array_equal(array(quantizers.DoReFaGradients(bits)(x, noise)), x)


@pytest.mark.parametrize("bits", [1, 2, 6])
def test_dorefa_gradients_are_the_formula(bits, x, noise, rng):
    upstream = rng.normal(size=x.shape).astype("float32")
    (gradient,) = vjp(lambda x: quantizers.dorefa_gradients(x, noise, bits), upstream, x)
    np.testing.assert_allclose(gradient, restated.dorefa_gradients(upstream, noise, bits), atol=1e-5)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_dorefa_gradients_have_as_many_values_as_the_bits_allow(bits, rng):
    upstream, noise = rng.uniform(-1, 1, size=(2, 1, 5000)).astype("float32")
    (gradient,) = vjp(lambda x: quantizers.dorefa_gradients(x, (noise + 1) / 2, bits), upstream, 0 * upstream)
    assert len(np.unique(gradient)) == 2**bits


@pytest.mark.parametrize("bits", [1, 2, 6])
def test_dorefa_gradients_keep_their_mean(bits, rng):
    draws, g = 20000, rng.normal(size=(1, 16)).astype("float32")
    noise = rng.uniform(size=(draws, 16)).astype("float32")
    upstream = np.repeat(g, draws, axis=0)
    (gradient,) = vjp(lambda x: quantizers.dorefa_gradients(x, noise, bits), upstream, np.zeros_like(upstream))
    steps, scale = 2**bits - 1, 2 * np.abs(g).max()
    chance = (steps * (g / scale + 0.5)) % 1
    standard_error = np.sqrt(chance * (1 - chance) / draws) * scale / steps
    assert (np.abs(gradient.mean(axis=0, dtype="float64") - g) <= 4 * standard_error + 1e-5).all()


def test_dorefa_gradients_scale_each_image_by_its_own_largest(x, noise, rng):
    upstream = rng.normal(size=x.shape).astype("float32")
    louder = upstream * np.array([1, 1000, 0.001], "float32").reshape(-1, 1, 1, 1)
    quantized = [vjp(lambda x: quantizers.dorefa_gradients(x, noise, 2), g, x)[0] for g in (upstream, louder)]
    np.testing.assert_array_equal(quantized[0][0], quantized[1][0])
    largest = np.abs(louder).max(axis=(1, 2, 3))
    np.testing.assert_allclose(np.abs(quantized[1]).max(axis=(1, 2, 3)), largest, rtol=1e-5)


def test_dorefa_gradients_of_zero_stay_zero(x, noise):
    (gradient,) = vjp(lambda x: quantizers.dorefa_gradients(x, noise, 2), np.zeros_like(x), x)
    np.testing.assert_array_equal(gradient, 0)


def test_dorefa_gradients_cost_no_bits_forward_and_rebuild_from_their_config():
    loaded = quantizers.DoReFaGradients.from_config(quantizers.get("dorefa_gradients4").get_config())
    assert (loaded.bits, loaded.precision, loaded.random) == (4, 32, True)


# Names and bad input


def test_get_passes_none_and_objects_through():
    quantizer = quantizers.KBit(3)
    assert quantizers.get(None) is None and quantizers.get(quantizer) is quantizer


def test_get_reads_a_serialised_config():
    config = keras.saving.serialize_keras_object(quantizers.FixedQuantizer(3, axis=(1, 2)))
    assert repr(quantizers.get(config)) == "FixedQuantizer(axis=(1, 2), bits=3, surrogate='ste')"


@pytest.mark.parametrize("name", quantizers.QUANTIZERS)
def test_get_without_a_number_takes_the_default(name):
    assert repr(quantizers.get(name)) == repr(quantizers.QUANTIZERS[name]())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: quantizers.get("binray"), r"did you mean binary.*Received: 'binray'"),
        (lambda: quantizers.get("dorefa_weight2"), r"did you mean dorefa_weights"),
        (lambda: quantizers.get(""), r"a quantizer must be one of sqa, fixed, dqa"),
        (lambda: quantizers.get("binary2"), r"binary takes no number of bits\. Received: quantizer='binary2'"),
        (lambda: quantizers.get("kbit9"), r"bits must be an integer from 1 to 8\. Received: bits=9"),
        (lambda: quantizers.get("dqa0"), r"bits must be an integer from 1 to 8\. Received: bits=0"),
        (lambda: quantizers.get("sqa1"), r"levels must be an integer of at least 2\. Received: levels=1"),
        (lambda: quantizers.fixed([[1.0]], bits=2.0), r"bits must be an integer from 1 to 8\. Received: bits=2\.0"),
        (lambda: quantizers.kbit([1.0], bits=True), r"bits must be an integer from 1 to 8\. Received: bits=True"),
        (lambda: quantizers.dorefa_weights([1.0], bits=0), r"bits must be an integer from 1 to 8"),
        (lambda: quantizers.dorefa_activations([1.0], bits=9), r"bits must be an integer from 1 to 8"),
        (lambda: quantizers.dorefa_gradients([[1.0]], 0.5, bits=9), r"bits must be an integer from 1 to 8"),
        (lambda: quantizers.sqa([[1.0]], 0.5, levels=1), r"levels must be an integer of at least 2"),
        (lambda: quantizers.dqa([[1.0]], [0.0, 0.5]), r"2\^n - 1 thresholds, n = 1 to 8\. Received: thresholds=2"),
        (lambda: quantizers.Binary(surrogate="sft"), r"did you mean soft.*Received: surrogate='sft'"),
        (lambda: quantizers.binary([1.0], surrogate="STE"), r"surrogate must be one of ste, identity, soft"),
        (lambda: quantizers.dqa([[1.0]], [0.0], surrogate="tanh"), r"surrogate must be one of ste, identity, soft"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
