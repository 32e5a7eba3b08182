"""cnn_small.mnist_fgsm: the SQA paper's SMALL network without SQA, trained on FGSM examples; MNIST, Linf 0.3."""

from tfrobust.attacks import FGSM
from tfrobust.training import AdversarialTraining
from tfrobust.zoo.recipe import Recipe, main

RECIPE = Recipe(
    name="cnn_small.mnist_fgsm",
    data="mnist",
    defense=AdversarialTraining(FGSM(eps=0.3), clean_weight=0.3, ramp_epochs=2),
    epochs=10,
    transfer_from="lenet.mnist_pgd",
    paper={
        "clean": 99.40,
        "FGSM": 98.86,
        "source": "SQA table 1, SMALL without SQA (its PGD figure, 0.50, is at eps 0.2)",
    },
)

if __name__ == "__main__":
    main(RECIPE)
