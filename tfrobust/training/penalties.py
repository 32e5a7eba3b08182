"""What is added to another defense: decay of the weights, orthogonal kernels, and Parseval's projection."""

import dataclasses

from keras import ops

from tfrobust import checks
from tfrobust.training.defenses import AbstractAddition
from tfrobust.training.step import stateless_uniform


def with_kernels(model, names=None):
    """The layers of `model` that have a kernel; with `names`, exactly those.

    Raises:
        ValueError: a name that no layer with a kernel bears.
    """
    found = {layer.name: layer for layer in model.layers if getattr(layer, "kernel", None) is not None}
    if names is None:
        return list(found.values())
    return [found[checks.one_of(name, "layer", found)] for name in names]


def as_matrix(kernel):
    """A kernel as a matrix with one row per unit or filter, `[outputs, inputs]`, times the root of its receptive field.

    Each input of a convolution meets as many positions of the kernel as its receptive field has: hence the root, as in
    Parseval networks.
    """
    field = 1
    for side in kernel.shape[:-2]:
        field *= side
    return ops.transpose(ops.reshape(kernel, (-1, kernel.shape[-1]))) * field**0.5


def run_kernel(layer):
    """The kernel that a layer runs: quantized if the layer quantizes it."""
    quantizer = getattr(layer, "kernel_quantizer", None)
    return ops.convert_to_tensor(layer.kernel) if quantizer is None else layer.quantized(quantizer, layer.kernel)


@dataclasses.dataclass(frozen=True)
class WeightDecay(AbstractAddition):
    """Adds a penalty on the size of the kernels.

    Formula: `L + 1/2 sum_l rate_l ||W_l||^2`, W_l the float kernels.

    Args:
        rate: one number for every layer with a kernel, or `((name, number), …)` for some of them; at least 0.
        defense: the defense that it is added to.

    Raises:
        ValueError: a rate below 0; in training, a layer that the model does not have.

    Example:
        >>> WeightDecay((("conv_1", 0.05), ("logits", 0.05))).rate[0]
        ('conv_1', 0.05)

    Reference:
        A. Galloway, G. W. Taylor, M. Moussa, "Predicting Adversarial Examples with High Confidence", arXiv 2018, which
        decays the first and the last layer strongly (0.05).
    """

    rate: float | tuple

    def __post_init__(self):
        for rate in dict(self.rate).values() if isinstance(self.rate, tuple) else [self.rate]:
            checks.eps(rate, "rate")

    def objective(self, model, examples):
        loss, logits = super().objective(model, examples)
        if isinstance(self.rate, tuple):
            rates = list(zip(with_kernels(model, dict(self.rate)), dict(self.rate).values(), strict=True))
        else:
            rates = [(layer, self.rate) for layer in with_kernels(model)]
        return loss + sum(0.5 * rate * ops.sum(ops.square(layer.kernel)) for layer, rate in rates), logits


@dataclasses.dataclass(frozen=True)
class Orthogonality(AbstractAddition):
    """Adds a penalty that keeps each layer from amplifying noise (its Lipschitz constant near 1).

    Formula: `L + weight/2 sum_l ||W_l W_l' - I||^2`, W_l the kernel that runs, as a matrix with its shorter side first.

    Args:
        weight: at least 0.
        defense: the defense that it is added to.

    Raises:
        ValueError: `weight` below 0.

    Example:
        >>> Orthogonality(2e-4).weight
        0.0002

    Reference:
        J. Lin, C. Gan, S. Han, "Defensive Quantization: When Efficiency Meets Robustness", ICLR 2019.
    """

    weight: float

    def __post_init__(self):
        checks.eps(self.weight, "weight")

    def objective(self, model, examples):
        loss, logits = super().objective(model, examples)
        apart = sum(_not_orthogonal(as_matrix(run_kernel(layer))) for layer in with_kernels(model))
        return loss + 0.5 * self.weight * apart, logits


def _not_orthogonal(matrix):
    """`||W W' - I||^2` over the shorter side, along which alone a matrix can be orthogonal."""
    if matrix.shape[0] > matrix.shape[1]:
        matrix = ops.transpose(matrix)
    return ops.sum(ops.square(matrix @ ops.transpose(matrix) - ops.eye(matrix.shape[0])))


@dataclasses.dataclass(frozen=True)
class Parseval(AbstractAddition):
    """After each step, pulls some rows of every kernel towards a tight frame.

    Formula: `W <- (1 + beta) W - beta W W' W`, W a drawn share of the rows (units, filters) of a kernel as a matrix; a
    convolution's is scaled by the root of its receptive field first. Repeated, `W W'` goes to the identity.

    Args:
        beta: size of the pull, at least 0; the paper takes 1e-4 for MNIST and 3e-4 for CIFAR-10.
        share: of the rows, drawn anew in each step, in (0, 1].
        seed: seed of the drawing.
        defense: the defense that it is added to.

    Raises:
        ValueError: an argument outside its range.

    Example:
        >>> Parseval(1e-4).share
        0.3

    Reference:
        M. Cisse et al., "Parseval Networks: Improving Robustness to Adversarial Examples", ICML 2017; settings of
        Z. Yan, Y. Guo, C. Zhang, "Deep Defense", NeurIPS 2018.
    """

    beta: float
    share: float = 0.3
    seed: int = 0

    def __post_init__(self):
        checks.eps(self.beta, "beta")
        checks.require(0 < self.share <= 1, "share must lie in (0, 1].", share=self.share)

    def after_step(self, model, step):
        super().after_step(model, step)
        for position, layer in enumerate(with_kernels(model)):
            layer.kernel.assign(self._pulled(layer.kernel, step, position))

    def _pulled(self, kernel, step, position):
        matrix = as_matrix(kernel)
        scale = (matrix.shape[1] / kernel.shape[-2]) ** 0.5  # root of the receptive field
        n = max(1, round(self.share * matrix.shape[0]))
        rows = ops.argsort(stateless_uniform((matrix.shape[0],), (step, 1000 * self.seed + position)))[:n]
        drawn = ops.take(matrix, rows, axis=0)
        pulled = (1 + self.beta) * drawn - self.beta * drawn @ ops.transpose(drawn) @ drawn
        matrix = ops.scatter_update(matrix, rows[:, None], pulled) / scale
        return ops.reshape(ops.transpose(matrix), kernel.shape)
