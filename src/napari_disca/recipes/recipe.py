"""The protocol of recipes, their result, and checks of their fields."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from typing import Any, ClassVar, Protocol, get_type_hints, runtime_checkable

from torch import Tensor

from napari_disca.annotations.clicks import Clicks
from napari_disca.core.errors import RecipeError
from napari_disca.core.events import Job
from napari_disca.core.tiling import Tiling, Window
from napari_disca.core.typed_values import checked_value
from napari_disca.inference.composition import AnswerComposer
from napari_disca.inference.correction import Correction
from napari_disca.inference.crops import Crop, cut_crops
from napari_disca.inference.network_view import NetworkView
from napari_disca.networks import Network
from napari_disca.networks.compute import Compute
from napari_disca.recipes.answers import AnswerParts

#: Note if no click lies on data; a session only makes sure that there are clicks.
NO_CLICKS = "nothing to learn from: no click lies where the image has data"


@dataclass(frozen=True, slots=True, eq=False)
class AdaptationResult:
    """What a recipe has learned from the clicks.

    Attributes
    ----------
    network : Network or None
        The adapted network. It is another object than the pretrained one, unless nothing was
        learned. None in a session's history, which keeps only the weights that have changed.
    steps : int
        Optimiser steps taken.
    losses : tuple of float
        The loss before each pass, and after the last one.
    right_before, right_after : int
        Number of clicks whose class the network predicts without guidance, before and after.
    clicks : int
        Number of clicks that were learned from.
    moved : float
        Share of the pixels of the crops whose class has changed, 0 to 1.
    seconds : float
        Duration.
    note : str
        One line for the user: what was decided and why.
    correction : Correction or None
        What a recipe that learns no weights adds to the logits of the pretrained network;
        `Recipe.composer` gets it.
    tensors : mapping of str to Tensor
        Tensors on the CPU that `Recipe.composer` needs besides the network, a few megabytes at
        most. They are saved with the weights.
    """

    network: Network | None
    steps: int = 0
    losses: tuple[float, ...] = ()
    right_before: int = 0
    right_after: int = 0
    clicks: int = 0
    moved: float = 0.0
    seconds: float = 0.0
    note: str = ""
    correction: Correction | None = None
    tensors: Mapping[str, Tensor] = field(default_factory=dict)


class Recipe(Protocol):
    """How clicks change a network's answer.

    A recipe is a frozen dataclass whose fields are its hyper-parameters. A field called `strength`
    is changed by the panel's slider without learning again: only `composer` may read it, and 0 must
    give the map of the pretrained network.

    Attributes
    ----------
    title : str
        How it adapts, in a few words, which the history shows in brackets.
    learns : bool
        False if it only reads the clicks as guidance.
    """

    title: ClassVar[str]
    learns: ClassVar[bool]
    #: Every dataclass has it.
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def continues(self) -> bool:
        """Whether the result depends on earlier adaptations."""
        ...

    def composer(self, parts: AnswerParts) -> Job[AnswerComposer]:
        """Return a job that returns how the answer is composed, tile by tile.

        A script's recipe may leave this method out; then the adapted network reads the image and
        the clicks.
        """
        ...

    def windows(self, clicks: Clicks, tiling: Tiling) -> list[Window]:
        """Return the windows of the network's grid from which crops are cut.

        Parameters
        ----------
        clicks : Clicks
            On the network's grid.
        tiling : Tiling
            Of the network's grid.
        """
        ...

    def adapt(
        self,
        network: Network,
        crops: Sequence[Crop],
        *,
        current: Network | None = None,
        compute: Compute,
        seed: int = 0,
    ) -> Job[AdaptationResult]:
        """Return a job that learns from crops.

        Parameters
        ----------
        network : Network
            The pretrained network theta0; not changed.
        crops : sequence of Crop
        current : Network, optional
            The result of earlier adaptations to this image; not changed.
        compute : Compute
        seed : int
            The same seed and crops give the same weights.

        Yields
        ------
        Progress

        Returns
        -------
        AdaptationResult

        Raises
        ------
        NotFiniteError
            If the learned weights are not finite.
        RecipeError
            If the recipe does not fit the network.
        """
        ...


@runtime_checkable
class UsesImageFacts(Protocol):
    """A recipe that computes facts about the image once, which do not depend on the clicks."""

    @property
    def facts_key(self) -> tuple[object, ...]:
        """What the facts depend on, besides the image, the network and the seed."""

    def anchor_windows(self, tiling: Tiling) -> list[Window]:
        """Return the windows of the network's grid from which the facts are computed."""

    def image_facts(
        self,
        network: Network,
        crops: Sequence[Crop],
        *,
        compute: Compute,
        pixels: int | None = None,
        seed: int = 0,
    ) -> Job[Any]:
        """Return a job that returns the argument ``facts`` of `adapt`.

        Parameters
        ----------
        network : Network
            The pretrained network.
        crops : sequence of Crop
            Of `anchor_windows`.
        compute : Compute
        pixels : int, optional
            Number of pixels of the image on the network's grid; by default that of the crops.
        seed : int
        """


