"""lenet_bnn_mcd.mnist_dropout: LeNet with binary weights and MC dropout 0.5; MNIST, no adversarial training."""

from tfrobust.training import Standard
from tfrobust.zoo.recipe import Recipe, main

RECIPE = Recipe(
    name="lenet_bnn_mcd.mnist_dropout",
    data="mnist",
    defense=Standard(),
    epochs=10,
    transfer_from="lenet.mnist_pgd",
    paper={
        "clean": 97.6,
        "FGSM": 56.2,
        "PGD-40": 9.0,
        "JSMA": 51.4,
        "source": "MC dropout tables 1 and 2, BNN, 50 passes",
    },
)

if __name__ == "__main__":
    main(RECIPE)
