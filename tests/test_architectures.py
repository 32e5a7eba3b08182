"""Architectures: sizes by arithmetic, what a policy puts where, names, bad input."""

import itertools

import cases
import keras
import numpy as np
import pytest
from helpers import array
from keras import layers as keras_layers

from tfrobust import architectures, layers, quantizers
from tfrobust.architectures import Policy

ON_EVERY_ARCHITECTURE = pytest.mark.parametrize(**cases.named(cases.ARCHITECTURES))
NAMES = [
    "_".join(filter(None, (case.name, suffix)))
    for case, suffix in itertools.product(cases.ARCHITECTURES, cases.POLICIES)
]


def of_kind(model, kind):
    """The layers of exactly one class, in order."""
    return [layer for layer in model.layers if type(layer) is kind]


def with_kernel(model):
    return [layer for layer in model.layers if hasattr(layer, "kernel")]


def test_every_architecture_has_a_row_in_a_table():
    large = {case.key for case in cases.LARGE_ARCHITECTURES}
    named = {case.name for case in cases.ARCHITECTURES} | large | {*cases.TOY_ARCHITECTURES}
    assert named == set(architectures.ARCHITECTURES)


@pytest.mark.parametrize("name", NAMES)
def test_model_maps_images_to_finite_logits_and_bears_its_name(name, rng):
    model = architectures.build(name)
    logits = array(model(rng.uniform(size=(2, 28, 28, 1)).astype("float32")))
    assert model.name == name and logits.shape == (2, 10) and np.isfinite(logits).all()


@pytest.mark.parametrize("name", NAMES)
def test_readout_is_linear(name):
    assert keras.activations.get(architectures.build(name).layers[-1].activation) is keras.activations.linear


@ON_EVERY_ARCHITECTURE
@pytest.mark.parametrize("suffix", ["", "fixed2", "sqa", "bnn", "randbnn", "w4", "mcd", "w2_mcd"])
def test_parameters_are_those_of_the_float_network(case, suffix):
    assert architectures.build(f"{case.name}_{suffix}".rstrip("_")).count_params() == case.parameters


@ON_EVERY_ARCHITECTURE
@pytest.mark.parametrize("bits", [1, 2, 3])
def test_dqa_adds_one_parameter_per_level_and_activation(case, bits):
    expected = case.parameters + case.activations * 2**bits
    assert architectures.build(f"{case.name}_dqa{bits}").count_params() == expected


@ON_EVERY_ARCHITECTURE
def test_without_a_policy_each_hidden_layer_ends_in_relu(case):
    model = architectures.ARCHITECTURES[case.name]()
    assert len(of_kind(model, keras_layers.ReLU)) == case.activations
    assert not of_kind(model, layers.SQA) + of_kind(model, layers.DQA)
    assert all(layer.kernel_quantizer is None for layer in with_kernel(model)[:-1])


@ON_EVERY_ARCHITECTURE
@pytest.mark.parametrize(
    ("policy", "kind", "bits"),
    [
        (Policy("dqa2"), layers.DQA, 2),
        (Policy("dqa3"), layers.DQA, 3),
        (Policy("fixed2"), layers.FixedQuantizedActivation, 2),
    ],
)
def test_dqa_and_fixed_replace_every_relu(case, policy, kind, bits):
    model = architectures.ARCHITECTURES[case.name](policy)
    assert [layer.quantizer.bits for layer in of_kind(model, kind)] == [bits] * case.activations
    assert not of_kind(model, keras_layers.ReLU)


@ON_EVERY_ARCHITECTURE
def test_sqa_stands_after_the_first_two_activations_with_two_and_three_levels(case):
    model = architectures.ARCHITECTURES[case.name](Policy("sqa"))
    relu, sqa = of_kind(model, keras_layers.ReLU), of_kind(model, layers.SQA)
    assert [layer.quantizer.levels for layer in sqa] == [2, 3]
    assert [layer.input is before.output for layer, before in zip(sqa, relu, strict=False)] == [True, True]
    assert all(layer.stochastic == "always" for layer in sqa) and len(relu) == case.activations


@ON_EVERY_ARCHITECTURE
@pytest.mark.parametrize(
    ("suffix", "quantizer"),
    [("bnn", quantizers.Binary), ("randbnn", quantizers.BinaryStochastic), ("w4", quantizers.KBit)],
)
def test_weight_policy_leaves_the_first_and_the_last_kernel_float(case, suffix, quantizer):
    first, *hidden, last = with_kernel(architectures.build(f"{case.name}_{suffix}"))
    assert type(last) is keras_layers.Dense and first.kernel_quantizer is None
    assert hidden and all(type(layer.kernel_quantizer) is quantizer for layer in hidden)


@ON_EVERY_ARCHITECTURE
def test_an_input_policy_quantizes_the_images_and_nothing_else(case, rng):
    model = architectures.build(f"{case.name}_in1_bnn")
    first, *rest = with_kernel(model)
    assert first.input_quantizer.bits == 1 and first.kernel_quantizer is None
    assert all(getattr(layer, "input_quantizer", None) is None for layer in rest)
    x = rng.uniform(size=(2, 28, 28, 1)).astype("float32")
    np.testing.assert_allclose(array(model(x)), array(model((x > 0.5).astype("float32"))), atol=1e-5)


@ON_EVERY_ARCHITECTURE
def test_dropout_of_one_half_follows_every_hidden_layer(case):
    model = architectures.build(f"{case.name}_mcd")
    relu, dropout = of_kind(model, keras_layers.ReLU), of_kind(model, layers.MCDropout)
    assert [layer.rate for layer in dropout] == [0.5] * case.activations
    assert all(layer.input is before.output for layer, before in zip(dropout, relu, strict=True))


