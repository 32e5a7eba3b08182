"""Sizes of the networks beyond MNIST: parameters by arithmetic beside the published sums, feature maps, arguments."""

import cases
import numpy as np
import pytest
from helpers import sized

IMAGENET = {"input_shape": (224, 224, 3), "classes": 1000}
ON_EVERY_ARCHITECTURE = pytest.mark.parametrize(**cases.named(cases.LARGE_ARCHITECTURES))


def conv(kernel_size, inputs, filters):
    return kernel_size**2 * inputs * filters


def norm(filters):
    return 2 * filters


def conv_norm(*shape):
    return conv(*shape) + norm(shape[-1])


def basic(inputs, filters, has_projection=True):
    """Parameters of a block of two convolutions."""
    projection = conv_norm(1, inputs, filters) if has_projection and inputs != filters else 0
    return conv_norm(3, inputs, filters) + conv_norm(3, filters, filters) + projection


def bottleneck(inputs, filters):
    projection = conv_norm(1, inputs, 4 * filters) if inputs != 4 * filters else 0
    return (
        conv_norm(1, inputs, filters) + conv_norm(3, filters, filters) + conv_norm(1, filters, 4 * filters) + projection
    )


def wide(inputs, filters, has_projection=True):
    """Parameters of a pre-activated block: its normalizations stand before its convolutions."""
    projection = conv(1, inputs, filters) if has_projection else 0
    return norm(inputs) + conv(3, inputs, filters) + norm(filters) + conv(3, filters, filters) + projection


RESNET18 = (
    2 * basic(64, 64)
    + (basic(64, 128) + basic(128, 128))
    + (basic(128, 256) + basic(256, 256))
    + (basic(256, 512) + basic(512, 512))
)
RESNET34 = RESNET18 + basic(64, 64) + 2 * basic(128, 128) + 4 * basic(256, 256) + basic(512, 512)
RESNET50 = (
    (bottleneck(64, 64) + 2 * bottleneck(256, 64))
    + (bottleneck(256, 128) + 3 * bottleneck(512, 128))
    + (bottleneck(512, 256) + 5 * bottleneck(1024, 256))
    + (bottleneck(1024, 512) + 2 * bottleneck(2048, 512))
)
RESNET101 = RESNET50 + 17 * bottleneck(1024, 256)
SMALL_STEM, LARGE_STEM = conv_norm(3, 3, 64), conv_norm(7, 3, 64)


def resnet_of_cifar(n):
    """Stem and three stages of n blocks with shortcuts that have no weights, and the readout."""
    stages = n * basic(16, 16) + basic(16, 32, False) + basic(32, 64, False)
    return conv_norm(3, 3, 16) + stages + (n - 1) * (basic(32, 32) + basic(64, 64)) + (64 + 1) * 10


def wide_resnet(n, width, has_projection):
    k = 16 * width
    firsts = wide(16, k, has_projection) + wide(k, 2 * k, has_projection) + wide(2 * k, 4 * k, has_projection)
    others = (n - 1) * (wide(k, k, False) + wide(2 * k, 2 * k, False) + wide(4 * k, 4 * k, False))
    return conv(3, 3, 16) + firsts + others + norm(4 * k) + (4 * k + 1) * 10


def alexnet(stem_kernel, side, units):
    convolutions = (stem_kernel**2 * 3 + 1) * 64 + (25 * 64 + 1) * 192 + (9 * 192 + 1) * 384
    convolutions += (9 * 384 + 1) * 256 + (9 * 256 + 1) * 256
    return convolutions + (side**2 * 256 + 1) * units + (units + 1) * units


