"""Verdicts of a review on places, which are steps of the history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_disca.annotations.areas import Area
from napari_disca.annotations.clicks import Click
from napari_disca.core.errors import AreaError
from napari_disca.core.shared_tuple import SharedTuple
from napari_disca.core.tiling import Window
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.uncertainty import CELL, cells_of
from napari_disca.session.steps.actions import ChangeClicks, LockAreas
from napari_disca.session.steps.journal_fields import text_field, whole_field
from napari_disca.session.steps.step_values import Guided
from napari_disca.session.steps.steps import ImageFacts, Step

#: Verdicts on a place: seen; right; wrong, and clicked; cannot be told; a note.
Verdict: TypeAlias = Literal["seen", "right", "wrong", "unsure", "note"]
VERDICTS: tuple[Verdict, ...] = ("seen", "right", "wrong", "unsure", "note")
#: Verdicts that say what is there.
_CHECKED = frozenset(("right", "wrong"))
#: States of a cell in `review_cells`.
UNSEEN, SEEN, CHECKED = 0, 1, 2
_MOST_TEXT = 2000


@dataclass(frozen=True, slots=True)
class Mark:
    """A verdict on a place.

    Attributes
    ----------
    window : Window
        The place, in pixels of the image.
    verdict : str
        One of `VERDICTS`.
    note : str
    """

    window: Window
    verdict: Verdict
    note: str = ""

    @property
    def is_checked(self) -> bool:
        """Whether the verdict says what is there: right or wrong."""
        return self.verdict in _CHECKED


@dataclass(frozen=True, slots=True)
class Marks:
    """All verdicts on places, oldest first."""

    items: SharedTuple[Mark] = field(default_factory=SharedTuple)


@dataclass(frozen=True, slots=True)
class MarkPlace:
    """Record a verdict on a place.

    Attributes
    ----------
    mark : Mark
        The verdict; a *right* place is locked.
    map : "disca" or "disir"
        The map that was judged.
    click : Click or None
        The correction of a *wrong* place.
    """

    mark: Mark
    map: Guided = "disca"
    click: Click | None = None
    kind: ClassVar[str] = "review"

    def applied(self, step: Step, facts: ImageFacts) -> Step:
        """See `Action`."""
        mark = self.mark
        if mark.verdict not in VERDICTS:
            raise AreaError(f"a verdict is one of {', '.join(VERDICTS)}, not {mark.verdict!r}")
        if not mark.window or mark.window & Window.whole(facts.shape) != mark.window:
            raise AreaError("the place is not in the image; choose another")
        if (self.click is not None) != (mark.verdict == "wrong"):
            raise AreaError("what is wrong, and only that, is corrected by a click")
        if mark.verdict == "note" and not mark.note.strip():
            raise AreaError("the note is empty; write what is to be remembered")
        if len(mark.note) > _MOST_TEXT:
            raise AreaError(f"a note has at most {_MOST_TEXT} characters; shorten it")
        after = step
        if mark.verdict == "right":
            after = LockAreas((Area.rectangle(mark.window),), self.map).applied(step, facts)
        if self.click is not None:
            after = ChangeClicks(step.clicks.added(self.click), "").applied(step, facts)
        marks = step.value(Marks)
        return replace(
            after.with_value(Marks(marks.items.added(mark))), title=f"review: {mark.verdict}"
        )

    def fields(self, before: Step, after: Step) -> Mapping[str, Any]:
        """See `Action`."""
        mark, window = self.mark, self.mark.window
        members: dict[str, Any] = {
            "window": [window.top, window.left, window.height, window.width],
            "verdict": mark.verdict,
            "map": self.map,
        }
        if mark.note:
            members["note"] = mark.note
        if self.click is not None:
            members["click"] = [self.click.row, self.click.col, self.click.label]
        return members

    @classmethod
    def read(cls, fields: Mapping[str, Any], step: Step) -> Self:
        """See `Action`."""
        top, left, height, width = (whole_field(number) for number in fields["window"])
        note = text_field(fields, "note") if "note" in fields else ""
        click = None
        if "click" in fields:
            click = Click(*(whole_field(number) for number in fields["click"]))
        verdict, name = text_field(fields, "verdict"), text_field(fields, "map")
        mark = Mark(Window(top, left, height, width), verdict, note)  # type: ignore[arg-type]
        return cls(mark, name, click)  # type: ignore[arg-type]


def review_cells(marks: Iterable[Mark], network_view: NetworkView) -> NDArray[np.uint8]:
    """Return the state of each cell of the network's grid: `UNSEEN`, `SEEN` or `CHECKED`.

    A cell belongs to a place that contains its middle.
    """
    cells = np.zeros(cells_of(Window.whole(network_view.shape)).shape, dtype=np.uint8)
    (height, width), (rows, cols) = network_view.raster.shape, network_view.shape
    for mark in marks:
        window = mark.window
        part = cells[
            _first(window.top, height, rows) : _first(window.bottom, height, rows),
            _first(window.left, width, cols) : _first(window.right, width, cols),
        ]
        np.maximum(part, CHECKED if mark.is_checked else SEEN, out=part)
    return cells


def _first(position: int, image: int, network: int) -> int:
    """Return the first cell whose middle does not lie before a pixel of the image."""
    return max(0, -(-(position * network - image * CELL // 2) // (image * CELL)))
