"""The verbs of a review: verdicts on places, and how much was seen and checked."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from napari_disca.annotations.clicks import Click
from napari_disca.core.errors import AreaError
from napari_disca.core.tiling import Window
from napari_disca.inference.uncertainty import UNKNOWN, cells_of
from napari_disca.session.painting import Painting
from napari_disca.session.review_marks import (
    CHECKED,
    UNSEEN,
    Mark,
    MarkPlace,
    Marks,
    Verdict,
    review_cells,
)


class Reviewing(Painting):
    """A document whose map is reviewed place by place."""

    @property
    def marks(self) -> tuple[Mark, ...]:
        """The verdicts on places, oldest first."""
        return self.step.value(Marks).items

    def review(
        self,
        window: Window,
        verdict: Verdict,
        *,
        click: Click | None = None,
        note: str = "",
    ) -> None:
        """Say what a look at a place has shown, in one step.

        Parameters
        ----------
        window : Window
            The place; what leaves the image is cut off.
        verdict : {"seen", "right", "wrong", "unsure", "note"}
            What is *right* is locked as the map shows it; what is *wrong* is corrected by `click`;
            *unsure* says that nobody can tell; a *note* is something to remember.
        click : Click, optional
            The correction of what is wrong.
        note : str
            Goes with any verdict.

        Raises
        ------
        AreaError
            If the place is not in the image, what is right is not drawn yet, or the verdict and
            what comes with it do not fit; nothing changes then.
        ClickError
            If the click is not on the image, or its class does not exist.
        """
        window &= Window.whole(self.inputs.raster.shape)
        if verdict == "right" and window and self.stale(self.corrected, window):
            raise AreaError("the map is not finished there; say that it is right when it is")
        self.do(MarkPlace(Mark(window, verdict, note), self.corrected, click))

    def reviewed(self) -> tuple[float, float]:
        """Shares of the map that were seen, and checked, 0 to 1.

        Checked is what was said to be right or wrong; it is seen, too. Only cells that are drawn
        and have data count.
        """
        known = self._maps.uncertainty[self.corrected] != UNKNOWN
        count = int(known.sum())
        if not count:
            return 0.0, 0.0
        cells = review_cells(self.marks, self.inputs)[known]
        return float((cells > UNSEEN).sum()) / count, float((cells == CHECKED).sum()) / count

    def unseen_tiles(self) -> Iterator[Window]:
        """Tiles of the map that have data and were not seen yet, row by row, there and back."""
        cells = review_cells(self.marks, self.inputs)
        known = self._maps.uncertainty[self.corrected] != UNKNOWN
        rows, cols = self.tiling.grid
        order = np.arange(rows * cols).reshape(rows, cols)
        order[1::2] = order[1::2, ::-1]
        for index in order.ravel().tolist():
            keep = self.tiling[index].keep
            part = cells_of(keep).slices
            if ((cells[part] == UNSEEN) & known[part]).any():
                yield self.inputs.image_window(keep)
