"""A label map as a pyramid of uint8 arrays that is painted patch by patch.

Stored values are *class id + 1*, and 0 where nothing is painted: napari shows 0 as
transparent, and a file of zeros takes no space on disk until it is painted. `LabelPyramid.read`
returns class ids.
"""

from __future__ import annotations

import mmap
import tempfile
import threading
import weakref
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_disca.core.errors import ExportError
from napari_disca.core.tiling import Window
from napari_disca.storage.preallocated import PreallocatedFile
from napari_disca.storage.scratch import remove_scratch_folder, scratch_folder

#: Value of `LabelPyramid.read` where nothing is painted or the image has no data.
NO_DATA = 255

#: Levels with at most this many pixels live in memory. napari keeps the coarsest level of a
#: pyramid as a NumPy array, so that one must be.
_IN_MEMORY = 1 << 22
_COARSEST = 1024
#: Bytes painted or read after which the mapped pages are released. They count as this program's
#: memory until then; the data stay in the file.
_RELEASE_AFTER = 32 << 20
#: Compressed bytes of labels that a snapshot keeps in memory; more of them go to disk.
_IN_SNAPSHOT = 32 << 20
#: Rows of a band: a snapshot lists the windows that were painted over per band.
_BAND = 512
#: Bytes that Linux also maps around those that are read, if they are in its page cache.
_READ_AROUND = 64 << 10


