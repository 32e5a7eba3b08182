"""Tables of the paper on fixed and dynamic quantized activations (DQA)."""

from tfrobust import attacks
from tfrobust.reproduce import black_box, measures
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

FEW = "16 filters (not in the paper)"
FAST = "fast training (not in the paper)"
FROM_RELU = "fast training from ReLU's weights (not in the paper)"
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
            (f"full precision, {FAST}", "resnet18.cifar10_fgsm", None, None, None),
            (f"full precision, {FEW}", "resnet18x16.cifar10_fgsm", None, None, None),
            (f"dynamic, 2 bits, {FROM_RELU}", "resnet18_dqa2.cifar10_finetuned", None, None, None),
            (f"dynamic, 2 bits, {FEW}", "resnet18x16_dqa2.cifar10_fgsm", None, None, None),
        ],
    ),
    measure=measures.accuracies({"PGD": PGD_7, "FGSM": attacks.FGSM(eps=8 / 255)}),
    reading="PGD has 7 steps of 2/255.",
)

TABLE_3 = Item(
    title="DQA table 3: C&W in L2 on fixed activations without, and on dynamic ones with PGD training (CIFAR-10)",
    data="cifar10",
    rows=(
        *rows(
            ("L2",),
            [
                ("full precision", "resnet18.cifar10_clean", 0.12),
                ("fixed, 3 bits", "resnet18_fixed3.cifar10_clean", 0.17),
                ("fixed, 2 bits", "resnet18_fixed2.cifar10_clean", 0.26),
                ("fixed, 1 bit", "resnet18_fixed1.cifar10_clean", 0.55),
            ],
        ),
        *rows(
            ("success",),
            [
                ("full precision, PGD-trained", "resnet18.cifar10_pgd", 0.0),
                ("dynamic, 3 bits, PGD-trained", "resnet18_dqa3.cifar10_pgd", 0.0),
                ("dynamic, 2 bits, PGD-trained", "resnet18_dqa2.cifar10_pgd", 0.0),
                ("dynamic, 1 bit, PGD-trained", "resnet18_dqa1.cifar10_pgd", 0.0),
                (f"full precision, {FAST}", "resnet18.cifar10_fgsm", None),
                (f"full precision, {FEW}", "resnet18x16.cifar10_fgsm", None),
                (f"dynamic, 2 bits, {FROM_RELU}", "resnet18_dqa2.cifar10_finetuned", None),
                (f"dynamic, 2 bits, {FEW}", "resnet18x16_dqa2.cifar10_fgsm", None),
            ],
        ),
    ),
    measure=black_box.least_distance(attacks.CarliniWagnerL2()),
    reading="L2 is over fooled images, of pixels from 0 to 1; the paper says neither its unit nor what counted as out "
    "of reach. Success, in percent, is at any distance.",
    n=128,
    as_percent=False,
)

ZOO = attacks.ZOO(max_iter=100, n_coordinates=64, search_steps=3, initial_c=10.0)
TABLE_5 = Item(
    title="DQA table 5: ZOO's success on dynamic activations (CIFAR-10)",
    data="cifar10",
    rows=rows(
        ("clean", "success"),
        [
            ("full precision", "resnet18.cifar10_pgd", 87.59, 81.75),
            ("dynamic, 3 bits", "resnet18_dqa3.cifar10_pgd", 84.17, 0.0),
            ("dynamic, 2 bits", "resnet18_dqa2.cifar10_pgd", 85.76, 0.0),
            ("dynamic, 1 bit", "resnet18_dqa1.cifar10_pgd", 83.16, 0.0),
            (f"full precision, {FAST}", "resnet18.cifar10_fgsm", None, None),
            (f"full precision, {FEW}", "resnet18x16.cifar10_fgsm", None, None),
            (f"dynamic, 2 bits, {FROM_RELU}", "resnet18_dqa2.cifar10_finetuned", None, None),
            (f"dynamic, 2 bits, {FEW}", "resnet18x16_dqa2.cifar10_fgsm", None, None),
        ],
    ),
    measure=black_box.least_distance(ZOO, n=50),
    reading="Success is a share of the first 50 images that the network gets right (the paper: 200 random ones), at "
    "any distance; three values of c, 100 steps of 64 pixels each.",
)

TABLE_6_COLUMNS = ("clean", "substitute", "substitute attacked", "attacked")
BY_SUBSTITUTE = {
    "vgg16": rows(
        TABLE_6_COLUMNS,
        [
            ("3 bits by VGG-16", "resnet18_dqa3.cifar10_pgd", 84.93, 84.32, 56.88, 60.85),
            ("2 bits by VGG-16", "resnet18_dqa2.cifar10_pgd", 85.06, 85.06, 56.62, 60.46),
            ("1 bit by VGG-16", "resnet18_dqa1.cifar10_pgd", 83.16, 83.09, 44.94, 49.18),
            (f"2 bits, {FROM_RELU} by VGG-16", "resnet18_dqa2.cifar10_finetuned", None, None, None, None),
            (f"2 bits, {FEW} by VGG-16", "resnet18x16_dqa2.cifar10_fgsm", None, None, None, None),
        ],
    ),
    "alexnet": rows(
        TABLE_6_COLUMNS,
        [
            ("3 bits by AlexNet", "resnet18_dqa3.cifar10_pgd", 84.93, 84.05, 46.62, 82.59),
            ("2 bits by AlexNet", "resnet18_dqa2.cifar10_pgd", 85.06, 85.03, 52.42, 82.11),
            ("1 bit by AlexNet", "resnet18_dqa1.cifar10_pgd", 83.16, 83.05, 36.06, 79.74),
            (f"2 bits, {FROM_RELU} by AlexNet", "resnet18_dqa2.cifar10_finetuned", None, None, None, None),
            (f"2 bits, {FEW} by AlexNet", "resnet18x16_dqa2.cifar10_fgsm", None, None, None, None),
        ],
    ),
}
TABLE_6 = Item(
    title="DQA table 6: images made for a substitute, on dynamic activations (CIFAR-10, Linf 8/255)",
    data="cifar10",
    rows=tuple(row for group in BY_SUBSTITUTE.values() for row in group),
    measure=black_box.substitutes(
        PGD_7,
        {row.label: name for name, group in BY_SUBSTITUTE.items() for row in group},
        data="cifar10",
        n=5000,
    ),
    reading="The paper names no attack; here PGD-7 on a substitute trained for ten epochs on 5,000 clean images.",
)
