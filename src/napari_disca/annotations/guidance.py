"""Distance maps that a network reads beside the image to know the clicks (the *guidance*).

Each class has one guidance map, and every click of that class is a small cone in it (Lenczner et
al. 2020, section 3). Guidance is drawn for one window at a time, from the clicks that reach into
it. A pixel's guidance does not depend on the window for which it is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.core.errors import ClickError
from napari_disca.core.tiling import Window

#: OpenCV's 3 x 3 chamfer weights for ``DIST_L2``: a horizontal and a diagonal step.
_STEP, _DIAGONAL = 0.955, 1.3693
#: A pixel lit by one click reaches 4 up/left and 5 down/right (an even kernel has no centre).
_AUTHORS_REACH = 5


@dataclass(frozen=True, slots=True)
class Guidance:
    """How clicks are drawn for a network; part of its card.

    Parameters
    ----------
    drawing : {"cone", "authors"}
        ``"cone"``: ``scale * max(0, 1 - d / radius)``, where ``d`` is the Euclidean distance to
        the nearest click of the class. ``"authors"``: as in the paper's code, a dilation of the
        clicks by OpenCV's 10 x 10 ellipse, then OpenCV's Euclidean distance transform with the
        3 x 3 mask (steps of 0.955 and 1.3693): an 83-pixel cone, at most 4.8 high, that reaches
        4 pixels up and left and 5 down and right. `radius` is ignored there.
    radius : int
        Radius of the cone in pixels of the network's grid.
    scale : float
        Factor on the drawn values.

    Raises
    ------
    ClickError
        If the drawing is unknown, or the radius or the scale is out of range.
    """

    drawing: Literal["cone", "authors"] = "cone"
    radius: int = 16
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.drawing not in ("cone", "authors"):
            raise ClickError(
                f"guidance drawing {self.drawing!r} is unknown; use 'cone' or 'authors'"
            )
        if not isinstance(self.radius, int) or not 1 <= self.radius <= 256:
            raise ClickError(
                f"a guidance radius of {self.radius!r} is not a whole number from 1 to 256 pixels"
            )
        if not isinstance(self.scale, int | float) or not 0 < self.scale < 1e6:
            raise ClickError(f"a guidance scale of {self.scale!r} is not a positive number")

    @property
    def reach(self) -> int:
        """Largest distance in pixels from a click at which its guidance can be non-zero."""
        return self.radius if self.drawing == "cone" else _AUTHORS_REACH

    @property
    def peak(self) -> float:
        """Value of the guidance at a click's own pixel."""
        return self.scale * (1.0 if self.drawing == "cone" else 4.5)

    def relevant(self, clicks: Clicks, window: Window) -> Clicks:
        """Return the clicks that can change the guidance in `window`.

        Discs of the authors' drawing that touch merge and grow higher inside, so there a click
        counts if a chain of touching discs leads from it into the window.
        """
        near = clicks.inside(window.grown(self.reach))
        if self.drawing == "cone" or not near or len(near) == len(clicks):
            return near
        rows, cols, _ = clicks.arrays()
        tree = cKDTree(np.stack([rows, cols], axis=1))
        chosen = {i for i, click in enumerate(clicks) if click in near}
        frontier = list(chosen)
        while frontier:
            # Two discs touch (8-neighbours) when their clicks are at most 10 apart; one more
            # pixel, because a disc next to another takes away its nearest unlit pixels.
            links = tree.query_ball_point(tree.data[frontier], 2 * _AUTHORS_REACH + 1, p=np.inf)
            frontier = list({i for link in links for i in link} - chosen)
            chosen.update(frontier)
        return Clicks(tuple(click for i, click in enumerate(clicks) if i in chosen))

    def draw(
        self, clicks: Clicks, window: Window, classes: int, shape: tuple[int, int]
    ) -> NDArray[np.float32]:
        """Draw the guidance of a window, one map per class.

        Parameters
        ----------
        clicks : Clicks
            Clicks in pixels of the raster that `window` belongs to.
        window : Window
            Pixels to draw.
        classes : int
            Number of classes, each of which gets a map.
        shape : (int, int)
            Height and width of the whole raster, at whose edge the authors' drawing ends.

        Returns
        -------
        (classes, height, width) array of float32
            Zero where no click reaches.
        """
        maps = np.zeros((classes, *window.shape), dtype=np.float32)
        seen = self.relevant(clicks, window)
        if self.drawing == "cone":
            _draw_cones(maps, seen, window, self.radius)
        else:
            for label in {click.label for click in seen}:
                of_class = Clicks(tuple(click for click in seen if click.label == label))
                _draw_authors(maps[label], of_class, window, shape)
        if self.scale != 1.0:
            maps *= np.float32(self.scale)
        return maps


