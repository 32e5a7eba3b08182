"""convnet.cifar10_parseval: ConvNet, fine-tuned on CIFAR-10 with Parseval's projection after each step."""

from tfrobust.training import Parseval, WeightDecay
from tfrobust.zoo.recipe import Recipe, main

RECIPE = Recipe(
    name="convnet.cifar10_parseval",
    data="cifar10",
    defense=Parseval(3e-4, defense=WeightDecay(5e-4)),
    epochs=50,
    batch_size=100,
    optimizer="sgd",
    learning_rate=5e-4,
    schedule="halved",
    start="convnet.cifar10_clean",
    eps=8 / 255,
    transfer_from="convnet.cifar10_clean",
    paper={
        "clean": 80.48,
        "FGSM 0.2 eps_ref": 69.19,
        "FGSM 0.5 eps_ref": 50.43,
        "FGSM 1.0 eps_ref": 22.13,
        "PGD 0.01": 27.91,
        "source": "Deep Defense table 1 and its supplement's table 2, ConvNet, Parseval training",
    },
    is_default=False,
)

if __name__ == "__main__":
    main(RECIPE)
