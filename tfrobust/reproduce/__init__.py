"""The papers' tables again: the paper's number, ours under the paper's own attack, and the worst case, side by side."""

from tfrobust.reproduce.items import ITEMS, Item, Row
from tfrobust.reproduce.result import Result, run

__all__ = ["ITEMS", "Item", "Result", "Row", "run"]
