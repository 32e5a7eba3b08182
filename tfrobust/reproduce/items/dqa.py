"""Tables of the paper on fixed and dynamic quantized activations (DQA)."""

from tfrobust import attacks
from tfrobust.reproduce import measures
from tfrobust.reproduce.items.base import Item, rows

PGD_40 = attacks.PGD(eps=0.3, eps_iter=0.01, nb_iter=40)
TABLE_1 = Item(
    title="DQA table 1: fixed and dynamic activations under the training's own kind of attack (MNIST, Linf 0.3)",
    data="mnist",
    rows=rows(
        ("clean", "PGD", "FGSM"),
        [
            ("fixed, 1 bit", "lenet_fixed1.mnist_pgd", 98.52, 98.47, 98.48),
            ("fixed, 2 bits", "lenet_fixed2.mnist_pgd", 98.65, 98.46, 98.59),
            ("fixed, 3 bits", "lenet_fixed3.mnist_pgd", 99.05, 98.37, 98.70),
            ("dynamic, 1 bit", "lenet_dqa1.mnist_pgd", 98.53, 98.53, 97.44),
            ("dynamic, 2 bits", "lenet_dqa2.mnist_pgd", 98.80, 98.75, 98.75),
            ("dynamic, 3 bits", "lenet_dqa3.mnist_pgd", 99.01, 98.51, 97.15),
            ("full precision", "lenet.mnist_pgd", 99.24, 94.04, 97.10),
        ],
    ),
    measure=measures.accuracies({"PGD": PGD_40, "FGSM": attacks.FGSM(eps=0.3)}),
    reading="PGD has 40 steps of 0.01; the paper gives no step.",
)

PGD_7 = attacks.PGD(eps=8 / 255, eps_iter=2 / 255, nb_iter=7)
TABLE_2 = Item(
    title="DQA table 2: fixed and dynamic activations under the training's own kind of attack (CIFAR-10, Linf 8/255)",
    data="cifar10",
    rows=rows(
        ("clean", "PGD", "FGSM"),
        [
            ("fixed, 1 bit", "resnet18_fixed1.cifar10_pgd", 81.43, 72.40, 72.90),
            ("fixed, 2 bits", "resnet18_fixed2.cifar10_pgd", 82.33, 70.51, 71.80),
            ("fixed, 3 bits", "resnet18_fixed3.cifar10_pgd", 84.14, 63.23, 73.18),
            ("dynamic, 1 bit", "resnet18_dqa1.cifar10_pgd", 83.16, 77.62, 76.09),
            ("dynamic, 2 bits", "resnet18_dqa2.cifar10_pgd", 85.76, 79.83, 76.37),
            ("dynamic, 3 bits", "resnet18_dqa3.cifar10_pgd", 84.17, 75.01, 74.51),
            ("full precision", "resnet18.cifar10_pgd", 87.59, 48.70, 58.16),
            ("dynamic, 2 bits, 16 filters (not in the paper)", "resnet18x16_dqa2.cifar10_fgsm", None, None, None),
        ],
    ),
    measure=measures.accuracies({"PGD": PGD_7, "FGSM": attacks.FGSM(eps=8 / 255)}),
    reading="PGD has 7 steps of 2/255.",
)
