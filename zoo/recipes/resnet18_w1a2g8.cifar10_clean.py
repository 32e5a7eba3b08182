"""resnet18_w1a2g8.cifar10_clean: ResNet-18 with DoReFa quantizers, W,A,G = 1,2,8 bits; clean CIFAR-10."""

from tfrobust.training import Standard, WeightDecay
from tfrobust.zoo.recipe import Recipe, main

# The paper has ImageNet and 76 epochs; CIFAR-10, and what else it leaves open, is our reading.
RECIPE = Recipe(
    name="resnet18_w1a2g8.cifar10_clean",
    data="cifar10",
    defense=WeightDecay(1e-4, defense=Standard()),
    epochs=76,
    schedule="step",
    crop=4,
    eps=8 / 255,
    transfer_from="resnet18.cifar10_pgd",
    paper={
        "ImageNet clean": 48.9,
        "ImageNet FGSM 2/255": 2.2,
        "ImageNet FGSM 4/255": 1.3,
        "ImageNet FGSM 8/255": 1.2,
        "source": "LPR table 3, W,A,G = 1,2,8, top-1",
    },
)

if __name__ == "__main__":
    main(RECIPE)