def setting(
    default: Any, label: str, tooltip: str, limits: tuple[float, float] | None = None
) -> Any:
    """Return a field of a recipe.

    Parameters
    ----------
    default : bool, int, float, str, None or tuple
        Of the field's type, which `core.typed_values` must know.
    label : str
        What the panel's form calls it.
    tooltip : str
        What it does; of a number, what more and less of it do.
    limits : (float, float), optional
        Least and greatest value of a number, which `check_fields` enforces.
    """
    about: dict[str, Any] = {"label": label, "tooltip": tooltip}
    if limits is not None:
        about["min"], about["max"] = limits
    return field(default=default, metadata=about)


def check_fields(recipe: Recipe) -> None:
    """Check the fields of a recipe against their types and limits.

    Raises
    ------
    RecipeError
        If a value is not allowed.
    """
    hints = get_type_hints(type(recipe))
    for one in fields(recipe):
        value, about = getattr(recipe, one.name), one.metadata
        try:
            checked_value(value, hints[one.name])
        except ValueError as error:
            raise RecipeError(f"{one.name} = {value!r} {error}") from None
        low, high = about.get("min", -math.inf), about.get("max", math.inf)
        if isinstance(value, int | float) and not low <= value <= high:
            label = about.get("label")
            same = not label or label.lower() == one.name
            name = one.name if same else f"{label} ({one.name})"
            raise RecipeError(f"{name} = {value} is not between {low} and {high}")


def checked_seed(seed: int) -> int:
    """Return a seed as an int if every random generator accepts it.

    Raises
    ------
    RecipeError
        If it is not a whole number from 0 to 2^63 - 1.
    """
    try:
        value = operator.index(seed)  # also accepts NumPy's integers
    except TypeError:
        value = -1
    if isinstance(seed, bool) or not 0 <= value < 2**63:
        raise RecipeError(f"seed = {seed!r} is not a whole number from 0 to 2^63 - 1")
    return value


def crops_for(
    recipe: Recipe,
    network_view: NetworkView,
    clicks: Clicks,
    tiling: Tiling,
    checked: Clicks | None = None,
) -> Job[list[Crop]]:
    """Return a job that cuts the crops from which a recipe learns.

    Parameters
    ----------
    recipe : Recipe
    network_view : NetworkView
    clicks : Clicks
        In pixels of the image.
    tiling : Tiling
        Of the network's grid.
    checked : Clicks, optional
        Some of the pixels that the user has checked, with their classes. One of them in each tile
        gets crops as a click does; crops for all of them would take too long.

    Returns
    -------
    Job of list of Crop
    """
    # Sorted by position, so that the result does not depend on the order of clicking.
    own = Clicks(
        tuple(sorted(network_view.network_clicks(clicks), key=lambda c: (c.pixel, c.label)))
    )
    checked_clicks = network_view.network_clicks(checked or Clicks())
    # At a pixel that is clicked and checked, the click counts.
    clicked = {click.pixel for click in own}
    checked_clicks = checked_clicks.removed(*(c for c in checked_clicks if c.pixel in clicked))
    one_per_tile = {tiling.tile_at(pixel.pixel).index: pixel for pixel in checked_clicks}
    windows = recipe.windows(own.added(*one_per_tile.values()), tiling)
    return cut_crops(network_view, own, windows, checked_clicks)
