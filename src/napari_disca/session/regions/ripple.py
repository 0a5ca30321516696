"""The *ripple*: what an adaptation changed, as a list of regions, the largest first.

Two label maps are compared at full resolution. A region is connected (8 neighbours) and changed
from one class to one other. The maps are read in strips, so that the memory does not depend on the
image's size; parts of a region in several strips are joined.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_disca.core.events import Event, Job
from napari_disca.core.tiling import Window
from napari_disca.session.regions.changed_regions import LabelMap, Region, changed_codes, strips
from napari_disca.session.regions.label_runs import Ints, Regions, Runs, grouped

#: ``certainty(rows, cols)`` returns 0 to 1 for pixels, NaN where it is not known.
Certainty: TypeAlias = Callable[[Ints, Ints], NDArray[np.float64]]

#: Most listed regions; smaller ones are only counted.
_MOST = 10_000
#: Most regions of an interim list.
_SOON = 200
#: Least seconds between two interim lists.
_PAUSE = 0.25


@dataclass(frozen=True, slots=True)
class RippleSoFar(Event):
    """Event: the largest regions found so far; some are not `Region.complete`.

    Attributes
    ----------
    regions : tuple of Region
        The largest first.
    done, total : int
        Pixels that were compared, and pixels to compare.
    """

    regions: tuple[Region, ...]
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Ripple:
    """All differences between two maps.

    Attributes
    ----------
    regions : tuple of Region
        The largest first; equal ones in reading order. All are complete unless tiles are missing.
    changed : int
        Number of pixels that differ, with those of unlisted regions.
    unlisted : int
        Number of regions that are not listed: below the least area, or beyond the largest 10 000.
    windows : tuple of Window
        Windows with differences: they hold all of them, and do not overlap.
    missing : int
        Number of tiles that are not rendered yet, and so not compared.
    """

    regions: tuple[Region, ...]
    changed: int
    unlisted: int
    windows: tuple[Window, ...] = ()
    missing: int = 0


def compare(
    before: LabelMap,
    after: LabelMap,
    windows: Sequence[Window],
    *,
    first: Sequence[Window] = (),
    min_area: int = 1,
    certainty: Certainty | None = None,
    pixel_area: float | None = None,
    missing: int = 0,
) -> Job[Ripple]:
    """Job that returns the differences between two maps of one image.

    Parameters
    ----------
    before, after : LabelMap
        Read on the thread of the job; they must not change meanwhile.
    windows : sequence of Window
        Where they may differ: windows that do not overlap, for instance kept windows of tiles.
    first : sequence of Window
        Windows to compare first, for instance those in view; their regions come as an early event,
        as far as they lie within.
    min_area : int
        Least area of listed regions in pixels (the *minimum mapping unit*).
    certainty : callable, optional
    pixel_area : float, optional
        Square metres of a pixel.
    missing : int
        See `Ripple`.

    Yields
    ------
    RippleSoFar
    """
    search = _Search(before, after, min_area, certainty, pixel_area)
    whole = Window.whole(before.shape)
    windows = [window & whole for window in windows if window & whole]
    total = sum(window.size for window in windows)
    soon: list[Region] = []
    for glance in first:
        soon += search.preview(windows, glance & whole)
        yield RippleSoFar(_ordered(soon)[:_SOON], 0, total)
    done, reported = 0, time.monotonic()
    for top, bottom, parts in strips(windows, whole.width):
        search.compare_rows(top, bottom, parts)
        done += sum(window.size for window in parts)
        if time.monotonic() > reported + _PAUSE and done < total:
            soon = [region for region in soon if region.window.top >= bottom]
            yield RippleSoFar(_ordered((*search.largest(), *soon))[:_SOON], done, total)
            reported = time.monotonic()
    return search.result(missing)


class _Search:
    """The state of a comparison: complete regions, and those that may continue."""

    def __init__(
        self,
        before: LabelMap,
        after: LabelMap,
        min_area: int,
        certainty: Certainty | None,
        pixel_area: float | None,
    ) -> None:
        self._maps = before, after
        self._min_area = max(1, min_area)
        self._certainty = certainty
        self._pixel_area = pixel_area
        #: Regions that reach the last compared row, the runs of that row, and their regions.
        self._open = Regions.empty()
        self._frontier = Runs.empty()
        self._owners: Ints = np.zeros(0, dtype=np.int64)
        #: Heap of the largest complete regions.
        self._largest: list[tuple[int, int, int, int, Region]] = []
        self._changed = 0
        self._unlisted = 0
        self._windows: list[Window] = []

    def preview(self, windows: Iterable[Window], seen: Window) -> list[Region]:
        """Return the regions of a window, cut at its border."""
        codes = changed_codes(*self._maps, seen, windows)
        runs = Runs.of(codes, seen.top, seen.left)
        labels, count = runs.components()
        found = self._regions(runs).merged(labels, count)
        found = found[found.areas >= self._min_area]
        found = found[np.argsort(-found.areas, kind="stable")[:_SOON]]
        return [replace(region, complete=False) for region in self._named(found)]

    def compare_rows(self, top: int, bottom: int, windows: Iterable[Window]) -> None:
        """Compare the windows of the next rows."""
        strip = Window.from_bounds(top, 0, bottom, self._maps[0].shape[1])
        runs = Runs.of(changed_codes(*self._maps, strip, windows), top)
        self._changed += int(runs.lengths.sum())
        if len(runs):
            self._windows.append(
                Window.from_bounds(
                    int(runs.rows[0]),
                    int(runs.starts.min()),
                    int(runs.rows[-1]) + 1,
                    int(runs.ends.max()),
                )
            )
        if len(self._frontier) and int(self._frontier.rows[0]) != top - 1:
            self._frontier, self._owners = Runs.empty(), self._owners[:0]
        frontier = len(self._frontier)
        labels, count = self._frontier.followed_by(runs).components()
        # Two parts below may belong to one region that was joined above.
        groups, number = grouped(labels[:frontier], count + self._owners, count + len(self._open))
        of_runs = groups[labels[frontier:]]
        parts = self._regions(runs).followed_by(self._open)
        belong = np.concatenate([of_runs, groups[count:]])
        joined = parts.merged(belong, number)
        last = runs.rows == bottom - 1
        alive = np.zeros(number, dtype=np.bool_)
        alive[of_runs[last]] = True
        self._close(joined[~alive])
        renumbered = np.cumsum(alive) - 1
        self._open = joined[alive]
        self._frontier, self._owners = runs[last], renumbered[of_runs[last]]

    def largest(self) -> list[Region]:
        """Return the largest regions found so far."""
        largest = [region for *_, region in heapq.nlargest(_SOON, self._largest)]
        going_on = self._open[np.argsort(-self._open.areas, kind="stable")[:_SOON]]
        return largest + [
            replace(region, complete=False)
            for region in self._named(going_on)
            if region.area >= self._min_area
        ]

    def result(self, missing: int) -> Ripple:
        """Return the ripple, after all rows were compared."""
        self._close(self._open)
        self._open = Regions.empty()
        regions = _ordered(region for *_, region in self._largest)
        if missing:
            regions = tuple(replace(region, complete=False) for region in regions)
        return Ripple(regions, self._changed, self._unlisted, tuple(self._windows), missing)

    def _close(self, found: Regions) -> None:
        """Keep the largest of complete regions."""
        large = found.areas >= self._min_area
        if len(self._largest) >= _MOST:
            large &= found.areas >= self._largest[0][0]
        self._unlisted += int((~large).sum())
        for region in self._named(found[large]):
            entry = (region.area, -region.pixel[0], -region.pixel[1], region.after, region)
            if len(self._largest) < _MOST:
                heapq.heappush(self._largest, entry)
            else:
                heapq.heappushpop(self._largest, entry)
                self._unlisted += 1

    def _regions(self, runs: Runs) -> Regions:
        if self._certainty is None:
            return Regions.of(runs, np.full(len(runs), np.nan))
        # A cell of certainty covers many pixels, so the middle of a run is enough.
        return Regions.of(runs, self._certainty(runs.rows, (runs.starts + runs.ends) // 2))

    def _named(self, found: Regions) -> Iterator[Region]:
        with np.errstate(invalid="ignore"):
            certainty = found.certainty_sum / np.where(found.rated > 0, found.rated, np.nan)
        for i in range(len(found)):
            before, after = divmod(int(found.codes[i]), 256)
            length, row, col = (int(value) for value in found.inside[i])
            area = int(found.areas[i])
            window = Window.from_bounds(
                int(found.tops[i]),
                int(found.lefts[i]),
                int(found.bottoms[i]),
                int(found.rights[i]),
            )
            yield Region(
                before,
                after,
                area,
                window,
                (row, col + length // 2),
                None if np.isnan(certainty[i]) else float(certainty[i]),
                None if self._pixel_area is None else area * self._pixel_area,
            )


def _ordered(regions: Iterable[Region]) -> tuple[Region, ...]:
    return tuple(sorted(regions, key=lambda r: (-r.area, r.pixel, r.after)))
