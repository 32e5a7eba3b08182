"""resnet101_sqa.cifar10_fgsm: ResNet-101 with SQA, FGSM training on CIFAR-10, Linf 8/255."""

from tfrobust.attacks import FGSM
from tfrobust.training import AdversarialTraining, WeightDecay
from tfrobust.zoo.recipe import Recipe, main

# Optimizer, rate, decay, epochs and schedule are the paper's; the half of clean images is our reading.
RECIPE = Recipe(
    name="resnet101_sqa.cifar10_fgsm",
    data="cifar10",
    defense=WeightDecay(5e-4, defense=AdversarialTraining(FGSM(eps=8 / 255, eot=1), clean_weight=0.5)),
    epochs=350,
    optimizer="sgd",
    learning_rate=0.1,
    schedule="two_steps",
    eps=8 / 255,
    transfer_from="resnet18.cifar10_pgd",
    n=1000,
    n_costly=128,
    paper={
        "clean": 82.94,
        "FGSM 4/255": 73.3,
        "FGSM": 56.54,
        "C&W 4/255": 68.4,
        "C&W 8/255": 41.52,
        "PGD-7": 52.12,
        "source": "SQA table 2, RES101 with SQA",
    },
)

if __name__ == "__main__":
    main(RECIPE)
