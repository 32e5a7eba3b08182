"""cnn_large.mnist_fgsm: the SQA paper's LARGE network without SQA, trained on FGSM examples; MNIST, Linf 0.3."""

from tfrobust.attacks import FGSM
from tfrobust.training import AdversarialTraining
from tfrobust.zoo.recipe import Recipe, main

RECIPE = Recipe(
    name="cnn_large.mnist_fgsm",
    data="mnist",
    defense=AdversarialTraining(FGSM(eps=0.3), clean_weight=0.3, ramp_epochs=2),
    epochs=5,
    transfer_from="lenet.mnist_pgd",
    paper={
        "clean": 99.25,
        "FGSM": 98.21,
        "source": "SQA table 1, LARGE without SQA (its PGD figure, 0.86, is at eps 0.2)",
    },
)

if __name__ == "__main__":
    main(RECIPE)
