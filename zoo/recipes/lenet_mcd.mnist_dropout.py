"""lenet_mcd.mnist_dropout: LeNet with MC dropout 0.5; MNIST, no adversarial training."""

from tfrobust.training import Standard
from tfrobust.zoo.recipe import Recipe, main

RECIPE = Recipe(
    name="lenet_mcd.mnist_dropout",
    data="mnist",
    defense=Standard(),
    epochs=10,
    transfer_from="lenet.mnist_pgd",
    paper={
        "clean": 99.4,
        "FGSM": 45.0,
        "PGD-40": 0.6,
        "JSMA": 35.2,
        "source": "MC dropout tables 1 and 2, full precision, 50 passes",
    },
)

if __name__ == "__main__":
    main(RECIPE)
