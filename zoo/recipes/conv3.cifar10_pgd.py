"""conv3.cifar10_pgd: three large convolutions with weight decay, PGD training on CIFAR-10."""

from tfrobust.attacks import PGD
from tfrobust.training import AdversarialTraining, WeightDecay
from tfrobust.zoo.recipe import Recipe, main

# The paper's 0.3 is in the unit of standardised images (our reading: 56 % clean are out of reach at 0.3 of a pixel).
EPS = 0.3 * 0.25

RECIPE = Recipe(
    name="conv3.cifar10_pgd",
    data="cifar10",
    defense=WeightDecay(
        (("conv_1", 0.05), ("logits", 0.05)),
        defense=AdversarialTraining(PGD(eps=EPS, eps_iter=EPS / 10, nb_iter=20), ramp_epochs=5),
    ),
    epochs=40,
    eps=8 / 255,
    transfer_from="resnet18.cifar10_pgd",
    paper={
        "clean": 56.0,
        "PGD-50": 40.3,
        "source": "LPR figure 8 (72 % of 56 % stand under PGD-50 at 8/255)",
    },
)

if __name__ == "__main__":
    main(RECIPE)
