"""Conformance tables: a row here is all that a new quantizer, layer or architecture needs to be tested in general."""

from collections.abc import Callable
from typing import NamedTuple

import helpers
import numpy as np
import restated

from tfrobust import attacks, layers, quantizers


class QuantizerCase(NamedTuple):
    """One quantizer under one setting.

    `name` is what `quantizers.get` takes; `forward(x, noise)` and `backward(surrogate, x, noise)`, the derivative of
    the output by x, restate the paper in numpy; `values` lists all legal outputs where they do not depend on the input.
    """

    name: str
    make: Callable
    forward: Callable
    backward: Callable
    precision: int
    values: tuple | None = None
    per_image: bool = False


def _even(bits):
    """2^bits values evenly spaced from -1 to 1."""
    steps = 2**bits - 1
    return tuple(-1 + 2 * i / steps for i in range(steps + 1))


def _sqa(levels, precision):
    return QuantizerCase(
        f"sqa{levels}",
        lambda **surrogate: quantizers.SQAQuantizer(levels, **surrogate),
        lambda x, noise: restated.sqa(x, noise, levels),
        lambda surrogate, x, noise: restated.sqa_backward(surrogate, x, levels),
        precision,
        per_image=True,
    )


def _fixed(bits):
    return QuantizerCase(
        f"fixed{bits}",
        lambda **surrogate: quantizers.FixedQuantizer(bits, **surrogate),
        lambda x, noise: restated.fixed(x, bits),
        lambda surrogate, x, noise: restated.fixed_backward(surrogate, x, bits),
        bits,
        _even(bits),
        per_image=True,
    )


def _dqa(bits):
    t = restated.uniform_thresholds(bits)
    return QuantizerCase(
        f"dqa{bits}",
        lambda **surrogate: quantizers.DQAQuantizer(bits, **surrogate),
        lambda x, noise: restated.dqa(x, t),
        lambda surrogate, x, noise: restated.dqa_backward(surrogate, x, t),
        bits,
        (-1.0, *(value for value in t if value != 0), 1.0),
        per_image=True,
    )


def _kbit(bits):
    steps = 2 ** (bits - 1)
    return QuantizerCase(
        f"kbit{bits}",
        lambda **surrogate: quantizers.KBit(bits, **surrogate),
        lambda x, noise: restated.kbit(x, bits),
        lambda surrogate, x, noise: restated.kbit_backward(surrogate, x, bits),
        bits,
        tuple(i / steps for i in range(-steps, steps + 1)),
    )


def _dorefa_weights(bits):
    return QuantizerCase(
        f"dorefa_weights{bits}",
        lambda **surrogate: quantizers.DoReFaWeights(bits, **surrogate),
        lambda x, noise: restated.dorefa_weights(x, bits),
        lambda surrogate, x, noise: restated.dorefa_weights_backward(surrogate, x, bits),
        bits,
        None if bits == 1 else _even(bits),
    )


def _dorefa_activations(bits):
    steps = 2**bits - 1
    return QuantizerCase(
        f"dorefa_activations{bits}",
        lambda **surrogate: quantizers.DoReFaActivations(bits, **surrogate),
        lambda x, noise: restated.dorefa_activations(x, bits),
        lambda surrogate, x, noise: restated.dorefa_activations_backward(surrogate, x, bits),
        bits,
        tuple(i / steps for i in range(steps + 1)),
        per_image=True,
    )


BINARY = QuantizerCase(
    "binary",
    lambda **surrogate: quantizers.Binary(**surrogate),
    lambda x, noise: restated.sign(x),
    lambda surrogate, x, noise: restated.sign_derivative(surrogate, x),
    1,
    (-1.0, 1.0),
    per_image=True,
)
BINARY_STOCHASTIC = QuantizerCase(
    "binary_stochastic",
    lambda **surrogate: quantizers.BinaryStochastic(**surrogate),
    restated.binary_stochastic,
    lambda surrogate, x, noise: restated.sign_derivative(surrogate, x),
    1,
    (-1.0, 1.0),
)

QUANTIZERS = (
    *(_sqa(levels, precision) for levels, precision in ((2, 1), (3, 2), (4, 2), (8, 3))),
    *(_fixed(bits) for bits in (1, 2, 3, 8)),
    *(_dqa(bits) for bits in (1, 2, 3, 4, 8)),
    BINARY,
    BINARY_STOCHASTIC,
    *(_kbit(bits) for bits in (1, 2, 4, 8)),
    *(_dorefa_weights(bits) for bits in (1, 2, 8)),
    *(_dorefa_activations(bits) for bits in (1, 2, 8)),
)

