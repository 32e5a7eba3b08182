"""cnn_small_sqa.mnist_fgsm: the SQA paper's SMALL network, trained on FGSM examples; MNIST, Linf 0.3."""

from tfrobust.attacks import FGSM
from tfrobust.training import AdversarialTraining
from tfrobust.zoo.recipe import Recipe, main

RECIPE = Recipe(
    name="cnn_small_sqa.mnist_fgsm",
    data="mnist",
    defense=AdversarialTraining(FGSM(eps=0.3, eot=1), clean_weight=0.3, ramp_epochs=2),
    epochs=10,
    transfer_from="lenet.mnist_pgd",
    paper={
        "clean": 96.61,
        "FGSM": 82.67,
        "source": "SQA table 1, SMALL with SQA (its PGD figure, 7.43, is at eps 0.2)",
    },
)

if __name__ == "__main__":
    main(RECIPE)
