"""lenet_randbnn_mcd5.mnist_dropout: LeNet of redrawn binary weights and MC dropout 0.05; clean MNIST."""

from tfrobust.training import Standard
from tfrobust.zoo.recipe import Recipe, main

RECIPE = Recipe(
    name="lenet_randbnn_mcd5.mnist_dropout",
    data="mnist",
    defense=Standard(),
    epochs=15,
    learning_rate=4e-3,
    transfer_from="lenet.mnist_pgd",
    paper={
        "clean": 83.2,
        "FGSM": 58.8,
        "PGD-40": 5.2,
        "JSMA": 11.4,
        "source": "MC dropout tables 1 and 2, randomized BNN with dropout 0.05, 50 passes",
    },
)

if __name__ == "__main__":
    main(RECIPE)
