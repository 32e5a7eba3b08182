"""lenet_dqa2.digits_pgd: LeNet with 2-bit DQA on scikit-learn's digits, for use without a network; Linf 0.3."""

from tfrobust.attacks import PGD
from tfrobust.training import AdversarialTraining
from tfrobust.zoo.recipe import Recipe, main

RECIPE = Recipe(
    name="lenet_dqa2.digits_pgd",
    data="digits",
    defense=AdversarialTraining(
        PGD(eps=0.3, eps_iter=0.075, nb_iter=7),
        clean_weight=0.5,
        warmup_epochs=5,
        ramp_epochs=10,
    ),
    epochs=40,
    batch_size=50,
    n_costly=360,
    transfer_from="lenet.mnist_pgd",
    is_default=False,
)

if __name__ == "__main__":
    main(RECIPE)
