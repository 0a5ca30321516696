"""What a recipe is, and what it gives back."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import (
    Any,
    ClassVar,
    Literal,
    Protocol,
    get_args,
    get_origin,
    get_type_hints,
    runtime_checkable,
)

from torch import Tensor

from napari_disca.annotations.clicks import Clicks
from napari_disca.core.errors import RecipeError
from napari_disca.core.events import Job
from napari_disca.core.tiling import Tiling, Window
from napari_disca.inference.composition import AnswerComposer
from napari_disca.inference.correction import Correction
from napari_disca.inference.crops import Crop, cut_crops
from napari_disca.inference.network_view import NetworkView
from napari_disca.networks import Network
from napari_disca.networks.compute import Compute
from napari_disca.recipes.answers import AnswerParts

#: Why nothing was learned. A session asks for a click, but it may lie where there is no data.
NO_CLICKS = "nothing to learn from: no click lies where the image has data"


@dataclass(frozen=True, slots=True, eq=False)
class AdaptationResult:
    """What a recipe learned from the clicks.

    Attributes
    ----------
    network : Network or None
        The adapted network (another object than the one received, unless nothing was learned).
        None in a session's history, which keeps only the weights that changed.
    steps : int
        Optimiser steps taken.
    losses : tuple of float
        The loss before each pass, and after the last one.
    right_before, right_after : int
        Clicks whose class the unguided network gives, before and after.
    clicks : int
        Clicks learned from.
    moved : float
        Share of the learned pixels whose class changed, 0 to 1.
    seconds : float
    note : str
        One line for the user: what was decided and why.
    correction : Correction or None
        What is added to the answer of the pretrained network, where a recipe corrects the
        function instead of learning weights.
    tensors : mapping of str to Tensor
        What `Recipe.composer` needs besides the network, on the CPU; a few megabytes at most. It
        is kept, and comes back, with the weights.
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
    """How clicks change a network: a frozen dataclass whose fields are its hyper-parameters."""

    #: How it adapts, in a few words: the history shows them in brackets.
    title: ClassVar[str]
    #: False for recipes that leave the weights alone.
    learns: ClassVar[bool]

    @property
    def continues(self) -> bool:
        """Whether what is learned depends on what was learned before."""
        ...

    def composer(self, parts: AnswerParts) -> Job[AnswerComposer]:
        """Job that returns how the answer of a run is composed, tile by tile.

        A script's own recipe may leave this out: then the adapted network reads the image and
        the clicks.
        """
        ...

    def windows(self, clicks: Clicks, tiling: Tiling) -> list[Window]:
        """Pieces of the network's grid to learn from.

        Parameters
        ----------
        clicks : Clicks
            On the network's grid.
        tiling : Tiling
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
        """Learn from crops.

        Parameters
        ----------
        network : Network
            The pretrained one, theta0; left as it was.
        crops : sequence of Crop
        current : Network, optional
            The network as earlier adaptations to this image left it; left as it was.
        compute : Compute
        seed : int
            The same seed and crops give the same weights.

        Yields
        ------
        Progress

        Raises
        ------
        NotFiniteError
            If what was learned is not finite; nothing is adopted then.
        RecipeError
            If it does not fit the network.
        """
        ...


@runtime_checkable
class LooksOnce(Protocol):
    """A recipe that asks something of the image once, whatever is clicked later."""

    @property
    def look_key(self) -> tuple[object, ...]:
        """What the answer depends on besides the image, the network and the seed."""

    def anchor_windows(self, tiling: Tiling) -> list[Window]:
        """Windows of the network's grid that it wants to see."""

    def look(
        self,
        network: Network,
        crops: Sequence[Crop],
        *,
        compute: Compute,
        pixels: int | None = None,
        seed: int = 0,
    ) -> Job[Any]:
        """Job that returns what `adapt` then gets as ``facts``.

        Parameters
        ----------
        crops : sequence of Crop
            Of `anchor_windows`.
        pixels : int, optional
            Size of the whole image on the network's grid; without it the crops are the image.
        """


def setting(
    default: Any, label: str, tooltip: str, limits: tuple[float, float] | None = None
) -> Any:
    """Return a field of a recipe.

    Parameters
    ----------
    default : int, float or str
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
    """Look whether the fields of a recipe are what their types and limits say.

    Raises
    ------
    RecipeError
        If one is not.
    """
    hints = get_type_hints(type(recipe))
    for one in fields(recipe):  # type: ignore[arg-type]
        value = getattr(recipe, one.name)
        if get_origin(hints[one.name]) is Literal:
            allowed = get_args(hints[one.name])
            if value not in allowed:
                raise RecipeError(f"{one.name} = {value!r} is unknown; use {' or '.join(allowed)}")
        elif "min" in one.metadata:
            low, high = one.metadata["min"], one.metadata["max"]
            kinds = (int,) if hints[one.name] is int else (int, float)
            if isinstance(value, bool) or not isinstance(value, kinds):
                raise RecipeError(
                    f"{one.name} = {value!r} is no {'whole ' * (len(kinds) == 1)}number"
                )
            if not low <= value <= high:
                label = one.metadata.get("label")
                known = not label or label.lower() == one.name
                name = one.name if known else f"{label} ({one.name})"
                raise RecipeError(f"{name} = {value} is not between {low} and {high}")


def checked_seed(seed: int) -> int:
    """Return a seed that every generator takes.

    Raises
    ------
    RecipeError
        If it is none.
    """
    try:
        value = operator.index(seed)  # NumPy's whole numbers, too
    except TypeError:
        value = -1
    if isinstance(seed, bool) or not 0 <= value < 2**63:
        raise RecipeError(f"seed = {seed!r} is no whole number from 0 to 2^63 - 1")
    return value


def crops_for(
    recipe: Recipe,
    inputs: NetworkView,
    clicks: Clicks,
    tiling: Tiling,
    kept: Clicks | None = None,
) -> Job[list[Crop]]:
    """Job that cuts what a recipe wants to learn from.

    Parameters
    ----------
    clicks : Clicks
        In pixels of the image.
    kept : Clicks, optional
        A sample of the pixels that the user has checked, with their classes. One in each tile
        draws a crop as a click does; a crop for every pixel would take too long.
    """
    # By their places, so that what is learned does not depend on when they were made.
    there = Clicks(tuple(sorted(inputs.network_clicks(clicks), key=lambda c: (c.pixel, c.label))))
    held = inputs.network_clicks(kept or Clicks())
    # Not the clicked pixels: there the user's click is the last word.
    clicked = {click.pixel for click in there}
    held = held.removed(*(pixel for pixel in held if pixel.pixel in clicked))
    drawing = {tiling.tile_at(pixel.pixel).index: pixel for pixel in held}
    windows = recipe.windows(there.added(*drawing.values()), tiling)
    return cut_crops(inputs, there, windows, held)
