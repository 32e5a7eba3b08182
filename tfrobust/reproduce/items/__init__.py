"""Which tables and figures can be measured again, one file per paper."""

from tfrobust.reproduce.items import deep_defense, dqa, mc_dropout, sqa
from tfrobust.reproduce.items.base import Item, Row

ITEMS = {
    "dqa/table1": dqa.TABLE_1,
    "dqa/table2": dqa.TABLE_2,
    "dqa/table3": dqa.TABLE_3,
    "dqa/table5": dqa.TABLE_5,
    "dqa/table6": dqa.TABLE_6,
    "sqa/table1": sqa.TABLE_1,
    "sqa/table2": sqa.TABLE_2,
    "sqa/table3": sqa.TABLE_3,
    "sqa/table4": sqa.TABLE_4,
    "sqa/figure1": sqa.FIGURE_1,
    "mcd/table1": mc_dropout.TABLE_1,
    "mcd/table2": mc_dropout.TABLE_2,
    "mcd/table3": mc_dropout.TABLE_3,
    "mcd/table4": mc_dropout.TABLE_4,
    "mcd/figure2": mc_dropout.FIGURE_2,
    "dd/table1": deep_defense.TABLE_1,
    "dd/table1_cifar10": deep_defense.TABLE_1_CIFAR10,
    "dd/supplement2": deep_defense.SUPPLEMENT_2,
    "dd/supplement2_cifar10": deep_defense.SUPPLEMENT_2_CIFAR10,
}

__all__ = ["ITEMS", "Item", "Row"]
