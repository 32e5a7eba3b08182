"""lenet_in1_dqa2.mnist_apgd: LeNet of one-bit images and 2-bit dynamic activations, APGD training; MNIST, Linf 0.3."""

from tfrobust.attacks import APGD, BPDA
from tfrobust.training import AdversarialTraining
from tfrobust.zoo.recipe import Recipe, main

# The attack differentiates by the tempered staircase, and so does the training itself: by DQA's own pseudo-gradient the
# network learns to hide (see LOG.md). One bit per pixel keeps a flat background from sitting on a threshold.
RECIPE = Recipe(
    name="lenet_in1_dqa2.mnist_apgd",
    data="mnist",
    defense=AdversarialTraining(
        BPDA(APGD(eps=0.3, nb_iter=8), "soft"),
        clean_weight=0.2,
        warmup_epochs=1,
        ramp_epochs=2,
    ),
    epochs=14,
    learning_rate=1e-3,
    surrogate="soft",
    transfer_from="lenet.mnist_pgd",
)

if __name__ == "__main__":
    main(RECIPE)
