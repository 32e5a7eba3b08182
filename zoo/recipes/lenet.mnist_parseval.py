"""lenet.mnist_parseval: LeNet, fine-tuned on MNIST with Parseval's projection after each step."""

from tfrobust.training import Parseval, WeightDecay
from tfrobust.zoo.recipe import Recipe, main

RECIPE = Recipe(
    name="lenet.mnist_parseval",
    data="mnist",
    defense=Parseval(1e-4, defense=WeightDecay(5e-4)),
    epochs=5,
    batch_size=100,
    optimizer="sgd",
    learning_rate=5e-4,
    schedule="halved",
    start="lenet.mnist_clean",
    eps=0.1,
    transfer_from="lenet.mnist_clean",
    paper={"clean": 99.10, "source": "Deep Defense table 1, LeNet, Parseval training"},
    is_default=False,
)

if __name__ == "__main__":
    main(RECIPE)
