"""The model zoo: `load`, `list_models`, `card`."""

from tfrobust.zoo.cards import Card, read as card
from tfrobust.zoo.hub import list_models, load
from tfrobust.zoo.recipe import Recipe, publish

__all__ = ["Card", "Recipe", "card", "list_models", "load", "publish"]
