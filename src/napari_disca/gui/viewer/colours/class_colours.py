"""Colours of the classes: the network's, or safer ones where those look alike.

A colour that the user chooses is a step of the session's history. Maps are saved with the colours
that are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from napari_disca.gui.viewer.colours.colour_vision import SAFE, alike, safer

if TYPE_CHECKING:
    from napari_disca.networks.card import LandClass
    from napari_disca.session.session import Session
    from napari_disca.session.steps.class_table import ClassTable


#: The setting *Colours of classes*, which is the same in all windows.
_preferred = ["automatic"]


def prefer_colours(which: str) -> None:
    """Set which colours classes have by default, in all windows.

    Parameters
    ----------
    which : "automatic", "network" or "safer"
        Automatic: safer colours where those of the network look alike.
    """
    _preferred[0] = which


def first_colours(classes: Sequence[LandClass]) -> tuple[LandClass, ...]:
    """Return a network's classes in the colours that the settings ask for."""
    safe = _preferred[0] == "safer" or (_preferred[0] == "automatic" and _alike(classes))
    return _safer(classes) if safe else tuple(classes)


def shown_classes(session: Session) -> tuple[LandClass, ...]:
    """Return the classes of a session in the colours that are shown."""
    classes: tuple[LandClass, ...] = session.document.classes
    return classes if _is_chosen(session) else first_colours(classes)


def saved_classes(session: Session) -> tuple[LandClass, ...]:
    """Return the classes with which a map of a session is saved, in the colours that are shown."""
    classes = session.document.saved_classes
    return classes if _is_chosen(session) else first_colours(classes)


def shown_table(session: Session) -> ClassTable:
    """Return the class table with the colours that are shown; the user's changes start from it."""
    table: ClassTable = session.document.class_table
    return table.recoloured(
        {
            label: land.color
            for label, land in enumerate(shown_classes(session))
            if table.target(table.entry(label)) == label
        }
    )


def other_colours(session: Session) -> tuple[ClassTable, str]:
    """Return the table in safer colours, or in the network's if it is in safer ones; and a name."""
    table = shown_table(session)
    own = [label for label in table.order if table.target(table.entry(label)) == label]
    if is_safe(shown_classes(session)):
        network = session.network.card.classes
        return table.recoloured({label: network[label].color for label in own}), "network's colours"
    colours = safer([table.entry(label).color for label in own])
    return table.recoloured(dict(zip(own, colours, strict=True))), "safer colours"


def is_safe(classes: Sequence[LandClass]) -> bool:
    """Whether classes have safer colours."""
    return all(land.color in SAFE for land in classes)


def warning(network: Sequence[LandClass], shown: Sequence[LandClass]) -> str:
    """Return a warning about colours that look alike; empty where none do.

    Parameters
    ----------
    network : sequence of LandClass
        As its card has them.
    shown : sequence of LandClass
        As they are shown; merged classes count once.
    """
    distinct = tuple(dict.fromkeys(shown))
    if pairs := _alike(distinct):
        return f"{_said(distinct, pairs)} look alike to some eyes"
    if is_safe(shown) and (pairs := _alike(network)):
        return f"{_said(network, pairs)} would look alike to some eyes: safer colours"
    return ""


def _is_chosen(session: Session) -> bool:
    from napari_disca.session.steps.class_table import ClassTable

    return bool(session.document.step.value(ClassTable).entries)


def _said(classes: Sequence[LandClass], pairs: Sequence[tuple[int, int, float]]) -> str:
    first, second, _ = pairs[0]
    names = f"{classes[first].name} and {classes[second].name}"
    more = f" and {len(pairs) - 1} more" if len(pairs) > 1 else ""
    return f"{names[:1].upper()}{names[1:]}{more}"


def _safer(classes: Sequence[LandClass]) -> tuple[LandClass, ...]:
    colours = _safer_colours(tuple(land.color for land in classes))
    return tuple(replace(land, color=colour) for land, colour in zip(classes, colours, strict=True))


def _alike(classes: Sequence[LandClass]) -> tuple[tuple[int, int, float], ...]:
    return _alike_colours(tuple(land.color for land in classes))


# Called at every click, while the assignment takes a millisecond.
@lru_cache(maxsize=64)
def _safer_colours(colours: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(safer(colours))


@lru_cache(maxsize=64)
def _alike_colours(colours: tuple[str, ...]) -> tuple[tuple[int, int, float], ...]:
    return tuple(alike(colours))
