"""The action that draws: pixels get a class by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from napari_disca.annotations.areas import Area
from napari_disca.annotations.pixel_sets import PixelSet
from napari_disca.annotations.strokes import TOOLS, BrushPath, DrawnShape, Tool, drawn_pixels
from napari_disca.core.errors import AreaError, JournalError
from napari_disca.core.tiling import Window
from napari_disca.session.steps.journal_fields import (
    areas_field,
    real_field,
    text_field,
    whole_field,
)
from napari_disca.session.steps.steps import ImageFacts, Step
from napari_disca.session.steps.strokes import Stroke


@dataclass(frozen=True, slots=True)
class Draw:
    """Give pixels a class, or erase what was drawn there.

    Attributes
    ----------
    drawn : BrushPath, Area or PixelSet
        The pixels: a path or an outline, or the exact pixels where they depend on the map.
    label : int or None
        Class id; None erases.
    tool : str
    teaches : bool
        Whether adaptations learn from it.
    only : tuple of int
        Classes that were drawn over; kept for exports, since `drawn` holds the pixels.
    title : str
    """

    drawn: DrawnShape | PixelSet
    label: int | None
    tool: Tool
    teaches: bool = True
    only: tuple[int, ...] = ()
    title: str = ""
    kind: ClassVar[str] = "stroke"

    def applied(self, step: Step, facts: ImageFacts) -> Step:
        """See `Action`."""
        for label in (*self.only, *(() if self.label is None else (self.label,))):
            if not 0 <= label < facts.classes:
                raise AreaError(f"there is no class {label}; there are {facts.classes}, from 0")
        if self.tool not in TOOLS:
            raise AreaError(
                f"there is no tool {str(self.tool)[:40]!r}; choose one of {', '.join(TOOLS)}"
            )
        pixels = self.drawn
        if not isinstance(pixels, PixelSet):
            pixels = drawn_pixels(pixels, facts.shape)
        elif pixels.window & Window.whole(facts.shape) != pixels.window:
            raise AreaError("pixels lie outside the image")
        teaches = self.teaches and self.label is not None
        stroke = Stroke(facts.next_lock, pixels, self.label, self.tool, teaches, self.only)
        title = self.title or ("erase what was drawn" if self.label is None else self.tool)
        return replace(step, title=title, locks=step.locks.added(stroke))

    def fields(self, before: Step, after: Step) -> Mapping[str, Any]:
        """See `Action`."""
        members: dict[str, Any] = {
            "title": after.title,
            "tool": self.tool,
            "label": self.label,
            "teaches": self.teaches,
        }
        if self.only:
            members["only"] = list(self.only)
        if isinstance(self.drawn, BrushPath):
            return {**members, "path": self.drawn.path, "radius": self.drawn.radius}
        if isinstance(self.drawn, Area):
            return {**members, "rings": self.drawn.rings}
        stroke = after.locks[-1]
        assert isinstance(stroke, Stroke)
        return {**members, "pixels": stroke.area.to_json()}

    @classmethod
    def read(cls, fields: Mapping[str, Any], step: Step) -> Self:
        """See `Action`."""
        teaches, label = fields["teaches"], fields["label"]
        if not isinstance(teaches, bool):
            raise JournalError("'teaches' is neither true nor false")
        drawn: DrawnShape | PixelSet
        if "path" in fields:
            path = tuple((real_field(row), real_field(col)) for row, col in fields["path"])
            drawn = BrushPath(path, real_field(fields["radius"]))
        elif "rings" in fields:
            (drawn,) = areas_field([fields["rings"]])
        else:
            drawn = PixelSet.from_json(fields["pixels"])
        return cls(
            drawn,
            None if label is None else whole_field(label),
            fields["tool"],
            teaches,
            tuple(whole_field(one) for one in fields.get("only", [])),
            text_field(fields, "title"),
        )
