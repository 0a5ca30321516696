"""The part of a session that reviews the map: verdicts on places, shares seen and checked."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from napari_disca.annotations.clicks import Click
from napari_disca.core.errors import AreaError
from napari_disca.core.tiling import Window
from napari_disca.inference.uncertainty import UNKNOWN, cells_of
from napari_disca.session.map_state import MapState
from napari_disca.session.steps.review_marks import (
    CHECKED,
    UNSEEN,
    Mark,
    MarkPlace,
    Verdict,
    review_cells,
)


class Review:
    """Reviews the map of a session place by place, in steps of its history.

    Parameters
    ----------
    state : MapState
    """

    def __init__(self, state: MapState) -> None:
        self._state = state
        self._document = state.document
        self._network_view = state.renderer.network_view
        self._tiling = state.renderer.tiling

    def mark(
        self,
        window: Window,
        verdict: Verdict,
        *,
        click: Click | None = None,
        note: str = "",
    ) -> None:
        """Record a verdict on a place, in one step.

        Parameters
        ----------
        window : Window
            The place; parts outside the image are cut off.
        verdict : {"seen", "right", "wrong", "unsure", "note"}
            A *right* place is locked as the map shows it; a *wrong* one is corrected by `click`;
            *unsure* means that it cannot be told; a *note* is only recorded.
        click : Click, optional
            The correction of a wrong place.
        note : str
            Possible with every verdict.

        Raises
        ------
        AreaError
            If the place is outside the image, a right place is not rendered yet, or click or note
            do not fit the verdict; nothing changes then.
        ClickError
            If the click is not on the image, or its class does not exist.
        """
        corrected = self._document.corrected
        window &= Window.whole(self._network_view.raster.shape)
        if verdict == "right" and window and self._state.stale(corrected, window):
            raise AreaError("the map is not finished there; say that it is right when it is")
        self._document.do(MarkPlace(Mark(window, verdict, note), corrected, click))

    def shares(self) -> tuple[float, float]:
        """Return the shares of the map that were seen and checked, 0 to 1.

        Cells judged right or wrong are checked, and seen as well. Only rendered cells with data
        count.
        """
        rendered = self._state.maps.uncertainty[self._document.corrected] != UNKNOWN
        count = int(rendered.sum())
        if not count:
            return 0.0, 0.0
        cells = review_cells(self._document.marks, self._network_view)[rendered]
        return float((cells > UNSEEN).sum()) / count, float((cells == CHECKED).sum()) / count

    def unseen_tiles(self) -> Iterator[Window]:
        """Yield the tiles with data that were not seen yet, row by row, back and forth."""
        cells = review_cells(self._document.marks, self._network_view)
        rendered = self._state.maps.uncertainty[self._document.corrected] != UNKNOWN
        rows, cols = self._tiling.grid
        order = np.arange(rows * cols).reshape(rows, cols)
        order[1::2] = order[1::2, ::-1]
        for index in order.ravel().tolist():
            keep = self._tiling[index].keep
            part = cells_of(keep).slices
            if ((cells[part] == UNSEEN) & rendered[part]).any():
                yield self._network_view.image_window(keep)
