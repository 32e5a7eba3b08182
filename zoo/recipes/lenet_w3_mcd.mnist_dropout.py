"""lenet_w3_mcd.mnist_dropout: LeNet with 3-bit weights and MC dropout 0.5; MNIST, no adversarial training."""

from tfrobust.training import Standard
from tfrobust.zoo.recipe import Recipe, main

RECIPE = Recipe(
    name="lenet_w3_mcd.mnist_dropout",
    data="mnist",
    defense=Standard(),
    epochs=10,
    learning_rate=2e-3,
    transfer_from="lenet.mnist_pgd",
    paper={
        "clean": 99.2,
        "FGSM": 55.0,
        "PGD-40": 0.8,
        "JSMA": 44.2,
        "source": "MC dropout tables 1 and 2, 3-bit, 50 passes",
    },
)

if __name__ == "__main__":
    main(RECIPE)
