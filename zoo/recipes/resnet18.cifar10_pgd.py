"""resnet18.cifar10_pgd: ResNet-18 with ReLU, PGD training on CIFAR-10, Linf 8/255."""

from tfrobust.attacks import PGD
from tfrobust.training import AdversarialTraining, WeightDecay
from tfrobust.zoo.recipe import Recipe, main

# The paper gives attack, steps, and clean epochs first; optimizer, rate, decay, epochs and
# augmentation are our reading. The settings for an accelerator are a plan: none was at hand yet.
RECIPE = Recipe(
    name="resnet18.cifar10_pgd",
    data="cifar10",
    defense=WeightDecay(
        5e-4,
        defense=AdversarialTraining(
            PGD(eps=8 / 255, eps_iter=2 / 255, nb_iter=7),
            clean_weight=0.5,
            warmup_epochs=5,
            ramp_epochs=5,
        ),
    ),
    epochs=60,
    optimizer="sgd",
    learning_rate=0.1,
    crop=4,
    flip=True,
    accelerator={"epochs": 30, "batch_size": 256, "learning_rate": 0.2, "precision": "mixed_bfloat16"},
    eps=8 / 255,
    paper={
        "clean": 87.59,
        "PGD-7": 48.7,
        "FGSM": 58.16,
        "source": "DQA table 2, full precision",
    },
    is_default=False,
)

if __name__ == "__main__":
    main(RECIPE)
