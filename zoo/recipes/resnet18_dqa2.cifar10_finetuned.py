"""resnet18_dqa2.cifar10_finetuned: ResNet-18 with 2-bit dynamic activations, begun with ReLU's weights; CIFAR-10."""

from tfrobust.attacks import BPDA, PGD, Split
from tfrobust.training import AdversarialTraining, WeightDecay
from tfrobust.zoo.recipe import Recipe, main

# One step from a random start, a quarter longer than the budget: "Fast Is Better Than Free", Wong et al., ICLR 2020.
# Half of the images by the soft pseudo-gradient: a staircase hides from its own (see LOG.md).
ONE_STEP = PGD(eps=8 / 255, eps_iter=10 / 255, nb_iter=1)
RECIPE = Recipe(
    name="resnet18_dqa2.cifar10_finetuned",
    data="cifar10",
    defense=WeightDecay(5e-4, defense=AdversarialTraining(Split((ONE_STEP, BPDA(ONE_STEP, "soft"))))),
    epochs=4,
    optimizer="sgd",
    learning_rate=0.05,
    start="resnet18.cifar10_fgsm",
    crop=4,
    flip=True,
    precision="mixed_bfloat16",
    eps=8 / 255,
    n=500,
    n_costly=100,
    paper={
        "clean": 85.76,
        "PGD-7": 79.83,
        "FGSM": 76.37,
        "source": "DQA table 2, 2-bit dynamic, there trained by PGD-7",
    },
)

if __name__ == "__main__":
    main(RECIPE)