@lru_cache(maxsize=8)
def cone(radius: int) -> NDArray[np.float32]:
    """Guidance around one click: ``max(0, 1 - d / radius)``, ``2 * radius + 1`` pixels a side."""
    offsets = np.arange(-radius, radius + 1)
    distance = np.hypot(offsets[:, None], offsets[None, :])
    return np.maximum(0.0, 1.0 - distance / radius).astype(np.float32)


def _draw_cones(
    maps: NDArray[np.float32], clicks: Iterable[Click], window: Window, radius: int
) -> None:
    stamp = cone(radius)
    for click in clicks:
        box = Window(click.row - radius, click.col - radius, *stamp.shape)
        seen = box & window
        if seen:
            target = maps[(click.label, *seen.relative_to(window).slices)]
            np.maximum(target, stamp[seen.relative_to(box).slices], out=target)


@lru_cache(maxsize=1)
def _ellipse() -> NDArray[np.bool_]:
    """OpenCV's ``getStructuringElement(MORPH_ELLIPSE, (10, 10))``."""
    size, radius = 10, 5
    kernel = np.zeros((size, size), dtype=np.bool_)
    for i in range(size):
        dx = int(np.rint(radius * np.sqrt((radius**2 - (i - radius) ** 2) / radius**2)))
        kernel[i, max(radius - dx, 0) : min(radius + dx + 1, size)] = True
    return kernel


def _draw_authors(
    target: NDArray[np.float32], clicks: Clicks, window: Window, shape: tuple[int, int]
) -> None:
    """Dilate and transform the clicks of one class around themselves, into `target`."""
    rows, cols, _ = clicks.arrays()
    box = Window.from_bounds(
        int(rows.min()), int(cols.min()), int(rows.max()) + 1, int(cols.max()) + 1
    )
    box = box.grown(_AUTHORS_REACH + 1) & Window.whole(shape)
    clicked = np.zeros(box.shape, dtype=np.bool_)
    clicked[rows - box.top, cols - box.left] = True
    # scipy reflects the kernel as OpenCV does not: with the kernel turned round and the even
    # side's extra pixel moved, a click lights -4 ... +5.
    lit = ndimage.binary_dilation(
        clicked, structure=np.pad(_ellipse()[::-1, ::-1], ((1, 0), (1, 0)))
    )
    if lit.all() and box == Window.whole(shape):
        # OpenCV returns a huge number if every pixel is lit; here the pixels beyond the raster
        # count as unlit.
        distance = _chamfer(np.pad(lit, 1))[1:-1, 1:-1]
    else:
        distance = _chamfer(lit)
    seen = box & window
    if seen:
        target[seen.relative_to(window).slices] = distance[seen.relative_to(box).slices]


def _chamfer(lit: NDArray[np.bool_]) -> NDArray[np.float32]:
    """3 x 3 chamfer distance of lit pixels to the nearest unlit one.

    All pixels are relaxed at once until nothing changes, which takes about six rounds for single
    clicks. Borgefors (1986) gets the same distances in two sequential passes over the pixels,
    which would be slow in Python.
    """
    distance = np.where(lit, np.inf, 0.0)
    while True:
        padded = np.pad(distance, 1, constant_values=np.inf)
        height, width = distance.shape
        best = distance
        for i in range(3):
            for j in range(3):
                if (i, j) != (1, 1):
                    step = _STEP if 1 in (i, j) else _DIAGONAL
                    best = np.minimum(best, padded[i : i + height, j : j + width] + step)
        if np.array_equal(best, distance):
            return distance.astype(np.float32)
        distance = best
