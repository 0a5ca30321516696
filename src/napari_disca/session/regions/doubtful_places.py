"""Finds the doubtful regions of a map, the most rewarding first.

The score of a region is its uncertainty times its area, without cells that were seen. The order is
computed at each call, so that new clicks, corrections and locks count.
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
from napari_disca.session.steps.review_marks import Mark, review_cells

#: Least uncertainty of doubtful cells: on average the best class leads the second by less than
#: half.
_DOUBTFUL = SURE + (TORN - SURE) // 2
#: Least area of a region in cells: smaller ones are mostly borders between classes.
_LEAST = 4
#: Largest side of a region in cells; larger ones are cut, so that each is seen at one glance.
_LARGEST = 16
#: Radius around a click that counts as seen, in pixels of the network's grid.
_BESIDE_CLICK = 2 * CELL


@dataclass(frozen=True, slots=True)
class ReviewStop:
    """A doubtful region.

    Attributes
    ----------
    window : Window
        Its bounding window, in pixels of the image.
    pixel : (int, int)
        Row and column of the image in the middle of its most uncertain cell.
    score : float
        Mean uncertainty times area, in cells.
    cells : Window
        Its bounding window, in cells of the network's grid.
    """

    window: Window
    pixel: tuple[int, int]
    score: float
    cells: Window


class DoubtfulPlaces:
    """The order of the doubtful regions of one image, and which cells were seen.

    Parameters
    ----------
    network_view : NetworkView

    Attributes
    ----------
    visited : int
        Number of stops that `next` has returned.
    """

    def __init__(self, network_view: NetworkView) -> None:
        self._network_view = network_view
        self._seen = np.zeros(cells_of(Window.whole(network_view.shape)).shape, dtype=np.bool_)
        self.visited = 0

    def mark_seen(self, window: Window, uncertainty: NDArray[np.uint8]) -> None:
        """Note that a window was seen.

        Parameters
        ----------
        window : Window
            In pixels of the image; cells that it cuts do not count.
        uncertainty : (rows, cols) array of uint8
            From `Session.uncertainty`; cells that are not rendered yet were not seen.
        """
        (height, width), (rows, cols) = self._network_view.raster.shape, self._network_view.shape

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
        """Leave out cells that were judged; see `review_marks.review_cells`."""
        self._seen |= cells > 0

    def next(self, uncertainty: NDArray[np.uint8], clicks: Clicks) -> tuple[ReviewStop, int] | None:
        """Return the next stop, which counts as seen from now on.

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
        first = regions.stop(0, self._network_view)
        self._seen[first.cells.slices] = True
        self.visited += 1
        return first, len(regions.order) - 1

    def stops(self, uncertainty: NDArray[np.uint8], clicks: Clicks) -> list[ReviewStop]:
        """Return all doubtful regions that were not seen, the most rewarding first.

        Parameters
        ----------
        uncertainty : (rows, cols) array of uint8
            From `Session.uncertainty`.
        clicks : Clicks
            In pixels of the image.
        """
        regions = self._regions(uncertainty, clicks)
        return [regions.stop(place, self._network_view) for place in range(len(regions.order))]

    def to_come(
        self, uncertainty: NDArray[np.uint8], clicks: Clicks, most: int
    ) -> Job[tuple[list[ReviewStop], int]]:
        """Job that returns the next stops; it works on copies, and may run on another thread.

        Parameters
        ----------
        uncertainty, clicks
            As for `stops`.
        most : int
            Most stops to return.

        Returns
        -------
        (list of ReviewStop, int)
            The most rewarding stops, and the number of all.
        """
        frozen = DoubtfulPlaces(self._network_view)
        frozen._seen = self._seen.copy()
        return frozen._found(uncertainty.copy(), clicks, most)

    def _found(
        self, uncertainty: NDArray[np.uint8], clicks: Clicks, most: int
    ) -> Job[tuple[list[ReviewStop], int]]:
        yield Progress("finding doubtful places", 0, 1)
        regions = self._regions(uncertainty, clicks)
        count = len(regions.order)
        return [regions.stop(place, self._network_view) for place in range(min(most, count))], count

    def visit(self, window: Window) -> None:
        """Note that a place was chosen in the list: it is not a stop any more."""
        self._seen |= review_cells([Mark(window, "seen")], self._network_view) > 0

    def _regions(self, uncertainty: NDArray[np.uint8], clicks: Clicks) -> _Regions:
        doubtful = (uncertainty >= _DOUBTFUL) & ~self._seen
        for click in self._network_view.network_clicks(clicks):
            beside = Window(click.row, click.col, 1, 1).grown(_BESIDE_CLICK)
            top, left = (max(0, first // CELL) for first in (beside.top, beside.left))
            doubtful[top : -(-beside.bottom // CELL), left : -(-beside.right // CELL)] = False
        return _Regions(doubtful, (uncertainty.astype(np.float64) - SURE) / (TORN - SURE))


class _Regions:
    """The doubtful regions of a map in their order; stops are made on request.

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
        #: Numbers of the regions, the most rewarding first; equal ones in reading order.
        self.order: NDArray[np.intp] = numbers[np.argsort(-self._scores[numbers], kind="stable")]

    def stop(self, place: int, network_view: NetworkView) -> ReviewStop:
        """Return the stop at a place of the order."""
        number = self.order[place]
        rows, cols = self._boxes[number - 1]
        here = self._labels[rows, cols] == number
        worth = np.where(here, self._worth[rows, cols], 0.0)
        row, col = (int(i) for i in np.unravel_index(int(worth.argmax()), worth.shape))
        at = _on_image(Window(rows.start + row, cols.start + col, 1, 1), network_view)
        box = Window.from_bounds(rows.start, cols.start, rows.stop, cols.stop)
        return ReviewStop(
            _on_image(box, network_view),
            (at.top + at.height // 2, at.left + at.width // 2),
            float(self._scores[number]),
            box,
        )


def _labelled(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return the number of the connected region of each cell.

    Large regions are cut along a fixed grid, so that the parts do not depend on other regions.
    """
    labels: NDArray[np.int32]
    labels, count = ndimage.label(mask)
    sizes = [max(b.stop - b.start for b in box) for box in ndimage.find_objects(labels)]
    large = np.array([False, *(size > _LARGEST for size in sizes)])[labels]
    if large.any():
        # With one more cell between the parts, one pass labels all of them.
        walls = [np.arange(_LARGEST, length, _LARGEST) for length in mask.shape]
        spread = np.insert(np.insert(large, walls[0], False, axis=0), walls[1], False, axis=1)
        pieces, _ = ndimage.label(spread)
        cells = [np.arange(length) + np.arange(length) // _LARGEST for length in mask.shape]
        labels[large] = (pieces[np.ix_(*cells)] + count)[large]
    return labels


def _on_image(cells: Window, network_view: NetworkView) -> Window:
    """Return the window of the image that cells cover, of one pixel at least."""
    (height, width), (rows, cols) = network_view.raster.shape, network_view.shape
    return Window.whole((height, width)) & Window.from_bounds(
        cells.top * CELL * height // rows,
        cells.left * CELL * width // cols,
        -(-cells.bottom * CELL * height // rows),
        -(-cells.right * CELL * width // cols),
    )
