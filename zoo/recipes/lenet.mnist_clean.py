"""lenet.mnist_clean: LeNet with ReLU, trained on clean MNIST; the reference that Deep Defense starts from."""

from tfrobust.training import Standard, WeightDecay
from tfrobust.zoo.recipe import Recipe, main

RECIPE = Recipe(
    name="lenet.mnist_clean",
    data="mnist",
    defense=WeightDecay(5e-4, defense=Standard()),
    epochs=12,
    batch_size=100,
    optimizer="sgd",
    learning_rate=0.05,
    eps=0.1,
    paper={"clean": 99.02, "source": "Deep Defense table 1, LeNet, reference"},
    is_default=False,
)

if __name__ == "__main__":
    main(RECIPE)
