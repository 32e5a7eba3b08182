"""nin.cifar10_clean: network in network, trained on clean CIFAR-10; the reference that Deep Defense starts from."""

from tfrobust.training import Standard, WeightDecay
from tfrobust.zoo.recipe import Recipe, main

# Momentum and decay are the paper's; rate, epochs and crops are our reading.
# The settings for an accelerator are a plan: none was at hand yet.
RECIPE = Recipe(
    name="nin.cifar10_clean",
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
        "clean": 89.64,
        "FGSM 0.2 eps_ref": 75.61,
        "FGSM 0.5 eps_ref": 49.22,
        "FGSM 1.0 eps_ref": 33.56,
        "PGD 0.01": 34.41,
        "source": "Deep Defense table 1 and its supplement's table 2, NIN, reference",
    },
    is_default=False,
)

if __name__ == "__main__":
    main(RECIPE)
