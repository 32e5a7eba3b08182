"""The model zoo: `load`, `save`, `list_models`, `card`."""

from tfrobust.zoo.cards import Card, read as card
from tfrobust.zoo.hub import list_models, load, save
from tfrobust.zoo.recipe import Recipe, enter, measure, publish

__all__ = ["Card", "Recipe", "card", "enter", "list_models", "load", "measure", "publish", "save"]
