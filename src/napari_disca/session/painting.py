"""The verbs that draw on the map: brush, outlines, whole patches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_disca.annotations.pixel_sets import PixelSet
from napari_disca.annotations.strokes import DrawnShape, Tool, drawn_pixels
from napari_disca.core.errors import AreaError
from napari_disca.core.events import Job, finish
from napari_disca.core.tiling import Window
from napari_disca.session.drawing import Draw
from napari_disca.session.patch import patch_at
from napari_disca.session.proposals import Proposals
from napari_disca.session.strokes import Stroke

if TYPE_CHECKING:
    from napari_disca.storage.label_pyramid import LabelPyramid


class Painting(Proposals):
    """A document that is drawn on.

    Whoever derives from it has maps, as a session has.
    """

    def draw(
        self,
        drawn: DrawnShape | PixelSet,
        label: int | None,
        *,
        tool: Tool = "brush",
        only: Sequence[int] = (),
        teaches: bool = True,
    ) -> Stroke:
        """Give pixels a class, in one step.

        Both guided maps show it, over whatever is clicked and adapted later, until it is undone,
        drawn over, or taken away by `unlock`. What was locked before is left as it is.

        Parameters
        ----------
        drawn : BrushPath, Area or PixelSet
            A way, an outline, or pixels.
        label : int or None
            Class id; None takes away what was drawn there before.
        tool : {"brush", "polygon", "lasso", "patch"}
        only : sequence of int
            Draw only over pixels that the map being corrected shows in these classes now; all by
            default.
        teaches : bool
            Whether adaptations from now on learn from it.

        Raises
        ------
        AreaError
            If it holds no such pixel, or a class does not exist; nothing changes then.
        """
        classes = tuple(sorted(set(map(int, only))))
        if classes:
            canvas = self._maps.pyramids[self.corrected]
            if not isinstance(drawn, PixelSet):
                drawn = drawn_pixels(drawn, canvas.shape)
            drawn = _showing(drawn, classes, canvas)
        name = "" if label is None else self._class_name(label)
        title = f"erase with the {tool}" if label is None else f"{tool} {name}"
        self.do(Draw(drawn, label, tool, teaches, classes, title))
        return self.strokes[-1]

    def draw_patch(self, row: int, col: int, label: int, *, teaches: bool = True) -> Stroke:
        """Give a class to all that is connected with a pixel, and of its class in the map.

        Raises
        ------
        AreaError
            If there is no map at that pixel, or the patch is too ragged to be kept.
        """
        return self.draw(finish(self.patch(row, col)), label, tool="patch", teaches=teaches)

    def patch(self, row: int, col: int) -> Job[PixelSet]:
        """Job that finds what is connected with a pixel, and of its class in the map.

        It costs as much as the patch is large. The maps may be painted meanwhile; what was
        painted where it has been is not looked at again.

        Yields
        ------
        Progress
        """
        return patch_at(self._maps.pyramids[self.corrected], row, col)

    def _class_name(self, label: int) -> str:
        known = 0 <= label < len(self.classes)
        return self.classes[label].name if known else f"class {label}"


def _showing(pixels: PixelSet, classes: Sequence[int], canvas: LabelPyramid) -> PixelSet:
    """Those pixels of a set that a map shows in some classes."""

    def strips() -> Iterator[tuple[Window, NDArray[np.bool_]]]:
        for window in pixels.strips():
            yield window, pixels.mask(window) & np.isin(canvas.read(window), classes)

    try:
        return PixelSet.from_masks(strips())
    except AreaError as error:
        if not any(mask.any() for _, mask in strips()):
            raise AreaError(
                "nothing of it is of a class that may be drawn over; choose other classes"
            ) from error
        raise
