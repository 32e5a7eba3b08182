"""lenet_w4_mcd.mnist_dropout: LeNet with 4-bit weights and MC dropout 0.5; MNIST, no adversarial training."""

from tfrobust.training import Standard
from tfrobust.zoo.recipe import Recipe, main

RECIPE = Recipe(
    name="lenet_w4_mcd.mnist_dropout",
    data="mnist",
    defense=Standard(),
    epochs=10,
    transfer_from="lenet.mnist_pgd",
    paper={
        "clean": 99.0,
        "FGSM": 51.6,
        "PGD-40": 3.4,
        "JSMA": 21.4,
        "source": "MC dropout tables 1 and 2, 4-bit, 50 passes",
    },
)

if __name__ == "__main__":
    main(RECIPE)