KERNEL_QUANTIZERS = ("binary", "binary_stochastic", "kbit1", "kbit2", "kbit4", "dorefa_weights1", "dorefa_weights2")


class LayerCase(NamedTuple):
    """One layer: how to make it, its weights as shapes on a `[batch, 6, 6, 3]` (or `[batch, 6]`) input, its draws."""

    name: str
    make: Callable
    input_shape: tuple
    weight_shapes: tuple = ()
    is_random: bool = False


IMAGE = (6, 6, 3)
LAYERS = (
    LayerCase("sqa", lambda: layers.SQA(3), IMAGE, is_random=True),
    LayerCase("sqa_axes", lambda: layers.SQA(2, axis=(1, 2), surrogate="ste"), IMAGE, is_random=True),
    LayerCase("sqa_never", lambda: layers.SQA(2, stochastic="never"), IMAGE),
    LayerCase("fixed", lambda: layers.FixedQuantizedActivation(3, surrogate="soft"), IMAGE),
    LayerCase("dqa", lambda: layers.DQA(2), IMAGE, ((4,),)),
    LayerCase("dqa_per_channel", lambda: layers.DQA(3, per_channel=True), IMAGE, ((8, 3),)),
    LayerCase("mc_dropout", lambda: layers.MCDropout(0.5), IMAGE, is_random=True),
    LayerCase("quantized_activation", lambda: layers.QuantizedActivation("dorefa_activations2"), IMAGE),
    LayerCase("quantized_activation_random", lambda: layers.QuantizedActivation("sqa3"), IMAGE, is_random=True),
    LayerCase("quantized_gradient", lambda: layers.QuantizedGradient(6), IMAGE),
    LayerCase("standardize", lambda: layers.Standardize((0.1, 0.2, 0.3), (1.0, 2.0, 3.0)), IMAGE),
    LayerCase("conv", lambda: layers.QuantConv2D(4, 3, kernel_quantizer="binary"), IMAGE, ((3, 3, 3, 4), (4,))),
    LayerCase(
        "conv_stochastic",
        lambda: layers.QuantConv2D(4, 3, kernel_quantizer="binary_stochastic", input_quantizer="sqa2"),
        IMAGE,
        ((3, 3, 3, 4), (4,)),
        is_random=True,
    ),
    LayerCase(
        "depthwise",
        lambda: layers.QuantDepthwiseConv2D(3, depth_multiplier=2, kernel_quantizer="dorefa_weights4"),
        IMAGE,
        ((3, 3, 3, 2), (6,)),
    ),
    LayerCase(
        "separable_stochastic",
        lambda: layers.QuantSeparableConv2D(4, 3, kernel_quantizer="binary_stochastic", use_bias=False),
        IMAGE,
        ((3, 3, 3, 1), (1, 1, 3, 4)),
        is_random=True,
    ),
    LayerCase("dense", lambda: layers.QuantDense(5, kernel_quantizer="kbit2"), (6,), ((6, 5), (5,))),
    LayerCase(
        "dense_stochastic",
        lambda: layers.QuantDense(5, kernel_quantizer="binary_stochastic", use_bias=False),
        (6,),
        ((6, 5),),
        is_random=True,
    ),
)


class ArchitectureCase(NamedTuple):
    """One architecture on 28x28x1 images and 10 classes: parameters of the float network, hidden activations."""

    name: str
    parameters: int
    activations: int


ARCHITECTURES = (
    ArchitectureCase(
        "lenet", (5 * 5 * 1 + 1) * 20 + (5 * 5 * 20 + 1) * 50 + (4 * 4 * 50 + 1) * 500 + (500 + 1) * 10, activations=3
    ),
    ArchitectureCase("mlp", (28 * 28 + 1) * 500 + (500 + 1) * 150 + (150 + 1) * 10, activations=2),
    ArchitectureCase(
        "cnn_small",
        (3 * 3 * 1 + 1) * 16 + (3 * 3 * 16 + 1) * 32 + (3 * 3 * 32 + 1) * 64 + (3 * 3 * 64 + 1) * 128 + (128 + 1) * 10,
        activations=4,
    ),
    ArchitectureCase(
        "cnn_large",
        (3 * 3 * 1 + 1) * 64
        + (3 * 3 * 64 + 1) * 128
        + (3 * 3 * 128 + 1) * 256
        + (3 * 3 * 256 + 1) * 512
        + (512 + 1) * 10,
        activations=4,
    ),
)


