"""lenet_w2_mcd.mnist_dropout: LeNet with 2-bit weights and MC dropout 0.5; MNIST, no adversarial training."""

from tfrobust.training import Standard
from tfrobust.zoo.recipe import Recipe, main

RECIPE = Recipe(
    name="lenet_w2_mcd.mnist_dropout",
    data="mnist",
    defense=Standard(),
    epochs=10,
    learning_rate=4e-3,
    transfer_from="lenet.mnist_pgd",
    paper={
        "clean": 99.2,
        "FGSM": 70.2,
        "PGD-40": 1.6,
        "JSMA": 35.8,
        "source": "MC dropout tables 1 and 2, 2-bit, 50 passes",
    },
)

if __name__ == "__main__":
    main(RECIPE)
