"""conv3_bnn.mnist_clean: three large convolutions with binary weights and decay of the first; clean MNIST."""

from tfrobust.training import Standard, WeightDecay
from tfrobust.zoo.recipe import Recipe, main

RECIPE = Recipe(
    name="conv3_bnn.mnist_clean",
    data="mnist",
    defense=WeightDecay((("conv_1", 0.05),), defense=Standard()),
    epochs=20,
    paper={
        "source": "LPR figure 6, 1-bit; it states no accuracy",
    },
)

if __name__ == "__main__":
    main(RECIPE)
