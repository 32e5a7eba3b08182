"""convnet.cifar10_clean: ConvNet, trained on clean CIFAR-10; the reference that Deep Defense starts from."""

from tfrobust.training import Standard, WeightDecay
from tfrobust.zoo.recipe import Recipe, main

# Momentum and decay are the paper's; rate, epochs and crops are our reading.
# The settings for an accelerator are a plan: none was at hand yet.
RECIPE = Recipe(
    name="convnet.cifar10_clean",
    data="cifar10",
    defense=WeightDecay(5e-4, defense=Standard()),
    epochs=100,
    batch_size=100,
    optimizer="sgd",
    learning_rate=0.01,
    crop=4,
    accelerator={"epochs": 60, "batch_size": 250, "learning_rate": 0.025, "precision": "mixed_bfloat16"},
    eps=8 / 255,
    paper={
        "clean": 79.74,
        "FGSM 0.2 eps_ref": 61.62,
        "FGSM 0.5 eps_ref": 37.84,
        "FGSM 1.0 eps_ref": 23.85,
        "PGD 0.01": 21.34,
        "source": "Deep Defense table 1 and its supplement's table 2, ConvNet, reference",
    },
    is_default=False,
)

if __name__ == "__main__":
    main(RECIPE)