class LabelPyramid:
    """A label map of any size that can be painted in place.

    Large levels are memory-mapped files.

    Parameters
    ----------
    shape : (int, int)
        Height and width in pixels.
    folder : Path, optional
        Where the files are kept; a map of this shape that an earlier program left there is
        shown again. By default a folder in the user's cache, which is removed with the object.

    Attributes
    ----------
    levels : tuple of (h, w) arrays of uint8
        Class id + 1, 0 where nothing is painted; each level is every second pixel of the one
        before. The arrays stay the same objects, because viewers hold them.
    folder : Path or None
        Where the files are; None if everything is in memory.

    Raises
    ------
    ExportError
        If there is no disk space for the files, or the folder cannot be written.
    """

    def __init__(self, shape: tuple[int, int], folder: Path | None = None) -> None:
        self.shape = shape
        shapes = _shapes(shape)
        self._maps: list[mmap.mmap] = []
        # One thread, which owns the session, paints while others read.
        self._lock = threading.RLock()
        self._snapshots: weakref.WeakSet[Snapshot] = weakref.WeakSet()
        self._files: dict[int, PreallocatedFile] = {}
        self._touched = 0
        self.folder = folder
        try:
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
            elif shape[0] * shape[1] > _IN_MEMORY:
                self.folder = scratch_folder("map")
                weakref.finalize(self, remove_scratch_folder, self.folder)
            levels: list[NDArray[np.uint8]] = []
            for k, size in enumerate(shapes):
                levels.append(self._new_level(k, size, persistent=folder is not None, finer=levels))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ExportError(
                f"no disk space for a map of {shape[0]} x {shape[1]} pixels "
                f"in {self.folder}: {reason}"
            ) from error
        self.levels = tuple(levels)

    def _new_level(
        self,
        index: int,
        shape: tuple[int, int],
        *,
        persistent: bool,
        finer: list[NDArray[np.uint8]],
    ) -> NDArray[np.uint8]:
        pixels = shape[0] * shape[1]
        if self.folder is None or not _is_in_file(index, shape, persistent=persistent):
            if persistent and finer:
                return np.ascontiguousarray(finer[-1][::2, ::2])
            return np.zeros(shape, dtype=np.uint8)
        path = self.folder / _file(index)
        exists = path.exists() and path.stat().st_size == pixels
        self._files[index] = PreallocatedFile(path, pixels, keep=exists)
        with path.open("r+b") as file:
            mapped = mmap.mmap(file.fileno(), pixels)
        self._maps.append(mapped)
        return np.ndarray(shape, dtype=np.uint8, buffer=mapped)

    def paint(self, window: Window, labels: NDArray[np.uint8]) -> None:
        """Write class ids (255: none) into all levels.

        Parameters
        ----------
        window : Window
            Where; inside the map.
        labels : (height, width) array of uint8

        Raises
        ------
        ExportError
            If the disk is full; nothing is painted then.
        """
        with self._lock:
            self._reserve_space(window)
            for snapshot in self._snapshots:
                snapshot.keep(window)
            self._paint(window, labels)

    def _paint(self, window: Window, labels: NDArray[np.uint8]) -> None:
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
        self._count_touched(window)

    def _reserve_space(self, window: Window) -> None:
        try:
            for k, file in self._files.items():
                width = self.levels[k].shape[1]
                file.reserve((window.top >> k) * width, -(-window.bottom // (1 << k)) * width)
        except OSError as error:
            raise ExportError(
                f"no disk space for the map in {self.folder}: {error.strerror or error}; "
                "free some, then repeat the last step"
            ) from error

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Class ids of a window as a new array; 255 where nothing is painted."""
        with self._lock:
            labels: NDArray[np.uint8] = np.asarray(self.levels[0][window.slices]) - np.uint8(1)
            self._count_touched(window)
        return labels

    def snapshot(self) -> Snapshot:
        """Return the map as it is now; later painting does not change what it reads."""
        with self._lock:
            snapshot = Snapshot(self)
            self._snapshots.add(snapshot)
        return snapshot

    def _count_touched(self, window: Window) -> None:
        """Count bytes that were painted or read, and release the pages after enough of them."""
        # The rows of a window lie far apart in the file, and the system maps more around each.
        # Twice, because all coarser levels together have as many rows again.
        self._touched += 2 * window.height * min(self.shape[1], window.width + _READ_AROUND)
        if self._touched > _RELEASE_AFTER:
            self.release_memory()

    def release_memory(self) -> None:
        """Release the memory that holds parts of the files; the files keep what is painted."""
        self._touched = 0
        if hasattr(mmap, "MADV_DONTNEED"):  # Windows trims working sets by itself
            for mapped in self._maps:
                mapped.madvise(mmap.MADV_DONTNEED)


class Snapshot:
    """A label map as it was at one moment.

    Nothing is copied when it is made. Labels are kept, compressed, before they are painted over,
    so the snapshot costs as much as is painted while it exists.

    Parameters
    ----------
    pyramid : LabelPyramid
        The map; see `LabelPyramid.snapshot`.
    """

    def __init__(self, pyramid: LabelPyramid) -> None:
        self.shape = pyramid.shape
        self._pyramid = pyramid
        self._file = tempfile.SpooledTemporaryFile(  # noqa: SIM115
            max_size=_IN_SNAPSHOT, dir=None if pyramid.folder is None else str(pyramid.folder)
        )
        weakref.finalize(self, self._file.close)
        #: Band of rows -> windows that were painted over -> offset and length of their labels.
        self._bands: dict[int, dict[Window, tuple[int, int]]] = {}

    def keep(self, window: Window) -> None:
        """Keep the labels of a window before they are painted over.

        Raises
        ------
        ExportError
            If there is no disk space for them.
        """
        bands = [self._bands.setdefault(band, {}) for band in _bands(window)]
        if any(window in band for band in bands):
            return  # its labels from when the snapshot was made are kept already
        packed = zlib.compress(self._pyramid.read(window).tobytes(), level=1)
        try:
            start = self._file.seek(0, 2)
            self._file.write(packed)
        except OSError as error:
            raise ExportError(
                "no disk space for what is painted over while a map is saved: "
                f"{error.strerror or error}"
            ) from error
        for band in bands:
            band[window] = start, len(packed)

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Class ids of a window, as `LabelPyramid.read` gave them when the snapshot was made."""
        with self._pyramid._lock:
            labels = self._pyramid.read(window)
            saved = {
                over: place
                for band in _bands(window)
                for over, place in self._bands.get(band, {}).items()
                if over & window
            }
            # Windows may overlap: the labels that were kept first are the oldest and go on top.
            for over, (start, size) in sorted(saved.items(), key=lambda item: -item[1][0]):
                self._file.seek(start)
                old = np.frombuffer(zlib.decompress(self._file.read(size)), dtype=np.uint8)
                part = over & window
                labels[part.relative_to(window).slices] = old.reshape(over.shape)[
                    part.relative_to(over).slices
                ]
        return labels


def _bands(window: Window) -> range:
    return range(window.top // _BAND, -(-window.bottom // _BAND))


def level_files(shape: tuple[int, int]) -> dict[str, int]:
    """Names of the files of a kept map of this shape, and their sizes in bytes."""
    return {
        _file(index): size[0] * size[1]
        for index, size in enumerate(_shapes(shape))
        if _is_in_file(index, size, persistent=True)
    }


def _is_in_file(level: int, shape: tuple[int, int], *, persistent: bool) -> bool:
    """Whether a level lies in a file, or in memory."""
    # A map that outlives this program must be in a file, at least at full resolution.
    return shape[0] * shape[1] > _IN_MEMORY or (persistent and level == 0)


def _file(level: int) -> str:
    return f"level{level}"


def _shapes(shape: tuple[int, int]) -> list[tuple[int, int]]:
    """Height and width of every level, the finest first."""
    shapes = [shape]
    while max(shapes[-1]) > _COARSEST:
        height, width = shapes[-1]
        shapes.append((-(-height // 2), -(-width // 2)))
    return shapes
