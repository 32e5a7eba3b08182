"""Auto-PGD, and adaptations of any attack: other pseudo-gradients, means of passes, cooled logits."""

import helpers
import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrobust import attacks, layers, losses
from tfrobust.attacks import apgd
from tfrobust.quantizers import surrogates

pytestmark = pytest.mark.tensorflow

EPS = 0.1


class NeverFooled:
    """The linear victim with its true logit raised by 100, so that a search runs to its end."""

    def __init__(self, y, classes=2):
        self.model, self.classes = helpers.linear_model(classes=classes), classes
        self.raised = tf.constant(100 * np.eye(classes)[y], tf.float32)

    def __call__(self, x):
        logits = self.model(x)
        return logits + self.raised[: tf.shape(logits)[0]]


def gained(result, x, weights):
    """What the change of each image gains along `weights`."""
    return np.abs(((result.x_adv - x) * weights).sum((1, 2, 3)))


def optimum(weights, norm):
    return EPS * (np.abs(weights).sum() if norm == np.inf else np.sqrt(np.square(weights).sum()))


@pytest.mark.parametrize("norm", [np.inf, 2])
@pytest.mark.parametrize("loss", ["ce", "margin"])
def test_apgd_reaches_the_exact_worst_loss_of_a_linear_victim(norm, loss):
    x, y = helpers.linear_images()
    attack = attacks.APGD(eps=EPS, norm=norm, loss=loss, nb_iter=40)
    # At a margin of 100 the cross-entropy is flat in float32: the temperature brings it back.
    result = attacks.Temperature(attack, 50.0)(NeverFooled(y), x, y, batch_size=len(x))
    weights = helpers.linear_weights(helpers.linear_model())
    assert (gained(result, x, weights) / optimum(weights, norm)).min() > 0.999


def test_apgd_on_the_dlr_loss_and_targeted_find_what_the_linear_optimum_allows():
    x, _ = helpers.linear_images(64)
    model = helpers.linear_model(classes=5)
    y = np.asarray(model(x)).argmax(-1)
    kernel = np.asarray(model.layers[-1].get_weights()[0])
    logits = np.asarray(model(x))
    apart = logits[np.arange(64), y][:, None] - logits
    eps = 0.03
    reach = eps * np.abs(kernel[:, y][:, :, None] - kernel[:, None, :]).sum(0)
    breakable = ((apart < reach) & (np.arange(5) != y[:, None])).any(-1)
    assert 0.2 < breakable.mean() < 1
    for attack in (attacks.APGD(eps=eps, loss="dlr", n_restarts=3), attacks.TargetedAPGD(eps=eps, nb_iter=50)):
        success = attack(model, x, y).success
        assert not (success & ~breakable).any()
        assert success.sum() >= breakable.sum() - 1


def test_apgd_stops_at_an_image_that_is_adversarial_and_counts_its_queries():
    x, y = helpers.linear_images()
    result = attacks.APGD(eps=0.3, nb_iter=50)(helpers.linear_model(), x, y)
    assert result.success.all() and result.queries.max() < 20


def test_periods_of_apgd_shrink_from_22_to_6_percent():
    assert apgd.checkpoints(100)[:6] == [22, 41, 57, 70, 80, 87]


def test_restarts_draw_anew():
    x, y = helpers.linear_images(4)
    victim = attacks.Victim(NeverFooled(y), x)
    rng = np.random.default_rng(0)
    attacks.APGD(eps=EPS, nb_iter=5, n_restarts=3).propose(victim, x, y, rng)
    assert (victim.queries == 15).all()


