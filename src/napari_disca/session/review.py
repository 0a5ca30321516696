"""Where to look next: regions in which a map is doubtful, the most rewarding first.

A region is worth its uncertainty times its area, without what was looked at already. Clicks,
corrections and locks count as they come: the order is made anew whenever it is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_disca.annotations.clicks import Clicks
from napari_disca.core.events import Job, Progress
from napari_disca.core.tiling import Window
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.uncertainty import CELL, SURE, TORN, UNKNOWN, cells_of
from napari_disca.session.review_marks import Mark, review_cells

#: Cells at least as uncertain as this are doubtful: on average the best class leads the second
#: by less than half.
_DOUBTFUL = SURE + (TORN - SURE) // 2
#: Smaller regions are borders between classes rather than mistakes, in cells.
_LEAST = 4
#: Side of the largest region, in cells; a larger one is cut, because it is not seen at one glance.
_LARGEST = 16
#: A click says that its surroundings were looked at, in pixels of the network's grid.
_BESIDE_CLICK = 2 * CELL


@dataclass(frozen=True, slots=True)
class ReviewStop:
    """A doubtful region.

    Attributes
    ----------
    window : Window
        What holds it, in pixels of the image.
    pixel : (int, int)
        Row and column of the image in the middle of its most uncertain cell.
    score : float
        Mean uncertainty times area, in cells.
    cells : Window
        What holds it, in cells of the network's grid.
    """

    window: Window
    pixel: tuple[int, int]
    score: float
    cells: Window


class Review:
    """An ordered tour of the doubtful regions of one image, and what was looked at so far.

    Parameters
    ----------
    inputs : NetworkView

    Attributes
    ----------
    visited : int
        How many stops `next` has given.
    """

    def __init__(self, inputs: NetworkView) -> None:
        self._inputs = inputs
        self._seen = np.zeros(cells_of(Window.whole(inputs.shape)).shape, dtype=np.bool_)
        self.visited = 0

    def look(self, window: Window, uncertainty: NDArray[np.uint8]) -> None:
        """Note that somebody has looked at the map there.

        Parameters
        ----------
        window : Window
            Pixels of the image; cells that it cuts off do not count.
        uncertainty : (rows, cols) array of uint8
            Of `Session.uncertainty`: where nothing is drawn yet there was nothing to see.
        """
        (height, width), (rows, cols) = self._inputs.raster.shape, self._inputs.shape

        def first(position: int, image: int, network: int) -> int:
            return -(-position * network // (image * CELL))

        def end(position: int, image: int, network: int) -> int:
            cut = position * network // (image * CELL)
            return cut if position < image else -(-network // CELL)

        cells = Window.from_bounds(
            first(window.top, height, rows),
            first(window.left, width, cols),
            end(window.bottom, height, rows),
            end(window.right, width, cols),
        )
        self._seen[cells.slices] |= uncertainty[cells.slices] != UNKNOWN

    def leave_out(self, cells: NDArray[np.uint8]) -> None:
        """Leave out what was judged before; see `review_marks.review_cells`."""
        self._seen |= cells > 0

    def next(self, uncertainty: NDArray[np.uint8], clicks: Clicks) -> tuple[ReviewStop, int] | None:
        """Go to the next stop: it counts as looked at from now on.

        Parameters
        ----------
        uncertainty, clicks
            As for `stops`.

        Returns
        -------
        (ReviewStop, int) or None
            The stop, and how many are left after it; None if there is none.
        """
        regions = self._regions(uncertainty, clicks)
        if not len(regions.order):
            return None
        first = regions.stop(0, self._inputs)
        self._seen[first.cells.slices] = True
        self.visited += 1
        return first, len(regions.order) - 1

    def stops(self, uncertainty: NDArray[np.uint8], clicks: Clicks) -> list[ReviewStop]:
        """All doubtful regions that were not looked at, the most rewarding first.

        Parameters
        ----------
        uncertainty : (rows, cols) array of uint8
            Of `Session.uncertainty`.
        clicks : Clicks
            In pixels of the image.
        """
        regions = self._regions(uncertainty, clicks)
        return [regions.stop(place, self._inputs) for place in range(len(regions.order))]

    def to_come(
        self, uncertainty: NDArray[np.uint8], clicks: Clicks, most: int
    ) -> Job[tuple[list[ReviewStop], int]]:
        """Job that finds the next stops, from copies: it may run on another thread.

        Parameters
        ----------
        uncertainty, clicks
            As for `stops`.
        most : int
            How many stops to give.

        Returns
        -------
        (list of ReviewStop, int)
            The most rewarding ones, and how many there are in all.
        """
        frozen = Review(self._inputs)
        frozen._seen = self._seen.copy()
        return frozen._found(uncertainty.copy(), clicks, most)

    def _found(
        self, uncertainty: NDArray[np.uint8], clicks: Clicks, most: int
    ) -> Job[tuple[list[ReviewStop], int]]:
        yield Progress("looking for doubtful places", 0, 1)
        regions = self._regions(uncertainty, clicks)
        count = len(regions.order)
        return [regions.stop(place, self._inputs) for place in range(min(most, count))], count

    def visit(self, window: Window) -> None:
        """Note that a place of the list was chosen: it is no stop any more."""
        self._seen |= review_cells([Mark(window, "seen")], self._inputs) > 0

    def _regions(self, uncertainty: NDArray[np.uint8], clicks: Clicks) -> _Regions:
        doubtful = (uncertainty >= _DOUBTFUL) & ~self._seen
        for click in self._inputs.network_clicks(clicks):
            beside = Window(click.row, click.col, 1, 1).grown(_BESIDE_CLICK)
            top, left = (max(0, first // CELL) for first in (beside.top, beside.left))
            doubtful[top : -(-beside.bottom // CELL), left : -(-beside.right // CELL)] = False
        return _Regions(doubtful, (uncertainty.astype(np.float64) - SURE) / (TORN - SURE))


class _Regions:
    """The doubtful regions of a map, ordered; a `ReviewStop` is made of those that are asked for.

    Parameters
    ----------
    doubtful : (rows, cols) array of bool
    worth : (rows, cols) array of float
        Uncertainty of each cell, 0 to 1.
    """

    def __init__(self, doubtful: NDArray[np.bool_], worth: NDArray[np.float64]) -> None:
        self._labels = _labelled(doubtful)
        self._worth = worth
        self._boxes = ndimage.find_objects(self._labels)
        flat = self._labels.ravel()
        areas = np.bincount(flat)
        self._scores = np.bincount(flat, worth.ravel())
        numbers = 1 + np.flatnonzero(areas[1:] >= _LEAST)
        #: Numbers of the regions, the most rewarding first; equal ones as they lie.
        self.order: NDArray[np.intp] = numbers[np.argsort(-self._scores[numbers], kind="stable")]

    def stop(self, place: int, inputs: NetworkView) -> ReviewStop:
        """The region at a place of the order."""
        number = self.order[place]
        rows, cols = self._boxes[number - 1]
        here = self._labels[rows, cols] == number
        there = np.where(here, self._worth[rows, cols], 0.0)
        row, col = (int(i) for i in np.unravel_index(int(there.argmax()), there.shape))
        at = _on_image(Window(rows.start + row, cols.start + col, 1, 1), inputs)
        box = Window.from_bounds(rows.start, cols.start, rows.stop, cols.stop)
        return ReviewStop(
            _on_image(box, inputs),
            (at.top + at.height // 2, at.left + at.width // 2),
            float(self._scores[number]),
            box,
        )


def _labelled(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Numbers of connected regions.

    Large ones are cut along a grid, so that pieces are the same whatever lies elsewhere.
    """
    labels: NDArray[np.int32]
    labels, count = ndimage.label(mask)
    sizes = [max(b.stop - b.start for b in box) for box in ndimage.find_objects(labels)]
    large = np.array([False, *(size > _LARGEST for size in sizes)])[labels]
    if large.any():
        # With walls that take room of their own one pass labels all pieces.
        walls = [np.arange(_LARGEST, length, _LARGEST) for length in mask.shape]
        spread = np.insert(np.insert(large, walls[0], False, axis=0), walls[1], False, axis=1)
        pieces, _ = ndimage.label(spread)
        cells = [np.arange(length) + np.arange(length) // _LARGEST for length in mask.shape]
        labels[large] = (pieces[np.ix_(*cells)] + count)[large]
    return labels


def _on_image(cells: Window, inputs: NetworkView) -> Window:
    """Pixels of the image that some cells cover, at least one."""
    (height, width), (rows, cols) = inputs.raster.shape, inputs.shape
    return Window.whole((height, width)) & Window.from_bounds(
        cells.top * CELL * height // rows,
        cells.left * CELL * width // cols,
        -(-cells.bottom * CELL * height // rows),
        -(-cells.right * CELL * width // cols),
    )
