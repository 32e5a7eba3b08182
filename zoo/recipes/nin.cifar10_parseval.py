"""nin.cifar10_parseval: network in network, fine-tuned on CIFAR-10 with Parseval's projection after each step."""

from tfrobust.training import Parseval, WeightDecay
from tfrobust.zoo.recipe import Recipe, main

RECIPE = Recipe(
    name="nin.cifar10_parseval",
    data="cifar10",
    defense=Parseval(3e-4, defense=WeightDecay(5e-4)),
    epochs=50,
    batch_size=100,
    optimizer="sgd",
    learning_rate=5e-4,
    schedule="halved",
    start="nin.cifar10_clean",
    eps=8 / 255,
    transfer_from="nin.cifar10_clean",
    paper={
        "clean": 88.2,
        "FGSM 0.2 eps_ref": 75.39,
        "FGSM 0.5 eps_ref": 49.75,
        "FGSM 1.0 eps_ref": 17.74,
        "PGD 0.01": 36.59,
        "source": "Deep Defense table 1 and its supplement's table 2, NIN, Parseval training",
    },
    is_default=False,
)

if __name__ == "__main__":
    main(RECIPE)
