"""conv3.mnist_clean: three large convolutions with strong weight decay; clean MNIST."""

from tfrobust.training import Standard, WeightDecay
from tfrobust.zoo.recipe import Recipe, main

# The paper decays by 0.5; in the first and last layer, as it does on CIFAR-10 (our reading).
RECIPE = Recipe(
    name="conv3.mnist_clean",
    data="mnist",
    defense=WeightDecay((("conv_1", 0.5), ("logits", 0.5)), defense=Standard()),
    epochs=20,
    paper={
        "source": "LPR figure 6, full precision; it states no accuracy",
    },
    is_default=False,
)

if __name__ == "__main__":
    main(RECIPE)
