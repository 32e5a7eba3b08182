"""JAX beside TensorFlow: what was trained on one is, does and withstands the same on the other."""

import os
import pathlib
import subprocess
import sys

import backends
import numpy as np
import pytest

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]
HERE = pathlib.Path(__file__).parent


WITHOUT_TENSORFLOW = """
import sys
# A machine with an accelerator may have none of them.
sys.modules.update(dict.fromkeys(["tensorflow", "cleverhans", "tensorflow_datasets", "tf_keras", "ai_edge_litert"]))
import numpy as np, backends
np.savez({file!r}, **backends.results())
"""


def run(code, **environment):
    """Run code on the JAX backend; its error output is shown if it fails."""
    path = f"{HERE.parent}{os.pathsep}{HERE}"
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": path, **environment}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The results of `backends.results` on TensorFlow, and on JAX without TensorFlow."""
    file = tmp_path_factory.mktemp("jax") / "results.npz"
    run(WITHOUT_TENSORFLOW.format(file=str(file)))
    with np.load(file) as found:
        return backends.results(), dict(found)


def test_a_trained_float_network_has_the_same_logits(both):
    ours, theirs = (result[backends.FLOAT] for result in both)
    np.testing.assert_allclose(theirs, ours, atol=1e-4 * np.abs(ours).max())


def test_a_trained_staircase_has_the_same_logits_but_where_rounding_takes_a_value_over_an_edge(both):
    ours, theirs = (result[backends.STAIRCASE] for result in both)
    same = np.isclose(theirs, ours, rtol=1e-4, atol=1e-4).all(-1)
    assert same.mean() >= 0.99 and (theirs.argmax(-1) == ours.argmax(-1)).mean() >= 0.995


def test_a_trained_entry_withstands_pgd_on_as_many_images(both):
    ours, theirs = (result["withstood"].mean() for result in both)
    assert abs(ours - theirs) <= 0.005


def test_adversarial_training_without_chance_gives_the_same_weights(both):
    names = [name for name in both[0] if name.startswith("weight")]
    moved = [np.abs(both[0][name] - value).max() for name, value in zip(names, backends.start(), strict=True)]
    assert min(moved) > 1e-3
    for name in names:
        np.testing.assert_allclose(both[1][name], both[0][name], atol=1e-4)


def test_a_suite_runs_the_same_attacks_and_finds_the_same_worst_case(both):
    assert list(both[1]["attacks"]) == list(both[0]["attacks"])
    assert abs(float(both[1]["worst"]) - float(both[0]["worst"])) <= 1 / 40


UNCERTAIN = """
import numpy as np
from tfrobust import architectures, evaluation
model, x = architectures.build("mlp_mcd"), np.full((3, 28, 28, 1), 0.5, "float32")
states = [np.asarray(variable) for variable in model.variables]
first, again, other = (evaluation.uncertainty(model, x, passes=8, seed=seed) for seed in (1, 1, 2))
assert (first.variance > 0).all() and np.array_equal(first.summed, again.summed)
assert not np.array_equal(first.summed, other.summed)
assert all(np.array_equal(old, np.asarray(new)) for old, new in zip(states, model.variables, strict=True))
print("seeded")
"""


def test_uncertainty_draws_from_its_seed_and_leaves_the_model_s_state():
    assert run(UNCERTAIN).endswith("seeded\n")


PARALLEL = """
import keras, jax, numpy as np
assert len(jax.devices()) == 2
import backends
single = backends.trained()
keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
for name, value in backends.trained().items():
    np.testing.assert_allclose(value, single[name], atol=1e-5)
print("equal")
"""


def test_two_devices_train_what_one_does():
    assert run(PARALLEL, XLA_FLAGS="--xla_force_host_platform_device_count=2").endswith("equal\n")
