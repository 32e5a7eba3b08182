"""lenet_dqa1.mnist_pgd: LeNet with 1-bit dynamic quantized activations, PGD training on MNIST, Linf 0.3."""

from tfrobust.attacks import PGD
from tfrobust.training import AdversarialTraining
from tfrobust.zoo.recipe import Recipe, main

RECIPE = Recipe(
    name="lenet_dqa1.mnist_pgd",
    data="mnist",
    defense=AdversarialTraining(
        PGD(eps=0.3, eps_iter=0.075, nb_iter=7),
        clean_weight=0.5,
        warmup_epochs=1,
        ramp_epochs=2,
    ),
    epochs=4,
    learning_rate=1e-3,
    transfer_from="lenet.mnist_pgd",
    paper={"clean": 98.53, "PGD-40": 98.53, "FGSM": 97.44, "source": "DQA table 1, 1-bit dynamic"},
)

if __name__ == "__main__":
    main(RECIPE)
