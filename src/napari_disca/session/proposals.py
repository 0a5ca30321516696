"""The part of a session that judges an adaptation, and finds its ripple."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_disca.annotations.areas import Area
from napari_disca.core.errors import AreaError
from napari_disca.core.events import Job
from napari_disca.core.tiling import Window
from napari_disca.inference.uncertainty import CELL, SURE, TORN, UNKNOWN
from napari_disca.raster.resolution import raster_resolution
from napari_disca.session.map_state import MapState
from napari_disca.session.regions.changed_regions import Region, areas_of
from napari_disca.session.regions.label_runs import Ints
from napari_disca.session.regions.ripple import Certainty, Ripple, compare
from napari_disca.session.steps.step_values import AdaptationRun, LockKind
from napari_disca.session.steps.verdicts import Judge, KeepNear, SetStrength

if TYPE_CHECKING:
    from napari_disca.inference.network_view import NetworkView

#: Number of tiles with most change that are compared first where nothing is in view.
_FIRST_TILES = 12
#: Largest side of the part of a view that is compared first, in pixels.
_FIRST_VIEW = 2048


class Proposals:
    """Judges the adaptations of a session, in steps of its history.

    Parameters
    ----------
    state : MapState
    """

    def __init__(self, state: MapState) -> None:
        self._state = state
        self._document = state.document
        self._network_view = state.renderer.network_view
        self._tiling = state.renderer.tiling

    @property
    def current(self) -> AdaptationRun | None:
        """The adaptation if it was not judged as a whole yet, else None."""
        run = self._document.adapted
        if run is None or run.near_only:
            return None
        judged = {lock.run.answer for lock in self._document.verdicts if lock.changed and lock.run}
        return None if run.answer in judged else run

    @property
    def strength(self) -> float | None:
        """Strength of the adaptation; None without one, or if its recipe has no strength."""
        run = self._document.adapted
        return None if run is None else run.strength

    # ---------------------------------------------------------------- verdicts

    def accept(
        self, regions: Iterable[Region | Area] | None = None, *, ripple: Ripple | None = None
    ) -> None:
        """Accept changes of the adaptation: they stay, and later adaptations learn from them.

        Accepted pixels keep their class whatever is adapted later. A later click of another class
        counts within its reach, and where it changes DISIR's map.

        Parameters
        ----------
        regions : iterable of Region or Area, optional
            Regions of a ripple, or areas; by default all that was changed.
        ripple : Ripple, optional
            Ripple of the present map, which speeds up accepting everything.

        Raises
        ------
        AreaError
            If nothing was adapted, or a region is not in the map any more.
        """
        self._judge("accepted", regions, ripple)

    def reject(
        self, regions: Iterable[Region | Area] | None = None, *, ripple: Ripple | None = None
    ) -> None:
        """Reject changes of the adaptation: the map shows DISIR's labels there again.

        It does so whatever is adapted later; later clicks count. Later adaptations learn from it.

        Parameters
        ----------
        regions, ripple
            As for `accept`.

        Raises
        ------
        AreaError
            If nothing was adapted, or a region is not in the map any more.
        """
        self._judge("rejected", regions, ripple)

    def only_near(self) -> None:
        """Keep the adaptation near the clicks only; elsewhere the map is DISIR's.

        Near means within 64 pixels of the network's grid. Nothing is learned from it: the next
        adaptation counts everywhere.

        Raises
        ------
        AreaError
            If nothing was adapted.
        """
        self._document.do(KeepNear())

    def set_strength(self, strength: float) -> None:
        """Set the strength of the adaptation: 0 is DISIR's map, 1 the default, more changes more.

        Nothing is learned again.

        Raises
        ------
        RecipeError
            If nothing was adapted, or its recipe has no strength, or this one is out of range.
        """
        self._document.do(SetStrength(float(strength)))

    def _judge(
        self,
        verdict: LockKind,
        regions: Iterable[Region | Area] | None,
        ripple: Ripple | None,
    ) -> None:
        verb = "accept" if verdict == "accepted" else "reject"
        if regions is None:
            where = ripple.windows if ripple is not None and not ripple.missing else None
            where = (Window.whole(self._network_view.raster.shape),) if where is None else where
            areas = tuple(Area.rectangle(window) for window in where)
            self._document.do(
                Judge(verdict, areas, changed=True, title=f"{verb} all that was adapted")
            )
            return
        chosen = tuple(regions)
        found: list[Area] = []
        for region in chosen:
            found += [region] if isinstance(region, Area) else self._areas_of(region)
        title = f"{verb} a region" if len(chosen) == 1 else f"{verb} {len(chosen)} regions"
        self._document.do(Judge(verdict, tuple(found), changed=False, title=title))

    def _areas_of(self, region: Region) -> Sequence[Area]:
        if not region.complete:
            raise AreaError(
                "the region may be larger than its finished part; wait until the map is finished"
            )
        maps = self._state.maps.pyramids
        areas = areas_of(region, maps["disir"], maps["disca"])
        if not areas:
            raise AreaError("the map has changed there since; look at the list again")
        return areas

    # ---------------------------------------------------------------- ripple

    def ripple(self, min_area: int = 1, view: Window | None = None) -> Job[Ripple]:
        """Job that returns what the adaptation has changed: the adapted map against DISIR's.

        Tiles that are out of date in one of the maps are left out and counted. The maps must not
        be painted meanwhile.

        Parameters
        ----------
        min_area : int
            Smaller regions are not listed, in pixels.
        view : Window, optional
            The part in view, which is compared first.

        Yields
        ------
        RippleSoFar
        """
        shown = self._shown_now()
        differ = shown & self._state.maps.versions.differ("disir", "disca")
        missing = int((~shown).sum())
        return self._ripple(np.flatnonzero(differ).tolist(), view, min_area, missing)

    def _ripple(
        self, tiles: Sequence[int], view: Window | None, min_area: int, missing: int
    ) -> Job[Ripple]:
        before, after = (self._state.maps.pyramids[name] for name in ("disir", "disca"))
        windows = [self._network_view.image_window(self._tiling[tile].keep) for tile in tiles]
        if view is not None:
            row, col = (int(at) for at in view.centre)
            half = _FIRST_VIEW // 2
            first = [view & Window.from_bounds(row - half, col - half, row + half, col + half)]
        else:
            first = most_changed(before.levels, after.levels, windows)
        resolution = raster_resolution(self._network_view.raster)
        found = yield from compare(
            before,
            after,
            windows,
            first=first,
            min_area=min_area,
            certainty=certainty_of(
                self._state.maps.uncertainty["disca"].copy(), self._network_view
            ),
            pixel_area=None if resolution is None else resolution**2,
            missing=missing,
        )
        return found

    def _shown_now(self) -> NDArray[np.bool_]:
        """Return which tiles are up to date in both maps that clicks change."""
        shown = np.ones(len(self._tiling), dtype=np.bool_)
        for name in ("disir", "disca"):
            shown[self._state.stale(name).indices] = False
        return shown


def most_changed(
    before: Sequence[NDArray[np.uint8]],
    after: Sequence[NDArray[np.uint8]],
    windows: Sequence[Window],
) -> list[Window]:
    """Return the windows with most changes on the coarsest levels of two pyramids."""
    step = 1 << (len(before) - 1)
    different = before[-1] != after[-1]
    counts = np.array(
        [
            np.count_nonzero(
                different[
                    window.top // step : -(-window.bottom // step),
                    window.left // step : -(-window.right // step),
                ]
            )
            for window in windows
        ],
        dtype=np.int64,
    )
    order = np.argsort(-counts, kind="stable")[:_FIRST_TILES]
    return [windows[i] for i in order if counts[i]]


def certainty_of(uncertainty: NDArray[np.uint8], network_view: NetworkView) -> Certainty:
    """Return a function that gives the certainty of a map at pixels of the image.

    Parameters
    ----------
    uncertainty : (rows, cols) array of uint8
        Uncertainty of cells; see `napari_disca.inference.uncertainty`.
    network_view : NetworkView
    """
    (height, width), (rows, cols) = network_view.raster.shape, network_view.shape

    def certainty(row: Ints, col: Ints) -> NDArray[np.float64]:
        cells = uncertainty[row * rows // (height * CELL), col * cols // (width * CELL)]
        values = 1 - (cells.astype(np.float64) - SURE) / (TORN - SURE)
        return np.where(cells == UNKNOWN, np.nan, values)

    return certainty
