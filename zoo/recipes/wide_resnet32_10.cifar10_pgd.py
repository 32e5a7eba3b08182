"""wide_resnet32_10.cifar10_pgd: Madry et al.'s network with ReLU, PGD training on CIFAR-10, Linf 8/255."""

from tfrobust.attacks import PGD
from tfrobust.training import AdversarialTraining, WeightDecay
from tfrobust.zoo.recipe import Recipe, main

# Decay and rate are those of Madry et al.; their 80,000 steps of 128 images are about 200 epochs.
RECIPE = Recipe(
    name="wide_resnet32_10.cifar10_pgd",
    data="cifar10",
    defense=WeightDecay(2e-4, defense=AdversarialTraining(PGD(eps=8 / 255, eps_iter=2 / 255, nb_iter=7))),
    epochs=200,
    optimizer="sgd",
    learning_rate=0.1,
    schedule="step",
    crop=4,
    eps=8 / 255,
    transfer_from="resnet18.cifar10_pgd",
    paper={
        "clean": 87.3,
        "PGD-7": 50.0,
        "FGSM": 56.1,
        "C&W 8/255": 46.8,
        "source": "DQA table 4 and SQA table 3, Madry et al.",
    },
)

if __name__ == "__main__":
    main(RECIPE)
