"""resnet101.cifar10_fgsm: ResNet-101 with ReLU, FGSM training on CIFAR-10, Linf 8/255."""

from tfrobust.attacks import FGSM
from tfrobust.training import AdversarialTraining, WeightDecay
from tfrobust.zoo.recipe import Recipe, main

# Optimizer, rate, decay, epochs and schedule are the paper's; the half of clean images is our reading.
RECIPE = Recipe(
    name="resnet101.cifar10_fgsm",
    data="cifar10",
    defense=WeightDecay(5e-4, defense=AdversarialTraining(FGSM(eps=8 / 255), clean_weight=0.5)),
    epochs=350,
    optimizer="sgd",
    learning_rate=0.1,
    schedule="two_steps",
    eps=8 / 255,
    transfer_from="resnet18.cifar10_pgd",
    paper={
        "clean": 87.67,
        "FGSM 4/255": 52.44,
        "FGSM": 78.59,
        "C&W 4/255": 12.17,
        "C&W 8/255": 8.09,
        "PGD-7": 7.52,
        "source": "SQA table 2, RES101 without SQA",
    },
)

if __name__ == "__main__":
    main(RECIPE)
