"""Norms project and sample as geometry says; losses equal their closed forms."""

import numpy as np
import pytest
from helpers import array, vjp
from keras import ops

from tfrobust import losses, norms

EPS = 0.3
ON_EVERY_NORM = pytest.mark.parametrize("order", norms.NORMS)


@pytest.fixture
def delta(rng):
    return rng.normal(size=(6, 4, 5, 3)).astype("float32")


def length(delta, order):
    """Norm of each flattened image by numpy's own routine."""
    return np.linalg.norm(delta.reshape(len(delta), -1).astype("float64"), ord=order, axis=1)


def scaled_to(delta, order, size):
    """Each image's perturbation stretched to norm `size`."""
    return (delta * (size / length(delta, order)).reshape(-1, 1, 1, 1)).astype("float32")


@ON_EVERY_NORM
def test_distance_is_the_norm_of_each_image(order, delta):
    np.testing.assert_allclose(norms.get(order).distance(delta), length(delta, order), rtol=1e-6)


@ON_EVERY_NORM
def test_projection_leaves_a_point_inside_unchanged(order, delta):
    inside = scaled_to(delta, order, 0.99 * EPS)
    np.testing.assert_array_equal(array(norms.get(order).project(inside, EPS)), inside)


@ON_EVERY_NORM
def test_projection_leaves_a_point_on_the_boundary_unchanged(order, delta):
    boundary = scaled_to(delta, order, EPS)
    np.testing.assert_allclose(array(norms.get(order).project(boundary, EPS)), boundary, rtol=1e-6)


@ON_EVERY_NORM
@pytest.mark.parametrize("factor", [1.001, 2, 1e4])
def test_projection_brings_a_point_outside_onto_the_boundary(order, factor, delta):
    projected = array(norms.get(order).project(scaled_to(delta, order, factor * EPS), EPS))
    np.testing.assert_allclose(length(projected, order), EPS, rtol=1e-5)


@ON_EVERY_NORM
def test_projection_is_the_nearest_point_of_the_ball(order, delta, rng):
    norm = norms.get(order)
    outside = scaled_to(delta, order, 2 * EPS)
    to_projection = length(outside - array(norm.project(outside, EPS)), 2)
    for _ in range(50):
        other = scaled_to(rng.normal(size=delta.shape), order, EPS * rng.uniform())
        assert (length(outside - other, 2) > to_projection).all()


def test_linf_projection_clips_each_pixel(delta):
    np.testing.assert_allclose(array(norms.Linf().project(delta, EPS)), np.clip(delta, -EPS, EPS), rtol=1e-6)


def test_l2_projection_keeps_the_direction(delta):
    expected = delta * (EPS / length(delta, 2)).reshape(-1, 1, 1, 1)
    np.testing.assert_allclose(array(norms.L2().project(delta, EPS)), expected, rtol=1e-5)


@ON_EVERY_NORM
def test_projection_onto_a_ball_of_radius_zero_is_zero(order, delta):
    np.testing.assert_array_equal(array(norms.get(order).project(delta, 0.0)), 0)


@ON_EVERY_NORM
def test_projection_of_zero_is_zero(order):
    np.testing.assert_array_equal(array(norms.get(order).project(np.zeros((2, 3, 3, 1), "float32"), EPS)), 0)


@ON_EVERY_NORM
def test_projection_treats_each_image_alone(order, delta):
    norm = norms.get(order)
    np.testing.assert_allclose(array(norm.project(delta, EPS))[2:3], array(norm.project(delta[2:3], EPS)), rtol=1e-6)


@ON_EVERY_NORM
def test_samples_are_float32_images_inside_the_ball(order, rng):
    samples = norms.get(order).sample(rng, (500, 4, 4, 1), EPS)
    assert samples.dtype == "float32" and samples.shape == (500, 4, 4, 1)
    assert (length(samples, order) <= EPS * (1 + 1e-6)).all()


@ON_EVERY_NORM
@pytest.mark.parametrize("shape", [(1, 2, 1), (2, 2, 3)])
def test_samples_are_uniform_in_the_ball_by_their_radius(order, shape, rng):
    n, dimension = 5000, int(np.prod(shape))
    share = np.sort(length(norms.get(order).sample(rng, (n, *shape), EPS), order) / EPS) ** dimension
    # P(radius <= r eps) = r^d; the Kolmogorov-Smirnov distance exceeds 1.95 / sqrt(n) once in a thousand seeds.
    assert np.abs(share - (np.arange(n) + 0.5) / n).max() <= 1.95 / np.sqrt(n)


@ON_EVERY_NORM
def test_samples_point_everywhere_equally_often(order, rng):
    n = 5000
    samples = norms.get(order).sample(rng, (n, 2, 2, 1), EPS).reshape(n, -1)
    standard_error = samples.std(axis=0) / np.sqrt(n)
    assert (np.abs(samples.mean(axis=0)) <= 4 * standard_error).all()
    np.testing.assert_allclose(samples.std(axis=0), samples.std(), rtol=0.05)


