"""lenet.mnist_adv_train_1: LeNet, fine-tuned on MNIST and its DeepFool images."""

from tfrobust.attacks import DeepFool
from tfrobust.training import WeightDecay
from tfrobust.zoo.recipe import Recipe, main

RECIPE = Recipe(
    name="lenet.mnist_adv_train_1",
    data="mnist",
    defense=WeightDecay(5e-4),
    epochs=5,
    batch_size=100,
    optimizer="sgd",
    learning_rate=5e-4,
    schedule="halved",
    start="lenet.mnist_clean",
    augment=DeepFool(),
    eps=0.1,
    transfer_from="lenet.mnist_clean",
    paper={"clean": 99.18, "source": "Deep Defense table 1, LeNet, Adv. Train I"},
    is_default=False,
)

if __name__ == "__main__":
    main(RECIPE)
