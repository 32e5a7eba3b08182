"""resnet34.cifar10_fgsm: ResNet-34 with ReLU, FGSM training on CIFAR-10, Linf 8/255."""

from tfrobust.attacks import FGSM
from tfrobust.training import AdversarialTraining, WeightDecay
from tfrobust.zoo.recipe import Recipe, main

# Optimizer, rate, decay, epochs and schedule are the paper's; the half of clean images is our reading.
# The settings for an accelerator are a plan: none was at hand yet.
RECIPE = Recipe(
    name="resnet34.cifar10_fgsm",
    data="cifar10",
    defense=WeightDecay(5e-4, defense=AdversarialTraining(FGSM(eps=8 / 255), clean_weight=0.5)),
    epochs=350,
    optimizer="sgd",
    learning_rate=0.1,
    schedule="two_steps",
    accelerator={
        "epochs": 30,
        "batch_size": 256,
        "learning_rate": 0.2,
        "schedule": "one_cycle",
        "crop": 4,
        "flip": True,
        "precision": "mixed_bfloat16",
    },
    eps=8 / 255,
    transfer_from="resnet18.cifar10_pgd",
    paper={
        "clean": 87.07,
        "FGSM 4/255": 46.21,
        "FGSM": 63.47,
        "C&W 4/255": 13.5,
        "C&W 8/255": 8.2,
        "PGD-7": 8.87,
        "source": "SQA table 2, RES34 without SQA",
    },
)

if __name__ == "__main__":
    main(RECIPE)
