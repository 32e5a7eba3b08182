"""lenet.mnist_deep_defense: LeNet with ReLU, fine-tuned on MNIST with Deep Defense.

Ten times the paper's rate, on half a cosine; c = 15, not the paper's 25.
"""

from tfrobust.training import DeepDefense, WeightDecay
from tfrobust.zoo.recipe import Recipe, main

RECIPE = Recipe(
    name="lenet.mnist_deep_defense",
    data="mnist",
    defense=DeepDefense(right_scale=15.0, n_candidates=4, defense=WeightDecay(5e-4)),
    epochs=5,
    batch_size=100,
    optimizer="sgd",
    learning_rate=5e-3,
    schedule="cosine",
    start="lenet.mnist_clean",
    eps=0.1,
    transfer_from="lenet.mnist_clean",
    paper={"clean": 99.34, "source": "Deep Defense table 1, LeNet"},
    is_default=False,
)

if __name__ == "__main__":
    main(RECIPE)