def dqa_model(surrogate):
    """A linear readout of a 1-bit DQA activation of the image around 1/2."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input(helpers.LINEAR_SHAPE),
            keras.layers.Rescaling(4.0, offset=-2.0),
            layers.DQA(1, surrogate=surrogate),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ]
    )
    return model


@pytest.mark.parametrize("surrogate", surrogates.SURROGATES)
def test_bpda_differentiates_as_a_model_with_that_surrogate_would(surrogate):
    x, y = helpers.linear_images(low=0.0, high=1.0)
    model = dqa_model("ste")
    twin = dqa_model(surrogate)
    twin.set_weights(model.get_weights())
    seen = attacks.Victim(model, x).seen(surrogate=surrogate)
    expected = attacks.Victim(twin, x).gradient(losses.cross_entropy, x, y)
    np.testing.assert_allclose(seen.gradient(losses.cross_entropy, x, y), expected, atol=1e-7)


def test_bpda_leaves_the_model_as_it_was():
    x, y = helpers.linear_images(low=0.0, high=1.0)
    model = dqa_model("ste")
    before = np.asarray(attacks.Victim(model, x).gradient(losses.cross_entropy, x, y))
    weights = model.get_weights()
    attacks.BPDA(attacks.FGSM(eps=EPS), "soft")(model, x, y)
    np.testing.assert_array_equal(attacks.Victim(model, x).gradient(losses.cross_entropy, x, y), before)
    assert model.layers[1].quantizer.surrogate == "ste"
    for kept, now in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, now)


def test_an_overridden_surrogate_ends_with_its_block_also_after_an_error():
    with pytest.raises(RuntimeError), surrogates.override("identity"):
        raise RuntimeError
    assert surrogates.sign_derivative("ste", tf.constant(3.0)) == 0
    with surrogates.override("identity"):
        assert surrogates.sign_derivative("ste", tf.constant(3.0)) == 1


def test_the_loss_of_a_cooled_model_is_that_of_its_logits_over_the_temperature():
    x, y = helpers.linear_images()
    model = helpers.linear_model()
    cooled = attacks.Victim(model, x).seen(temperature=7.0)
    value, logits, gradient = cooled.loss_and_gradient(losses.cross_entropy, x, y)
    np.testing.assert_allclose(logits, model(x), rtol=1e-5)
    np.testing.assert_allclose(value, losses.cross_entropy(y, np.asarray(model(x)) / 7.0), rtol=1e-5)
    np.testing.assert_allclose(gradient, cooled.gradient(losses.cross_entropy, x, y), atol=1e-7)


def test_cooling_finds_what_a_saturated_softmax_hides():
    x, y = helpers.linear_images()
    model = helpers.linear_model()

    def saturated(images):
        return 1e5 * model(images)

    plain = attacks.PGD(eps=0.2, eps_iter=0.05, nb_iter=10, rand_init=False)
    assert plain(saturated, x, y).success.mean() < 0.1
    assert attacks.Temperature(plain)(saturated, x, y).success.mean() == plain(model, x, y).success.mean() > 0.9


def test_adaptations_nest_and_keep_the_inner_attack_s_threat_model():
    inner = attacks.PGD(eps=EPS, eps_iter=0.02, nb_iter=5, targeted=True, seed=3)
    nested = attacks.BPDA(attacks.Temperature(attacks.EOT(inner, 4), 2.0), "soft")
    assert nested.name == "PGD-5 (EOT 4) (temperature 2) (BPDA soft)"
    assert (nested.threat, nested.targeted, nested.seed, nested.eot) == (inner.threat, True, 3, 4)
    assert nested.cost() == 20
    x, y = helpers.linear_images(2)
    assert (nested(helpers.linear_model(), x, 1 - y).queries == 20).all()


def test_a_model_that_cuts_its_gradient_off_has_gradient_zero():
    x, y = helpers.linear_images(2)
    model = helpers.linear_model()
    victim = attacks.Victim(lambda images: model(tf.round(tf.convert_to_tensor(images))), x)
    assert not np.any(victim.gradient(losses.cross_entropy, x, y))
    assert not np.any(victim.loss_and_gradient(losses.cross_entropy, x, y)[2])
    assert not np.any(victim.class_gradients(x, np.array([[0, 1], [1, 0]]))[1])


def test_class_gradients_are_the_kernel_of_a_linear_victim():
    x, _ = helpers.linear_images(3)
    model = helpers.linear_model(classes=4)
    kernel = np.asarray(model.layers[-1].get_weights()[0])
    chosen = np.array([[0, 3], [2, 1], [1, 1]])
    logits, gradients = attacks.Victim(model, x).class_gradients(x, chosen)
    np.testing.assert_allclose(logits, model(x), rtol=1e-5)
    np.testing.assert_allclose(gradients.reshape(3, 2, 36), kernel.T[chosen], rtol=1e-6)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: attacks.EOT(attacks.FGSM(eps=0.1), 0), "passes must be an integer of at least 1"),
        (lambda: attacks.BPDA(attacks.FGSM(eps=0.1), "sft"), "surrogate must be one of .*did you mean soft"),
        (lambda: attacks.Temperature(attacks.FGSM(eps=0.1), 0.0), "temperature must be above 0"),
        (lambda: attacks.APGD(eps=0.1, n_restarts=0), "n_restarts must be an integer of at least 1"),
        (lambda: attacks.APGD(eps=0.1, loss="cw"), "loss must be one of ce, dlr, margin"),
        (lambda: attacks.TargetedAPGD(eps=0.1, targeted=True), "targeted must be False"),
        (lambda: attacks.TargetedAPGD(eps=0.1, n_targets=0), "n_targets must be an integer of at least 1"),
        (lambda: attacks.MIM(eps=0.1, eps_iter=0.1, nb_iter=1, decay=-1), "decay must be finite and at least 0"),
        (lambda: attacks.CarliniWagnerLinf(eps=0.1, eps_iter=0.1, nb_iter=1, confidence=-1), "confidence must be"),
    ],
)
def test_arguments_outside_their_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_dlr_losses_need_three_classes():
    x, y = helpers.linear_images(2)
    for attack in (attacks.APGD(eps=0.1, loss="dlr"), attacks.TargetedAPGD(eps=0.1)):
        with pytest.raises(ValueError, match="the DLR loss needs at least 3 classes.*Received: classes=2"):
            attack(helpers.linear_model(), x, y)
