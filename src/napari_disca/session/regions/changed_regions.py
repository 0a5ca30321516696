"""Regions in which two label maps differ, and the pixels of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from napari_disca.annotations.areas import Area, Ring, mask_outlines
from napari_disca.core.tiling import Window
from napari_disca.session.regions.label_runs import Runs
from napari_disca.storage.label_pyramid import NO_DATA

#: Most pixels that are compared at once.
_STRIP = 1 << 23
#: Side of the blocks whose outlines are made at once, in pixels.
_PIECE = 2048
#: Most corners of one area; an `Area` may have more.
_CORNERS = 50_000


class LabelMap(Protocol):
    """A map that is compared: a `LabelPyramid`, or a `Snapshot` of one."""

    shape: tuple[int, int]

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Return the class ids of a window; 255 where there is none."""


@dataclass(frozen=True, slots=True)
class Region:
    """Connected pixels that changed from one class to one other.

    Attributes
    ----------
    before, after : int
        Class ids.
    area : int
        In pixels.
    window : Window
        Smallest window that holds it.
    pixel : (int, int)
        Row and column of one of its pixels.
    certainty : float or None
        Mean certainty of the network about the new class, 0 to 1; None if not known.
    square_metres : float or None
        None where the image has no ground resolution.
    complete : bool
        False while not all windows around it are compared: it may be larger then, and the same
        region as another of the list.
    """

    before: int
    after: int
    area: int
    window: Window
    pixel: tuple[int, int]
    certainty: float | None = None
    square_metres: float | None = None
    complete: bool = True


def changed_codes(
    before: LabelMap, after: LabelMap, where: Window, windows: Iterable[Window]
) -> NDArray[np.uint16]:
    """Return both classes of each pixel that differs in a window as one number; 0 elsewhere.

    Parameters
    ----------
    windows : iterable of Window
        Parts of the image that are compared.

    Returns
    -------
    (height, width) array of uint16
        ``256 * before + after``.
    """
    codes = np.zeros(where.shape, dtype=np.uint16)
    for window in windows:
        part = window & where
        if not part:
            continue
        then, now = before.read(part), after.read(part)
        changed = (then != now) & (then != NO_DATA) & (now != NO_DATA)
        if changed.any():
            target = codes[part.relative_to(where).slices]
            np.multiply(then, 256, out=target, where=changed, dtype=np.uint16)
            np.add(target, now, out=target, where=changed)
    return codes


def strips(windows: Sequence[Window], width: int) -> Iterator[tuple[int, int, list[Window]]]:
    """Cut windows into strips of rows, from top to bottom.

    Yields
    ------
    (int, int, list of Window)
        First row, row after the last, and the parts of the windows there, with neighbours joined.
        Rows without windows are left out.
    """
    tallest = max(1, _STRIP // max(1, width))
    cuts = {edge for window in windows for edge in (window.top, window.bottom)}
    waiting = sorted(windows, key=lambda window: -window.top)
    reached: list[Window] = []
    for low, high in pairwise(sorted(cuts)):
        while waiting and waiting[-1].top <= low:
            reached.append(waiting.pop())
        reached = [window for window in reached if window.bottom > low]
        if not reached:
            continue
        for top in range(low, high, tallest):
            bottom = min(top + tallest, high)
            yield top, bottom, list(_joined(top, bottom, reached))


def _joined(top: int, bottom: int, windows: Iterable[Window]) -> Iterator[Window]:
    """Yield the windows of some rows, with adjacent ones joined."""
    left = right = -1
    for window in sorted(windows, key=lambda window: window.left):
        if window.left != right and right > left:
            yield Window.from_bounds(top, left, bottom, right)
        if window.left != right:
            left = window.left
        right = window.right
    if right > left:
        yield Window.from_bounds(top, left, bottom, right)


def runs_of(region: Region, before: LabelMap, after: LabelMap) -> Runs:
    """Return the pixels of a complete region as runs.

    They are read from the two maps again, in which the region must not have changed since.

    Returns
    -------
    Runs
        Empty if the region has changed or is gone.
    """
    code = region.before * 256 + region.after
    found = Runs.empty()
    for top, bottom, parts in strips([region.window], region.window.width):
        strip = Window.from_bounds(top, region.window.left, bottom, region.window.right)
        runs = Runs.of(changed_codes(before, after, strip, parts), top, region.window.left)
        found = found.followed_by(runs[runs.codes == code])
    labels, _ = found.components()
    row, col = region.pixel
    at = np.flatnonzero((found.rows == row) & (found.starts <= col) & (col < found.ends))
    runs = found[labels == labels[at[0]]] if len(at) else Runs.empty()
    # If its area has changed it is another region, which the user has not seen.
    return runs if int(runs.lengths.sum()) == region.area else Runs.empty()


def mask_of(region: Region, before: LabelMap, after: LabelMap, window: Window) -> NDArray[np.bool_]:
    """Return which pixels of a window belong to a complete region."""
    mask = np.zeros(window.shape, dtype=np.bool_)
    if region.window & window:
        runs_of(region, before, after).paint(mask, window.top, window.left)
    return mask


def areas_of(region: Region, before: LabelMap, after: LabelMap) -> tuple[Area, ...]:
    """Return the exact pixels of a complete region as areas.

    Usually one area; several if the outline has more corners than an area may have. Empty if the
    region is gone.
    """
    runs = runs_of(region, before, after)
    rings: list[Ring] = []
    areas: list[Area] = []
    corners = 0
    for piece in _pieces(region.window):
        mask = np.zeros(piece.shape, dtype=np.bool_)
        runs.paint(mask, piece.top, piece.left)
        for one in mask_outlines(mask, piece.top, piece.left):
            many = sum(map(len, one))
            if rings and corners + many > _CORNERS:
                areas.append(Area(tuple(rings)))
                rings, corners = [], 0
            rings += one
            corners += many
    if rings:
        areas.append(Area(tuple(rings)))
    return tuple(areas)


def _pieces(window: Window) -> Iterator[Window]:
    for top in range(window.top, window.bottom, _PIECE):
        for left in range(window.left, window.right, _PIECE):
            yield Window(top, left, _PIECE, _PIECE) & window
