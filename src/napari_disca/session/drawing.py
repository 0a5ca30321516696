"""The part of a session that draws on the map: brush, outlines, whole patches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from napari_disca.annotations.pixel_sets import PixelSet
from napari_disca.annotations.strokes import DrawnShape, Tool, drawn_pixels
from napari_disca.core.errors import AreaError
from napari_disca.core.events import Job, finish
from napari_disca.core.tiling import Window
from napari_disca.session.map_state import MapState
from napari_disca.session.regions.patch import patch_at
from napari_disca.session.steps.draw_action import Draw
from napari_disca.session.steps.strokes import Stroke
from napari_disca.storage.label_pyramid import LabelPyramid


class Drawing:
    """Draws on the map of a session, in steps of its history.

    Parameters
    ----------
    state : MapState
    """

    def __init__(self, state: MapState) -> None:
        self._document = state.document
        self._pyramids = state.maps.pyramids

    def draw(
        self,
        drawn: DrawnShape | PixelSet,
        label: int | None,
        *,
        tool: Tool = "brush",
        only: Sequence[int] = (),
        teaches: bool = True,
    ) -> Stroke:
        """Give pixels a class in one step, and return the stroke.

        Both maps that clicks change show it, over later clicks and adaptations, until it is undone,
        drawn over, or removed by `Document.unlock`. Pixels that were locked before stay.

        Parameters
        ----------
        drawn : BrushPath, Area or PixelSet
            A path, an outline, or pixels.
        label : int or None
            Class id; None erases what was drawn there before.
        tool : {"brush", "polygon", "lasso", "patch"}
        only : sequence of int
            Draw only over pixels that the map being corrected shows in these classes now; all by
            default.
        teaches : bool
            Whether adaptations from now on learn from it.

        Raises
        ------
        AreaError
            If no pixel is drawn on, or a class does not exist; nothing changes then.
        """
        classes = tuple(sorted(set(map(int, only))))
        if classes:
            pyramid = self._pyramids[self._document.corrected]
            if not isinstance(drawn, PixelSet):
                drawn = drawn_pixels(drawn, pyramid.shape)
            drawn = _showing(drawn, classes, pyramid)
        name = "" if label is None else self._class_name(label)
        title = f"erase with the {tool}" if label is None else f"{tool} {name}"
        self._document.do(Draw(drawn, label, tool, teaches, classes, title))
        stroke = self._document.step.locks[-1]
        assert isinstance(stroke, Stroke)
        return stroke

    def draw_patch(self, row: int, col: int, label: int, *, teaches: bool = True) -> Stroke:
        """Give a class to the connected pixels of one class around a pixel; return the stroke.

        Raises
        ------
        AreaError
            If there is no map at that pixel, or the patch is too ragged to be kept.
        """
        return self.draw(finish(self.patch(row, col)), label, tool="patch", teaches=teaches)

    def patch(self, row: int, col: int) -> Job[PixelSet]:
        """Job that returns the patch of a pixel: connected pixels of its class in the map.

        Its cost grows with the patch. The maps may be painted meanwhile; parts that were read
        before are not read again.

        Yields
        ------
        Progress
        """
        return patch_at(self._pyramids[self._document.corrected], row, col)

    def _class_name(self, label: int) -> str:
        classes = self._document.classes
        exists = 0 <= label < len(classes)
        return classes[label].name if exists else f"class {label}"


def _showing(pixels: PixelSet, classes: Sequence[int], pyramid: LabelPyramid) -> PixelSet:
    """Return the pixels of a set that have some classes in a map."""

    def strips() -> Iterator[tuple[Window, NDArray[np.bool_]]]:
        for window in pixels.strips():
            yield window, pixels.mask(window) & np.isin(pyramid.read(window), classes)

    try:
        return PixelSet.from_masks(strips())
    except AreaError as error:
        if not any(mask.any() for _, mask in strips()):
            raise AreaError(
                "nothing of it is of a class that may be drawn over; choose other classes"
            ) from error
        raise
