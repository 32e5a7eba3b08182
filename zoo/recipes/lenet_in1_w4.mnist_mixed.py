"""lenet_in1_w4.mnist_mixed: LeNet of one-bit images and 4-bit weights, trained on three attacks; MNIST, Linf 0.3."""

from tfrobust.attacks import APGD, DiscreteAscent, Split
from tfrobust.training import AdversarialTraining
from tfrobust.zoo.recipe import Recipe, main

STEPS = {"eps": 0.3, "nb_iter": 10}
RECIPE = Recipe(
    name="lenet_in1_w4.mnist_mixed",
    data="mnist",
    defense=AdversarialTraining(
        Split((DiscreteAscent(**STEPS), DiscreteAscent(**STEPS, rand_init=True), APGD(**STEPS))),
        clean_weight=0.2,
        warmup_epochs=1,
        ramp_epochs=2,
    ),
    epochs=14,
    learning_rate=1e-3,
    ema=0.999,
    crop=2,
    transfer_from="lenet.mnist_pgd",
    n_costly=1000,
)

if __name__ == "__main__":
    main(RECIPE)
