"""Images that set the ranges of integers: a strange one is left out, unless the user chose it."""

import keras
import numpy as np
import pytest

from tfrobust import architectures, data, export, layers, zoo
from tfrobust.export.calibration import OUTLYING, typical

pytestmark = pytest.mark.tensorflow

FAINT, STRANGE = 0.2, 7  # a digit at full contrast among digits at a fifth of it


@pytest.fixture
def images():
    x = FAINT * data.load("digits", "train", 30).pixels()
    x[STRANGE] /= FAINT
    return x


def without(images):
    return np.delete(images, STRANGE, axis=0)


def dense(kernel):
    model = keras.Sequential([keras.Input((2, 1, 1)), keras.layers.Flatten(), keras.layers.Dense(2, use_bias=False)])
    model.set_weights([np.array(kernel, "float32")])
    return model


def test_an_image_is_strange_when_one_layer_answers_it_three_times_as_strongly_as_usual():
    x = np.array([[0.5, 0.1], [0.5, 0.1], [0.5, 0.1], [0.5, 0.29], [0.5, 0.31]], "float32")[..., None, None]
    # The first layer's answer is 0.5 to all; the second's is pixel 2 alone, so that the last image reaches 3.1 times.
    assert OUTLYING == 3
    np.testing.assert_array_equal(typical(dense([[0, 0], [0, -9]]), x), x[:4])
    np.testing.assert_array_equal(typical(dense([[1, 0], [0, 0]]), x), x)


def test_a_layer_that_is_silent_for_most_images_says_nothing():
    x = np.array([[0.5, 0], [0.5, 0], [0.5, 0], [0.5, 0.4]], "float32")[..., None, None]
    np.testing.assert_array_equal(typical(dense([[0, 0], [0, 1]]), x), x)


def test_where_most_images_are_unlike_each_other_all_are_kept():
    x = np.zeros((5, 6, 1, 1), "float32")
    x[:, 0], x[np.arange(5), np.arange(1, 6)] = 0.01, 1  # each moves one layer of its own
    x[:, 1:][x[:, 1:] == 0] = 0.01
    inputs = keras.Input((6, 1, 1))
    pixels = keras.layers.Flatten()(inputs)
    parts = [pixels[:, i : i + 1] for i in range(1, 6)]
    np.testing.assert_array_equal(typical(keras.Model(inputs, keras.layers.Concatenate()(parts)), x), x)


@pytest.mark.parametrize("wrap", [lambda model: model, lambda model: keras.Sequential([model])])
@pytest.mark.parametrize("name", ["mlp", "lenet_dqa2", "lenet_mcd"])
def test_layers_are_seen_in_every_network_also_in_models_inside_models(name, wrap, rng):
    model = architectures.build(name)
    x = 0.01 + 0.01 * rng.random((12, *model.input_shape[1:]), "float32")
    assert len(typical(wrap(model), x)) == 12
    x[STRANGE] = 1
    assert len(typical(wrap(model), x)) == 11


def test_the_model_draws_next_what_it_would_have_drawn_without_our_looking(images):
    model = zoo.load("lenet_mcd.mnist_dropout")
    generators = [layer.seed_generator for layer in model.layers if isinstance(layer, layers.MCDropout)]
    states = [np.asarray(generator.state) for generator in generators]
    typical(model, images)
    assert len(states) == 3
    np.testing.assert_array_equal([np.asarray(generator.state) for generator in generators], states)


def test_of_a_model_that_hides_its_layers_all_images_are_kept(images):
    class Hidden(keras.Model):
        def call(self, x):
            return keras.ops.sum(x, axis=(1, 2))

    np.testing.assert_array_equal(typical(Hidden(), images), images)


def test_a_file_has_the_ranges_of_the_typical_images_or_of_those_that_the_user_chose(images, tmp_path):
    model, labels = architectures.build("mlp"), np.zeros(len(images), int)

    def logits(x, **given):
        path = tmp_path / "m.tflite"
        export.to_tflite(model, path, "int8", data=(x, labels[: len(x)]), n=30, show_progress=False, **given)
        return export.TFLiteModel(path)(images)

    ranges_of_typical = logits(images, calibration=without(images))
    np.testing.assert_array_equal(logits(images), ranges_of_typical)
    np.testing.assert_array_equal(logits(without(images)), ranges_of_typical)
    assert (logits(images, calibration=images) != ranges_of_typical).any()
