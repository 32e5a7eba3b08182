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
