"""mlp.mnist_deep_defense: the multilayer perceptron, fine-tuned on MNIST with Deep Defense.

Ten times the paper's rate, on half a cosine, and twice its epochs; c = 15, not the paper's 25.
"""

from tfrobust.training import DeepDefense, WeightDecay
from tfrobust.zoo.recipe import Recipe, main

RECIPE = Recipe(
    name="mlp.mnist_deep_defense",
    data="mnist",
    defense=DeepDefense(right_scale=15.0, defense=WeightDecay(5e-4)),
    epochs=10,
    batch_size=100,
    optimizer="sgd",
    learning_rate=5e-3,
    schedule="cosine",
    start="mlp.mnist_clean",
    eps=0.1,
    transfer_from="mlp.mnist_clean",
    paper={"clean": 98.65, "source": "Deep Defense table 1, MLP"},
)

if __name__ == "__main__":
    main(RECIPE)
