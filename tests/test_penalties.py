"""What is added to a defense: penalties restated in numpy, Parseval's projection held to its fixed point."""

import keras
import numpy as np
import pytest

from tfrobust import architectures, data, training
from tfrobust.training import Orthogonality, Parseval, Standard, WeightDecay
from tfrobust.training.defenses import clean_examples
from tfrobust.training.penalties import as_matrix

pytestmark = pytest.mark.tensorflow


def small(name="lenet", **kwargs):
    keras.utils.set_random_seed(0)
    return architectures.build(name, input_shape=(16, 16, 1), **kwargs)


def added(model, defense):
    """What `defense` adds to the loss of training without one."""
    x = np.random.default_rng(0).uniform(size=(4, 16, 16, 1)).astype("float32")
    examples = clean_examples(x, np.arange(4))
    return float(defense.objective(model, examples)[0] - Standard().objective(model, examples)[0])


def matrices(model, sign=False):
    """Each kernel as numpy's matrix of filters by inputs, times the root of its receptive field."""
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            kernel = np.asarray(layer.kernel)
            kernel = np.where(kernel >= 0, 1.0, -1.0) if sign and layer.name not in ("conv_1", "logits") else kernel
            yield kernel.reshape(-1, kernel.shape[-1]).T * np.sqrt(np.prod(kernel.shape[:-2]))


def test_weight_decay_is_half_the_squared_size_of_all_kernels():
    model = small()
    squared = sum(np.square(np.asarray(layer.kernel)).sum() for layer in model.layers if hasattr(layer, "kernel"))
    assert added(model, WeightDecay(0.05)) == pytest.approx(0.05 / 2 * squared, rel=1e-4)


def test_weight_decay_may_be_given_for_some_layers():
    model = small()
    conv, logits = (np.square(np.asarray(model.get_layer(name).kernel)).sum() for name in ("conv_1", "logits"))
    expected = 0.1 / 2 * conv + 0.3 / 2 * logits
    assert added(model, WeightDecay((("logits", 0.3), ("conv_1", 0.1)))) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", ["lenet", "lenet_bnn"])
def test_orthogonality_is_the_distance_of_the_running_kernels_products_from_the_identity(name):
    model, expected = small(name), 0.0
    for matrix in matrices(model, sign=name == "lenet_bnn"):
        gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
        expected += np.square(gram - np.eye(len(gram))).sum()
    assert added(model, Orthogonality(1e-3)) == pytest.approx(1e-3 / 2 * expected, rel=1e-3)


def test_parseval_s_step_is_the_paper_s_update():
    model = small("mlp")
    before = [np.asarray(matrix) for matrix in matrices(model)]
    Parseval(0.01, share=1.0).after_step(model, 1)
    for old, new in zip(before, matrices(model), strict=True):
        np.testing.assert_allclose(new, 1.01 * old - 0.01 * old @ old.T @ old, atol=1e-5)


def test_parseval_repeated_makes_filters_orthonormal_but_for_the_receptive_field():
    model = small()
    for step in range(300):
        Parseval(0.03, share=1.0).after_step(model, step)
    for matrix in matrices(model):
        gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
        np.testing.assert_allclose(gram, np.eye(len(gram)), atol=0.02)


def test_parseval_moves_a_share_of_the_rows_and_others_in_the_next_step():
    model, moved = small("mlp"), []
    for step in (1, 2):
        before = np.asarray(as_matrix(model.layers[2].kernel))
        Parseval(0.5).after_step(model, step)
        moved.append(np.flatnonzero((before != np.asarray(as_matrix(model.layers[2].kernel))).any(1)))
    assert [len(rows) for rows in moved] == [150, 150] and not np.array_equal(*moved)


def test_additions_nest_and_keep_the_attack_and_the_examples():
    from tfrobust.attacks import FGSM

    adversarial = training.AdversarialTraining(FGSM(eps=0.1), clean_weight=0.5)
    both = WeightDecay(0.1, defense=Orthogonality(0.1, defense=Parseval(1e-4, defense=adversarial)))
    assert both.attack is adversarial.attack
    digits, model = data.load("digits", "train", 100), architectures.build("mlp")
    history = training.fit(model, digits, defense=both, epochs=1, batch_size=50, show_progress=False)
    assert np.isfinite(history[0].loss)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: WeightDecay(-1.0), "rate must be finite and at least 0"),
        (lambda: WeightDecay((("conv_1", -1.0),)), "rate must be finite and at least 0"),
        (lambda: added(small(), WeightDecay((("conv1", 1.0),))), "layer must be one of .*did you mean conv_1"),
        (lambda: Orthogonality(-1.0), "weight must be finite and at least 0"),
        (lambda: Parseval(-1.0), "beta must be finite and at least 0"),
        (lambda: Parseval(0.1, share=0.0), r"share must lie in \(0, 1\]"),
        (lambda: Parseval(0.1, share=1.1), r"share must lie in \(0, 1\]"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
