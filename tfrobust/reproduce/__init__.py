"""The papers' tables and figures again: their numbers, ours under the same attacks, the worst case, side by side."""

from tfrobust.reproduce.items import ITEMS, Item, Row
from tfrobust.reproduce.result import Result, run

__all__ = ["ITEMS", "Item", "Result", "Row", "run"]
