"""Deep Defense: the distance to the nearest decision boundary, trained to be large."""

import dataclasses

from keras import ops

from tfrobust import checks
from tfrobust.training import perturbation
from tfrobust.training.defenses import AbstractAddition
from tfrobust.training.penalties import with_kernels

FARTHEST = 1.0  # a perturbation as large as the image says no more, and exp(wrong_scale r) would run away


@dataclasses.dataclass(frozen=True)
class DeepDefense(AbstractAddition):
    """Adds a penalty on images that a small perturbation changes; made to fine-tune a trained network.

    Formula: `L + weight sum_i w_i R_i`, w_i the weights of the examples; `R = exp(-right_scale r)` where the model is
    right, `exp(wrong_scale r)` where it is wrong; `r = ||D||_2 / ||x||_2`, at most 1, with D the DeepFool perturbation,
    which leads wrong images to their label. D is differentiated, too.

    Args:
        weight: at least 0.
        right_scale: the larger, the more only images near a boundary count.
        wrong_scale: pull on images that the model gets wrong.
        max_iter: most DeepFool steps.
        overshoot: share of the perturbation by which the boundary is overstepped, at least 0.
        n_candidates: classes that DeepFool considers, the likeliest and the label included; at least 2.
        layers: names of the layers with a kernel that the penalty moves; None is all. The rest of the loss moves all.
        defense: the defense that it is added to.

    Raises:
        ValueError: an argument outside its range; in training, a layer that the model does not have.

    Example:
        >>> from tfrobust.attacks import FGSM
        >>> from tfrobust.training import AdversarialTraining
        >>> DeepDefense(defense=AdversarialTraining(FGSM(eps=0.1), clean_weight=0.5)).weight
        15.0

    Reference:
        Z. Yan, Y. Guo, C. Zhang, "Deep Defense: Training DNNs with Improved Adversarial Robustness", NeurIPS 2018.
    """

    weight: float = 15.0
    right_scale: float = dataclasses.field(default=25.0, kw_only=True)
    wrong_scale: float = dataclasses.field(default=5.0, kw_only=True)
    max_iter: int = dataclasses.field(default=5, kw_only=True)
    overshoot: float = dataclasses.field(default=0.02, kw_only=True)
    n_candidates: int = dataclasses.field(default=10, kw_only=True)
    layers: tuple | None = dataclasses.field(default=None, kw_only=True)

    def __post_init__(self):
        for name in ("weight", "right_scale", "wrong_scale", "overshoot"):
            checks.eps(getattr(self, name), name)
        checks.count(self.max_iter, "max_iter")
        checks.count(self.n_candidates, "n_candidates", least=2)

    def objective(self, model, examples):
        loss, logits = super().objective(model, examples)
        if self.layers is None:
            return loss + self.weight * self.penalty(model, examples), logits
        weights = [weight for layer in with_kernels(model, self.layers) for weight in layer.trainable_variables]
        penalty, gradients = perturbation.value_and_gradients(model, lambda: self.penalty(model, examples), weights)
        return loss + self.weight * _moving(weights, penalty, gradients), logits

    def penalty(self, model, examples):
        """`sum_i w_i R_i`."""
        x, y = map(ops.convert_to_tensor, examples[:2])
        delta, right = perturbation.deepfool(model, x, y, self.max_iter, self.overshoot, self.n_candidates)
        r = ops.minimum(perturbation.l2(delta) / perturbation.l2(x), FARTHEST)
        risks = ops.where(right, ops.exp(-self.right_scale * r), ops.exp(self.wrong_scale * r))
        return ops.sum(examples.weights * risks)


def _moving(weights, value, gradients):
    """A tensor equal to `value` whose gradients are `gradients` for `weights` and nothing for all others."""
    pairs = zip(weights, gradients, strict=True)
    zeros = [ops.sum(ops.stop_gradient(gradient) * (w - ops.stop_gradient(w))) for w, gradient in pairs]
    return ops.stop_gradient(value) + sum(zeros)