def test_norm_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match=r"norm must be one of inf, 2\. Received: norm=1"):
        norms.get(1)


# Losses


@pytest.fixture
def logits(rng):
    return (3 * rng.normal(size=(8, 5))).astype("float32")


@pytest.fixture
def labels(rng):
    return rng.integers(5, size=8)


def test_cross_entropy_is_log_sum_exp_minus_the_true_logit(logits, labels):
    expected = np.log(np.exp(logits.astype("float64")).sum(-1)) - logits[np.arange(8), labels]
    np.testing.assert_allclose(array(losses.cross_entropy(labels, logits)), expected, rtol=1e-5)


def test_cross_entropy_of_huge_logits_is_finite():
    np.testing.assert_allclose(array(losses.cross_entropy([0, 1], [[1e4, 0.0], [1e4, 0.0]])), [0, 1e4], atol=1e-3)


def test_cross_entropy_gradient_is_softmax_minus_one_hot(logits, labels):
    (gradient,) = vjp(lambda z: losses.cross_entropy(labels, z), np.ones(8, "float32"), logits)
    softmax = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(gradient, softmax - np.eye(5)[labels], atol=1e-5)


def test_margin_is_the_true_logit_minus_the_best_other(logits, labels):
    others = [np.delete(row, label).max() for row, label in zip(logits, labels, strict=True)]
    np.testing.assert_allclose(array(losses.margin(labels, logits)), logits[np.arange(8), labels] - others, rtol=1e-6)


def test_margin_is_negative_exactly_where_the_model_is_wrong(logits, labels):
    np.testing.assert_array_equal(array(losses.margin(labels, logits)) < 0, logits.argmax(-1) != labels)


def test_margin_gradient_raises_the_true_logit_and_lowers_the_best_other():
    (gradient,) = vjp(lambda z: losses.margin([1], z), np.ones(1, "float32"), np.array([[0.5, 2.0, 1.0]], "float32"))
    np.testing.assert_array_equal(gradient, [[0, 1, -1]])


@pytest.mark.parametrize("scale", [1.0, 1e10])
def test_margin_does_not_depend_on_the_size_of_logits(scale):
    margin = array(losses.margin([0, 1], scale * np.array([[4.0, 1.0, 2.0], [4.0, 1.0, 2.0]], "float32")))
    np.testing.assert_allclose(margin, [2 * scale, -3 * scale], rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_margin_of_half_precision_logits_is_finite(dtype):
    margin = losses.margin([1, 0], ops.cast([[0.5, 2.0], [1.0, 3.0]], dtype))
    np.testing.assert_array_equal(array(ops.cast(margin, "float32")), [1.5, -2])


def test_negative_margin_stops_at_its_confidence(logits, labels):
    expected = np.minimum(-array(losses.margin(labels, logits)), 1.5)
    np.testing.assert_allclose(array(losses.negative_margin(1.5)(labels, logits)), expected, rtol=1e-6)
    assert losses.negative_margin(1.5) is losses.negative_margin(1.5)  # compiled graphs are kept per loss object


def test_dlr_is_the_margin_over_the_distance_from_the_first_to_the_third_logit(logits, labels):
    ordered = -np.sort(-logits, axis=-1)
    expected = -array(losses.margin(labels, logits)) / (ordered[:, 0] - ordered[:, 2])
    np.testing.assert_allclose(array(losses.dlr(labels, logits)), expected, rtol=1e-5)


@pytest.mark.parametrize("scale, shift", [(1e3, 0.0), (1.0, 7.0)])
def test_dlr_does_not_see_scale_and_shift_of_the_logits(scale, shift, logits, labels):
    expected = array(losses.dlr(labels, logits))
    np.testing.assert_allclose(array(losses.dlr(labels, scale * logits + shift)), expected, rtol=1e-4)


def test_targeted_dlr_grows_with_the_target_s_logit(logits, labels):
    targets = (labels + 1) % 5
    pairs = np.stack([labels, targets], -1)
    rows, ordered = np.arange(8), -np.sort(-logits, axis=-1)
    spread = ordered[:, 0] - (ordered[:, 2] + ordered[:, 3]) / 2
    expected = (logits[rows, targets] - logits[rows, labels]) / spread
    np.testing.assert_allclose(array(losses.targeted_dlr(pairs, logits)), expected, rtol=1e-5)


def test_dlr_losses_need_three_classes():
    for loss, labels in ((losses.dlr, [0]), (losses.targeted_dlr, [[0, 1]])):
        with pytest.raises(ValueError, match="at least 3 classes.*Received: classes=2"):
            loss(labels, [[1.0, 2.0]])