VGG16 = (
    (conv_norm(3, 3, 64) + conv_norm(3, 64, 64))
    + (conv_norm(3, 64, 128) + conv_norm(3, 128, 128))
    + (conv_norm(3, 128, 256) + 2 * conv_norm(3, 256, 256))
    + (conv_norm(3, 256, 512) + 2 * conv_norm(3, 512, 512))
    + 3 * conv_norm(3, 512, 512)
)
NIN = (
    ((25 * 3 + 1) * 192 + (192 + 1) * 160 + (160 + 1) * 96)
    + ((25 * 96 + 1) * 192 + 2 * (192 + 1) * 192)
    + ((9 * 192 + 1) * 192 + (192 + 1) * 192 + (192 + 1) * 10)
)
CONVNET = (25 * 3 + 1) * 32 + (25 * 32 + 1) * 32 + (25 * 32 + 1) * 64 + (16 * 64 + 1) * 64 + (64 + 1) * 10
CONV3 = (64 * 3 + 1) * 64 + (36 * 64 + 1) * 128 + (25 * 128 + 1) * 128

SIZES = [  # network, arguments, arithmetic, the sum (published for the residual networks and for AlexNet)
    ("resnet18", {}, SMALL_STEM + RESNET18 + (512 + 1) * 10, 11_173_962),
    ("resnet34", {}, SMALL_STEM + RESNET34 + (512 + 1) * 10, 21_282_122),
    ("resnet50", {}, SMALL_STEM + RESNET50 + (2048 + 1) * 10, 23_520_842),
    ("resnet101", {}, SMALL_STEM + RESNET101 + (2048 + 1) * 10, 42_512_970),
    ("resnet18", IMAGENET, LARGE_STEM + RESNET18 + (512 + 1) * 1000, 11_689_512),
    ("resnet20", {}, resnet_of_cifar(3), 269_722),
    ("resnet56", {}, resnet_of_cifar(9), 853_018),
    ("wide_resnet28_10", {}, wide_resnet(4, 10, True), 36_479_194),
    ("wide_resnet34_10", {}, wide_resnet(5, 10, True), 46_160_474),
    ("wide_resnet32_10", {}, wide_resnet(5, 10, False), 45_901_914),
    ("alexnet", IMAGENET, alexnet(11, 6, 4096) + (4096 + 1) * 1000, 61_100_840),
    ("alexnet", {}, alexnet(3, 4, 1024) + (1024 + 1) * 10, 7_703_370),
    ("vgg16", IMAGENET, VGG16 + (7 * 7 * 512 + 1) * 4096 + (4096 + 1) * 4096 + (4096 + 1) * 1000, 138_361_768),
    ("vgg16", {}, VGG16 + (512 + 1) * 10, 14_724_042),
    ("nin", {}, NIN, 966_986),
    ("convnet", {}, CONVNET, 145_578),
    ("conv3", {}, CONV3 + (7 * 7 * 128 + 1) * 10, 779_850),
    ("conv3", {"input_shape": (28, 28, 1)}, CONV3 - 64 * 2 * 64 + (5 * 5 * 128 + 1) * 10, 740_938),
]


@pytest.mark.parametrize(("name", "arguments", "arithmetic", "total"), SIZES)
def test_network_has_the_published_number_of_parameters(name, arguments, arithmetic, total):
    model = sized(name, **arguments)
    assert sum(np.prod(weight.shape) for weight in model.trainable_weights) == arithmetic == total
    assert model.name == name and model.output_shape == (None, arguments.get("classes", 10))


@pytest.mark.parametrize(
    ("name", "side", "feature_map"),
    [
        ("resnet18x2", 32, (4, 4, 16)),
        ("resnet18x2", 64, (8, 8, 16)),
        ("resnet18x2", 224, (7, 7, 16)),
        ("resnet20", 32, (8, 8, 64)),
        ("wide_resnet10_1", 32, (8, 8, 64)),
        ("wide_resnet10_1", 224, (14, 14, 64)),
        ("nin", 32, (8, 8, 192)),
    ],
)
def test_large_images_get_a_stem_that_quarters_their_sides(name, side, feature_map):
    mean = sized(name, input_shape=(side, side, 3)).get_layer("mean")
    assert mean.input.shape == (None, *feature_map)


@ON_EVERY_ARCHITECTURE
def test_input_shape_and_classes_are_arguments(case):
    model = sized(f"{case.name}_dqa1", input_shape=(36, 36, 1), classes=7)
    assert model.input_shape == (None, 36, 36, 1) and model.output_shape == (None, 7)
