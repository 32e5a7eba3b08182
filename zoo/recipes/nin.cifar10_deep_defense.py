"""nin.cifar10_deep_defense: network in network, fine-tuned on CIFAR-10 with Deep Defense."""

from tfrobust.training import DeepDefense, WeightDecay
from tfrobust.zoo.recipe import Recipe, main

# The settings for an accelerator are a plan: none was at hand yet.
RECIPE = Recipe(
    name="nin.cifar10_deep_defense",
    data="cifar10",
    defense=DeepDefense(right_scale=70.0, defense=WeightDecay(5e-4)),
    epochs=50,
    batch_size=100,
    optimizer="sgd",
    learning_rate=5e-4,
    schedule="halved",
    start="nin.cifar10_clean",
    accelerator={"epochs": 10, "batch_size": 250, "learning_rate": 2.5e-3},
    eps=8 / 255,
    transfer_from="nin.cifar10_clean",
    paper={
        "clean": 89.96,
        "FGSM 0.2 eps_ref": 80.7,
        "FGSM 0.5 eps_ref": 70.73,
        "FGSM 1.0 eps_ref": 50.0,
        "PGD 0.01": 51.07,
        "source": "Deep Defense table 1 and its supplement's table 2, NIN",
    },
)

if __name__ == "__main__":
    main(RECIPE)
