"""convnet.cifar10_deep_defense: ConvNet, fine-tuned on CIFAR-10 with Deep Defense."""

from tfrobust.training import DeepDefense, WeightDecay
from tfrobust.zoo.recipe import Recipe, main

# The settings for an accelerator are a plan: none was at hand yet.
RECIPE = Recipe(
    name="convnet.cifar10_deep_defense",
    data="cifar10",
    defense=DeepDefense(defense=WeightDecay(5e-4)),
    epochs=50,
    batch_size=100,
    optimizer="sgd",
    learning_rate=5e-4,
    schedule="halved",
    start="convnet.cifar10_clean",
    accelerator={"epochs": 10, "batch_size": 250, "learning_rate": 2.5e-3},
    eps=8 / 255,
    transfer_from="convnet.cifar10_clean",
    paper={
        "clean": 81.7,
        "FGSM 0.2 eps_ref": 72.15,
        "FGSM 0.5 eps_ref": 59.02,
        "FGSM 1.0 eps_ref": 50.0,
        "PGD 0.01": 45.05,
        "source": "Deep Defense table 1 and its supplement's table 2, ConvNet",
    },
)

if __name__ == "__main__":
    main(RECIPE)