class LargeArchitectureCase(NamedTuple):
    """A network for 32x32x3 images: its entry in the registry, hidden activations, hidden layers with weights, and the
    two activations that SQA follows."""

    name: str
    key: str
    activations: int
    hidden: int
    sqa: tuple = ("1", "2")


LARGE_ARCHITECTURES = (
    LargeArchitectureCase("resnet18x2", "resnet<depth>x<filters>", 1 + 8 * 2, 1 + 8 * 2 + 3, ("1", "2_1")),
    LargeArchitectureCase("resnet50x2", "resnet<depth>x<filters>", 1 + 16 * 3, 1 + 16 * 3 + 4, ("1", "2_1")),
    LargeArchitectureCase("resnet20", "resnet<depth>", 1 + 9 * 2, 1 + 9 * 2, ("1", "2_1")),
    LargeArchitectureCase(
        "wide_resnet16_1", "wide_resnet<depth>_<width>", 6 * 2 + 1, 1 + 6 * 2 + 2, ("2_1_a", "2_2_a")
    ),
    LargeArchitectureCase("wide_resnet8_2", "wide_resnet<depth>_<width>", 3 * 2 + 1, 1 + 3 * 2, ("2_1_a", "3_1_a")),
    LargeArchitectureCase("alexnet", "alexnet", 5 + 2, 5 + 2),
    LargeArchitectureCase("vgg16", "vgg16", 13, 13),
    LargeArchitectureCase("convnet", "convnet", 4, 4),
    LargeArchitectureCase("nin", "nin", 8, 8),
    LargeArchitectureCase("conv3", "conv3", 3, 3),
)
TOY_ARCHITECTURES = ("logistic", "mlp_spheres")
POLICIES = ("", "dqa2", "fixed2", "sqa", "bnn")


def named(cases):
    """Arguments of `pytest.mark.parametrize` for a table: its rows, shown by name."""
    return {"argnames": "case", "argvalues": cases, "ids": [case.name for case in cases]}


class AttackCase(NamedTuple):
    """One attack: `make(eps, norm)` builds it; `is_exact` says that it solves a linear victim exactly."""

    name: str
    make: Callable
    norms: tuple = (np.inf, 2)
    is_exact: bool = False


ATTACKS = (
    AttackCase("fgsm", lambda **threat: attacks.FGSM(**threat), is_exact=True),
    AttackCase("pgd", lambda **threat: _pgd(**threat), is_exact=True),
    AttackCase("bim", lambda **threat: attacks.BIM(**threat, eps_iter=threat["eps"] / 4, nb_iter=20), is_exact=True),
    AttackCase("mim", lambda **threat: attacks.MIM(**threat, eps_iter=threat["eps"] / 4, nb_iter=20), is_exact=True),
    AttackCase(
        "cw_linf",
        lambda **threat: attacks.CarliniWagnerLinf(**threat, eps_iter=threat["eps"] / 4, nb_iter=20),
        is_exact=True,
    ),
    AttackCase("apgd", lambda **threat: attacks.APGD(**threat, nb_iter=20)),
    AttackCase("apgd_margin", lambda **threat: attacks.APGD(**threat, nb_iter=20, loss="margin", n_restarts=2)),
    AttackCase("eot", lambda **threat: attacks.EOT(_pgd(**threat), 2), is_exact=True),
    AttackCase("bpda", lambda **threat: attacks.BPDA(_pgd(**threat), "identity"), is_exact=True),
    AttackCase("temperature", lambda **threat: attacks.Temperature(_pgd(**threat)), is_exact=True),
    AttackCase("spsa", lambda **threat: attacks.SPSA(**threat, nb_iter=5, n_samples=16)),
    AttackCase("square", lambda **threat: attacks.Square(**threat, n_queries=300)),
    AttackCase("discrete", lambda **threat: attacks.DiscreteAscent(**threat, bits=8, nb_iter=40), norms=(np.inf,)),
    AttackCase("split", lambda **threat: attacks.Split((_pgd(**threat), _pgd(**threat))), is_exact=True),
    AttackCase("noise", lambda **threat: attacks.UniformNoise(**threat, n_draws=3)),
    AttackCase("offset", lambda **threat: attacks.ConstantOffset(**threat), norms=(np.inf,)),
    AttackCase("transfer", lambda **threat: attacks.Transfer(_pgd(**threat), helpers.linear_model(seed=1))),
)


def _pgd(eps, norm):
    return attacks.PGD(eps=eps, norm=norm, eps_iter=eps / 4, nb_iter=20)
