"""lenet_in1_dqa2.mnist_mixed: one-bit images, 2-bit dynamic activations, trained on four attacks; MNIST, Linf 0.3."""

from tfrobust.attacks import APGD, BPDA, DiscreteAscent, Split
from tfrobust.training import AdversarialTraining
from tfrobust.zoo.recipe import Recipe, main

STEPS = {"eps": 0.3, "nb_iter": 15}
RECIPE = Recipe(
    name="lenet_in1_dqa2.mnist_mixed",
    data="mnist",
    defense=AdversarialTraining(
        Split(
            (
                DiscreteAscent(**STEPS),
                DiscreteAscent(**STEPS, rand_init=True),
                BPDA(APGD(**STEPS), "soft"),
                APGD(**STEPS),
            )
        ),
        clean_weight=0.2,
    ),
    epochs=8,
    learning_rate=5e-4,
    surrogate="soft",
    ema=0.999,
    crop=2,
    start="lenet_in1_dqa2.mnist_apgd",
    transfer_from="lenet.mnist_pgd",
    n_costly=300,
)

if __name__ == "__main__":
    main(RECIPE)
