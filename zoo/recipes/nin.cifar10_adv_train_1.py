"""nin.cifar10_adv_train_1: network in network, fine-tuned on CIFAR-10 and its DeepFool images."""

from tfrobust.attacks import DeepFool
from tfrobust.training import WeightDecay
from tfrobust.zoo.recipe import Recipe, main

RECIPE = Recipe(
    name="nin.cifar10_adv_train_1",
    data="cifar10",
    defense=WeightDecay(5e-4),
    epochs=50,
    batch_size=100,
    optimizer="sgd",
    learning_rate=5e-4,
    schedule="halved",
    start="nin.cifar10_clean",
    augment=DeepFool(),
    eps=8 / 255,
    transfer_from="nin.cifar10_clean",
    paper={
        "clean": 89.87,
        "FGSM 0.2 eps_ref": 78.87,
        "FGSM 0.5 eps_ref": 58.85,
        "FGSM 1.0 eps_ref": 45.9,
        "PGD 0.01": 45.51,
        "source": "Deep Defense table 1 and its supplement's table 2, NIN, Adv. Train I",
    },
    is_default=False,
)

if __name__ == "__main__":
    main(RECIPE)
