"""lenet_randbnn.mnist_clean: LeNet with binary weights drawn anew in every pass; MNIST, no adversarial training."""

from tfrobust.training import Standard
from tfrobust.zoo.recipe import Recipe, main

RECIPE = Recipe(
    name="lenet_randbnn.mnist_clean",
    data="mnist",
    defense=Standard(),
    epochs=10,
    learning_rate=4e-3,
    transfer_from="lenet.mnist_pgd",
    paper={
        "clean": 93.6,
        "FGSM": 76.4,
        "PGD-40": 6.6,
        "JSMA": 68.0,
        "source": "MC dropout tables 1 and 2, randomized BNN without dropout, 50 passes",
    },
)

if __name__ == "__main__":
    main(RECIPE)
