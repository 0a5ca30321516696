"""Flags that are fields of the engine's dataclasses: recipes, cards, plans and settings.

The modules of these dataclasses import torch, so they are imported only for the command that runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from napari_disca.cli.flags import About, FieldsOf


def _recipe_kinds() -> Iterable[type]:
    from napari_disca.recipes import RECIPES

    return [type(RECIPES["default"]), *map(type, RECIPES.values())]


def recipe_names() -> str:
    """Return a flag's help with the names of all recipes."""
    from napari_disca.recipes import RECIPES

    return f"one of {', '.join(RECIPES)}"


def _plan_kinds() -> Iterable[type]:
    from napari_disca.training.plan import TrainingPlan

    return [TrainingPlan]


def _click_kinds() -> Iterable[type]:
    from napari_disca.training.clicking import Clicking

    return [Clicking]


def _augmentation_kinds() -> Iterable[type]:
    from napari_disca.training.augment import Augmentation

    return [Augmentation]


def _settings_kinds() -> Iterable[type]:
    from napari_disca.evaluation import Settings

    return [Settings]


def _card_kinds() -> Iterable[type]:
    from napari_disca.networks import Card

    return [Card]


def architecture_names() -> str:
    """Return a flag's help with the names of all architectures."""
    from napari_disca.networks import ARCHITECTURES

    return f"one of {', '.join(ARCHITECTURES)}"


#: Metadata of flags for the evaluation's `Settings`; fields with None are flags of the command.
SETTINGS: Mapping[str, About | None] = {
    "clicks": {"tooltip": "Clicks on each image, at most", "metavar": "N"},
    "verdicts": {
        "tooltip": "Regions of what an adaptation changed that the annotator accepts or rejects "
        "after each one, the largest first; they count as gestures, as clicks do",
        "metavar": "K",
    },
    "mode": {"tooltip": "Clicks one by one on the latest map, or all at once on the first"},
    "factor": {
        "tooltip": "network pixels per image pixel (from the ground resolutions)",
        "names": ("--scale",),
        "metavar": "X",
    },
    "coding": None,
    "crop": {"tooltip": "Cut images into N x N parts", "metavar": "N"},
    "max_images": {"tooltip": "Images to measure, at most", "metavar": "N"},
    "seed": None,
    "scaling": None,
    "find_fill": None,
}

#: Metadata of flags for a `Card`; fields with None are flags of the command.
CARD: Mapping[str, About | None] = {
    "name": {"tooltip": "The network's name (by default the file's)", "metavar": "NAME"},
    "architecture": None,
    "ground_resolution": {
        "tooltip": "Metres per pixel to train at; images with a CRS are resampled to it",
        "metavar": "M",
    },
    "training_data": {
        "tooltip": "Training data, for the card",
        "names": ("--data",),
        "metavar": "TEXT",
    },
    "licence": {"tooltip": "Terms, for the card", "metavar": "TEXT"},
}

RECIPE_FIELDS = FieldsOf(_recipe_kinds, "Fields of the recipe")
SETTINGS_FIELDS = FieldsOf(_settings_kinds, "Settings of the evaluation", lambda: SETTINGS)
CARD_FIELDS = FieldsOf(_card_kinds, "Card", lambda: CARD)
PLAN_FIELDS = FieldsOf(_plan_kinds, "Training plan")
CLICKING_FIELDS = FieldsOf(_click_kinds, "Clicks on crops")
AUGMENTATION_FIELDS = FieldsOf(_augmentation_kinds, "Augmentation of crops")
