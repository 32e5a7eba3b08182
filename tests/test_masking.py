"""Masking checks and verdict: right for models that are known to mask their gradients, and for one that does not."""

import keras
import pytest
import tensorflow as tf

from tfrobust import architectures, data, training
from tfrobust.evaluation import evaluate, masking
from tfrobust.types import ThreatModel

pytestmark = pytest.mark.tensorflow

THREAT = ThreatModel(0.1)


@pytest.fixture(scope="module")
def honest():
    """A float network trained on digits: nothing hides its gradient."""
    keras.utils.set_random_seed(0)
    model = architectures.build("mlp")
    training.fit(model, "digits", epochs=6, show_progress=False)
    return model


@pytest.fixture(scope="module")
def images():
    digits = data.load("digits", "test").first(64)
    return digits.pixels(), digits.labels


def without_pseudo_gradient(model):
    """A staircase of 9 levels on the input: its derivative is 0 wherever it exists."""
    return lambda x: model(tf.round(tf.convert_to_tensor(x) * 8) / 8)


def with_saturated_softmax(model):
    """Logits so large that the cross-entropy is exactly 0 at images that are right."""
    return lambda x: 1e4 * model(x)


def with_random_activation(model):
    """Seven of ten pixels are dropped at every pass, others at the next: one pass has no gradient at most pixels."""
    generator = tf.random.Generator.from_seed(1)

    def call(x):
        x = tf.convert_to_tensor(x)
        kept = tf.cast(generator.uniform(tf.shape(x)) < 0.3, x.dtype)
        return model(x * kept / 0.3)

    return call


def levels(checks):
    return {check.name: check.level for check in checks}


def test_a_float_network_is_trustworthy(honest, images):
    checks = masking.examine(honest, *images, THREAT)
    assert set(levels(checks).values()) == {"ok"}
    assert masking.verdict(checks) == "trustworthy"


def test_a_staircase_without_a_pseudo_gradient_masks(honest, images):
    checks = masking.examine(without_pseudo_gradient(honest), *images, THREAT)
    assert masking.verdict(checks) == "masked"
    found = levels(checks)
    assert found["zero gradients"] == found["black box beats white box"] == "masking"


def test_a_saturated_softmax_masks(honest, images):
    checks = masking.examine(with_saturated_softmax(honest), *images, THREAT)
    assert masking.verdict(checks) == "masked"
    found = levels(checks)
    assert found["zero gradients"] == found["softmax saturates"] == "masking"


def test_a_random_activation_masks(honest, images):
    checks = masking.examine(with_random_activation(honest), *images, THREAT)
    assert masking.verdict(checks) == "masked"
    found = levels(checks)
    assert (found["random forward"], found["randomness hides the gradient"]) == ("warning", "masking")


def test_one_step_by_more_passes_is_compared_on_more_images_than_the_costly_attacks(honest):
    """The first 32 images carry wrong labels, so that no attack can break them; the images behind them tell."""
    digits = data.load("digits", "test").first(192)
    labels = digits.labels.copy()
    labels[:32] = (labels[:32] + 1) % 10
    checks = masking.examine(with_random_activation(honest), digits.pixels(), labels, THREAT)
    (check,) = [check for check in checks if check.name == "randomness hides the gradient"]
    assert check.level == "masking" and "one step, 192 images" in check.sentence


def test_a_quantized_network_whose_own_gradient_misleads_is_found_out_by_another_one(images):
    """The zoo's 2-bit DQA network on digits: PGD by its own pseudo-gradient against PGD by the soft staircase."""
    from tfrobust import zoo

    checks = masking.examine(zoo.load("lenet_dqa2.digits_pgd"), *images, THREAT)
    (check,) = [check for check in checks if check.name == "own pseudo-gradient misleads"]
    assert check.level == "masking" and check.figure > 0.1 and "soft" in check.sentence


@pytest.mark.parametrize("figure, level", [(-0.5, "ok"), (0.03, "ok"), (0.031, "warning"), (0.11, "masking")])
def test_a_check_s_level_follows_its_thresholds(figure, level):
    assert masking.Check.of("any", figure, 0.03, 0.1, "").level == level


def test_the_worst_check_decides_the_verdict():
    def check(level):
        return masking.Check("any", level, 0.0, "")

    assert masking.verdict([]) == "trustworthy"
    assert masking.verdict([check("ok"), check("warning"), check("ok")]) == "suspicious"
    assert masking.verdict([check("masking"), check("warning")]) == "masked"


def test_outputs_between_0_and_1_are_reported(honest, images):
    checks = masking.examine(lambda x: tf.sigmoid(honest(x)), *images, THREAT)
    (check,) = [check for check in checks if check.name == "outputs like probabilities"]
    assert check.level == "masking" and check.figure == 1.0


def test_a_report_carries_checks_and_verdict(honest, images):
    report = evaluate(honest, images, 0.1, suite="basic", n=32, n_costly=8, show_progress=False)
    assert report.verdict == masking.verdict(report.checks)
    assert report.to_dict()["checks"][0]["name"] == "outputs like probabilities"
    assert report.verdict in str(report)