@ON_EVERY_ARCHITECTURE
@pytest.mark.parametrize("suffix", ["bnn", "randbnn", "w2", "w4"])
def test_a_network_with_quantized_kernels_starts_with_activations_of_the_float_network_s_size(case, suffix, rng):
    x = rng.uniform(size=(8, 28, 28, 1)).astype("float32")
    float_, quantized = (architectures.build(f"{case.name}{end}") for end in ("", f"_{suffix}"))
    sizes = [np.std(array(keras.Model(m.input, m.layers[-1].input)(x))) for m in (float_, quantized)]
    assert 0.5 < sizes[1] / sizes[0] < 5


@ON_EVERY_ARCHITECTURE
@pytest.mark.parametrize(("suffix", "gain"), [("bnn", 1), ("randbnn", 1), ("w2", 4), ("w4", 16)])
def test_outputs_of_quantized_kernels_are_divided_by_the_root_of_their_inputs(case, suffix, gain):
    model = architectures.build(f"{case.name}_{suffix}")
    _, *hidden, _ = with_kernel(model)
    inputs = [np.prod(layer.kernel.shape[:-1]) for layer in hidden]
    scales = [layer.scale for layer in of_kind(model, keras_layers.Rescaling)]
    np.testing.assert_allclose(scales, [gain / np.sqrt(n) for n in inputs])


@ON_EVERY_ARCHITECTURE
def test_input_shape_and_classes_are_arguments(case):
    model = architectures.ARCHITECTURES[case.name](Policy("dqa1"), input_shape=(32, 32, 3), classes=7)
    assert model.input_shape == (None, 32, 32, 3) and model.output_shape == (None, 7)


@pytest.mark.parametrize(
    "name", ["lenet_dqa2", "cnn_small_sqa", "mlp_randbnn", "lenet_fixed2", "mlp_in1_dqa2", "lenet_w2_mcd"]
)
def test_loaded_model_computes_the_same_logits(name, rng, tmp_path):
    model, x = architectures.build(name), rng.uniform(size=(2, 28, 28, 1)).astype("float32")
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(array(loaded(x)), array(model(x)))


# Names


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lenet", ("lenet", Policy())),
        ("mlp_fixed3", ("mlp", Policy(activation="fixed3"))),
        ("cnn_small_sqa", ("cnn_small", Policy(activation="sqa"))),
        ("cnn_large_bnn", ("cnn_large", Policy(kernel="binary"))),
        ("lenet_randbnn", ("lenet", Policy(kernel="binary_stochastic"))),
        ("lenet_w2", ("lenet", Policy(kernel="kbit2"))),
        ("lenet_dqa1", ("lenet", Policy(activation="dqa1"))),
        ("lenet_in1_dqa2", ("lenet", Policy(activation="dqa2", input="dorefa_activations1"))),
        ("cnn_small_sqa_w4", ("cnn_small", Policy(activation="sqa", kernel="kbit4"))),
        ("lenet_mcd", ("lenet", Policy(dropout=0.5))),
        ("lenet_w2_mcd", ("lenet", Policy(kernel="kbit2", dropout=0.5))),
        ("lenet_randbnn_mcd5", ("lenet", Policy(kernel="binary_stochastic", dropout=0.05))),
        ("mlp_bnn_in2_fixed1", ("mlp", Policy("fixed1", "binary", "dorefa_activations2"))),
    ],
)
def test_name_splits_into_architecture_and_policy(name, expected):
    assert architectures.split_name(name) == expected


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: architectures.split_name("lenit_dqa2"), r"must begin with an architecture.*did you mean lenet"),
        (lambda: architectures.split_name("lenet5"), r"must begin with an architecture.*Received: 'lenet5'"),
        (lambda: architectures.build("lenet_dqa"), r"a quantization must be one of.*Received: 'dqa'"),
        (lambda: architectures.build("lenet_sqa3"), r"a quantization must be one of.*Received: 'sqa3'"),
        (lambda: architectures.build("lenet_"), r"a quantization must be one of.*Received: ''"),
        (lambda: architectures.build("lenet_dqa9"), r"bits must be an integer from 1 to 8\. Received: bits=9"),
        (lambda: architectures.build("lenet_w0"), r"bits must be an integer from 1 to 8\. Received: bits=0"),
        (lambda: architectures.build("lenet_in0"), r"bits must be an integer from 1 to 8\. Received: bits=0"),
        (lambda: architectures.build("lenet_sqa_dqa2"), r"may give its activation one quantization.*'sqa_dqa2'"),
        (lambda: Policy("tanh"), r"activation must be one of relu, sqa.*Received: activation='tanh'"),
        (lambda: Policy("dqa"), r"dqa needs a number of bits\. Received: activation='dqa'"),
        (lambda: Policy("fixed0"), r"bits must be an integer from 1 to 8"),
        (lambda: Policy("sqa3"), r"sqa takes no number\. Received: activation='sqa3'"),
        (lambda: Policy("relu6"), r"relu takes no number\. Received: activation='relu6'"),
        (lambda: architectures.build("lenet_mcd0"), r"a quantization must be one of.*Received: 'mcd0'"),
        (lambda: architectures.build("lenet_mcd_mcd"), r"may give its dropout one quantization.*'mcd_mcd'"),
        (lambda: Policy(dropout=1.0), r"dropout must lie in \[0, 1\)\. Received: dropout=1\.0"),
        (lambda: Policy(kernel="binray"), r"did you mean binary"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
