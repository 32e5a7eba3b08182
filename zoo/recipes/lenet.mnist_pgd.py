"""lenet.mnist_pgd: LeNet with ReLU, PGD adversarial training on MNIST, Linf 0.3."""

from tfrobust.attacks import PGD
from tfrobust.training import AdversarialTraining
from tfrobust.zoo.recipe import Recipe, main

RECIPE = Recipe(
    name="lenet.mnist_pgd",
    data="mnist",
    defense=AdversarialTraining(
        PGD(eps=0.3, eps_iter=0.06, nb_iter=10),
        clean_weight=0.1,
        ramp_epochs=4,
    ),
    epochs=18,
    learning_rate=2e-3,
    transfer_from="lenet_dqa2.mnist_pgd",
    paper={"clean": 99.24, "PGD-40": 94.04, "FGSM": 97.1, "source": "DQA table 1, full precision"},
)

if __name__ == "__main__":
    main(RECIPE)
