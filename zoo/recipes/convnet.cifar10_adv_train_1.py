"""convnet.cifar10_adv_train_1: ConvNet, fine-tuned on CIFAR-10 and its DeepFool images."""

from tfrobust.attacks import DeepFool
from tfrobust.training import WeightDecay
from tfrobust.zoo.recipe import Recipe, main

RECIPE = Recipe(
    name="convnet.cifar10_adv_train_1",
    data="cifar10",
    defense=WeightDecay(5e-4),
    epochs=50,
    batch_size=100,
    optimizer="sgd",
    learning_rate=5e-4,
    schedule="halved",
    start="convnet.cifar10_clean",
    augment=DeepFool(),
    eps=8 / 255,
    transfer_from="convnet.cifar10_clean",
    paper={
        "clean": 80.65,
        "FGSM 0.2 eps_ref": 65.16,
        "FGSM 0.5 eps_ref": 45.03,
        "FGSM 1.0 eps_ref": 35.53,
        "PGD 0.01": 27.08,
        "source": "Deep Defense table 1 and its supplement's table 2, ConvNet, Adv. Train I",
    },
    is_default=False,
)

if __name__ == "__main__":
    main(RECIPE)
