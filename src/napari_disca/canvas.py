"""The growing label map: a pyramid of uint8 arrays, painted patch by patch.

Stored values are *class id + 1*, and 0 where nothing is painted: that is what napari shows as
transparent, and a file of zeros takes no room on disk until it is painted. `Canvas.read` gives
class ids back.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_disca.diskroom import Room
from napari_disca.errors import ExportError
from napari_disca.tiling import Window

#: Value of `Canvas.read` where nothing is painted or the image has no data.
NO_DATA = 255

#: Levels with at most this many pixels live in memory. napari keeps the coarsest level of a
#: pyramid as a NumPy array, so that one must be.
_IN_MEMORY = 1 << 22
_COARSEST = 1024


class Canvas:
    """A label map of any size that can be painted in place.

    Large levels are memory-mapped files in a temporary folder, removed with the canvas.

    Parameters
    ----------
    shape : (int, int)
        Height and width in pixels.

    Attributes
    ----------
    levels : tuple of (h, w) arrays of uint8
        Class id + 1, 0 where nothing is painted; each level is every second pixel of the one
        before. The arrays stay the same objects for the life of the canvas.

    Raises
    ------
    ExportError
        If there is no room for the files.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape
        shapes = [shape]
        while max(shapes[-1]) > _COARSEST:
            height, width = shapes[-1]
            shapes.append((-(-height // 2), -(-width // 2)))
        self._folder: Path | None = None
        self._rooms: dict[int, Room] = {}
        if shape[0] * shape[1] > _IN_MEMORY:
            self._folder = Path(tempfile.mkdtemp(prefix="napari-disca-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        try:
            self.levels = tuple(self._new_level(k, size) for k, size in enumerate(shapes))
        except OSError as error:
            raise ExportError(
                f"no room for a map of {shape[0]} x {shape[1]} pixels in {self._folder}: "
                f"{error.strerror or error}"
            ) from error

    def _new_level(self, index: int, shape: tuple[int, int]) -> NDArray[np.uint8]:
        if self._folder is None or shape[0] * shape[1] <= _IN_MEMORY:
            return np.zeros(shape, dtype=np.uint8)
        path = self._folder / f"level{index}"
        self._rooms[index] = Room(path, shape[0] * shape[1])
        return np.memmap(path, dtype=np.uint8, mode="r+", shape=shape)

    def paint(self, window: Window, labels: NDArray[np.uint8]) -> None:
        """Write class ids (255: none) into all levels.

        Parameters
        ----------
        window : Window
            Where; inside the canvas.
        labels : (height, width) array of uint8

        Raises
        ------
        ExportError
            If the disk is full; nothing is painted then.
        """
        self._make_room(window)
        # 255 + 1 wraps to 0, "nothing".
        self.levels[0][window.slices] = labels + np.uint8(1)
        for k, level in enumerate(self.levels[1:], start=1):
            step = 1 << k
            rows = slice(-(-window.top // step), -(-window.bottom // step))
            cols = slice(-(-window.left // step), -(-window.right // step))
            if rows.start < rows.stop and cols.start < cols.stop:
                level[rows, cols] = self.levels[0][
                    rows.start * step : (rows.stop - 1) * step + 1 : step,
                    cols.start * step : (cols.stop - 1) * step + 1 : step,
                ]

    def _make_room(self, window: Window) -> None:
        try:
            for k, room in self._rooms.items():
                width = self.levels[k].shape[1]
                room.ask((window.top >> k) * width, -(-window.bottom // (1 << k)) * width)
        except OSError as error:
            raise ExportError(
                f"no room for the map in {self._folder}: {error.strerror or error}; free some, "
                "then go on"
            ) from error

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Class ids of a window as a new array; 255 where nothing is painted."""
        labels: NDArray[np.uint8] = np.asarray(self.levels[0][window.slices]) - np.uint8(1)
        return labels

    def clear(self) -> None:
        """Forget all that was painted."""
        for level in self.levels:
            level[:] = 0
