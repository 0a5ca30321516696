"""Open handles of one file, one for each thread that reads at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rasterio

from napari_disca.core.errors import RasterError
from napari_disca.raster.gdal.gdal_errors import GDAL_ERRORS, reason
from napari_disca.raster.gdal.local_files import GDAL_OPTIONS, open_local
from napari_disca.raster.gdal.signature import Signature, byte_sample, signature

#: Bytes of GDAL's cache of decoded blocks; its default is 5 % of the memory. (rasterio passes bytes
#: on; GDAL itself takes a small number for megabytes.)
CACHE = 128 << 20
#: Least share of a file's sampled bytes that must be equal if only tags have changed.
_SAME_BYTES = 0.75


class FileHandles:
    """Lends every reading thread its own handle, so that a viewer never waits for a prediction.

    Parameters
    ----------
    path : Path
    cache : int
        Bytes of GDAL's cache of decoded blocks, for all files together, from now on.
    page : int or None
        Page of a TIFF file, from 1; None for GDAL's default.
    wrapped : callable, optional
        Converts the dataset that GDAL has opened into the one that is lent.

    Raises
    ------
    RasterError
        If there is no such file.
    """

    def __init__(
        self,
        path: Path,
        cache: int,
        page: int | None,
        wrapped: Callable[[Any], Any] | None = None,
    ) -> None:
        self._path, self._cache, self._page = path, cache, page
        self._wrapped = wrapped
        self._idle: list[Any] = []
        self._lock = threading.Lock()
        self._closed = False
        self._signature = _signed(path)
        self._bytes = self._sampled()

    @contextmanager
    def lend(self, is_same_image: Callable[[Any], bool]) -> Iterator[Any]:
        """Lend a handle that no other thread uses; errors of GDAL become `RasterError`.

        Parameters
        ----------
        is_same_image : callable
            Called if the file was written since it was opened: returns whether it still holds the
            same pixels. Its argument is a handle from before, or None if there is none.

        Yields
        ------
        rasterio.io.DatasetReader

        Raises
        ------
        RasterError
            If the file was closed, has changed, cannot be opened, or is damaged.
        """
        with self._lock:
            if self._closed:
                raise RasterError(f"{self._path.name} was closed")
            self._refuse_changed(is_same_image)
            file = self._idle.pop() if self._idle else None
        try:
            with rasterio.Env(GDAL_CACHEMAX=self._cache, **GDAL_OPTIONS):
                if file is None:
                    file = open_local(self._path, self._page)
                    if self._wrapped is not None:
                        file = self._wrapped(file)
                yield file
        except GDAL_ERRORS as error:
            said = reason(error)
            if "No such file" in said and self._path.exists():
                raise RasterError(
                    f"{self._path} refers to a file that is not there: {said}; put it back"
                ) from error
            raise RasterError(
                f"{self._path} is damaged or cut short: {said}; get the file again"
            ) from error
        finally:
            if file is not None:
                with self._lock:
                    keep = not self._closed
                    if keep:
                        self._idle.append(file)
                if not keep:
                    file.close()

    def _refuse_changed(self, is_same_image: Callable[[Any], bool]) -> None:
        """Raise an error if another image has got the file's name since it was opened."""
        if (now := _signed(self._path)) == self._signature:
            return
        # A file with new tags, overviews or another compression can still hold the same pixels.
        before = self._idle[-1] if self._idle and self._reads_before(now) else None
        if not is_same_image(before):
            raise RasterError(
                f"{self._path} has changed on the disk since it was opened; open it again"
            )
        while self._idle:
            self._idle.pop().close()
        self._signature = now
        self._bytes = self._sampled()

    def _reads_before(self, now: Signature) -> bool:
        """Whether an open handle still reads the pixels from before the file was written.

        It does if another file has got the name (another inode). If the file itself was written,
        most of its bytes must be the same.
        """
        if now[2] != self._signature[2]:
            return True
        sample = self._sampled()
        same = sum(a == b for a, b in zip(self._bytes, sample, strict=False))
        return same > 0 and same >= _SAME_BYTES * len(self._bytes)

    def _sampled(self) -> tuple[str, ...]:
        try:
            return byte_sample(self._path, self._signature[0])
        except OSError:
            return ()

    @property
    def closed(self) -> bool:
        """Whether the file was closed."""
        return self._closed

    def release_file(self) -> None:
        """Close idle handles; the file is opened again when something is read."""
        with self._lock:
            idle, self._idle = self._idle, []
        for file in idle:
            file.close()

    def close(self) -> None:
        """Close the file; reads that are under way still finish."""
        with self._lock:
            self._closed = True
        self.release_file()


def _signed(path: Path) -> Signature:
    try:
        return signature(path)
    except FileNotFoundError as error:
        raise RasterError(
            f"{path} does not exist any more; put it back, or open it where it is now"
        ) from error
    except (OSError, ValueError) as error:
        raise RasterError(f"{path} cannot be read: {error}") from error
