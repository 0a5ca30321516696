"""A folder of files that can be made again, of limited size."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import platformdirs

from napari_disca.core.errors import DiscaError
from napari_disca.storage.atomic import replacing


class CacheFolder:
    """Files by name; above a limit, those that were not used for longest are removed.

    Whatever the disk refuses, the cache only forgets. The files are plain ones, because some are
    mapped into memory and others are read by safetensors: the package `diskcache` keeps pickles.

    Parameters
    ----------
    name : str
        Of the folder in the user's cache folder.
    suffix : str
        End of all names. Other files in the folder are left alone.
    limit : int
        Bytes of all files together.
    folder : Path, optional
        Instead of that in the user's cache folder.
    """

    def __init__(self, name: str, suffix: str, limit: int, folder: Path | None = None) -> None:
        self._folder = folder or Path(platformdirs.user_cache_dir("napari-disca", False)) / name
        self._suffix = suffix
        self._limit = limit

    def file(self, key: str) -> Path:
        """Where the file of a key is, if it is there."""
        return self._folder / f"{key}{self._suffix}"

    def used(self, key: str) -> None:
        """Remember that a file is in use, so that others are removed before it."""
        with suppress(OSError):
            os.utime(self.file(key))

    def put(self, key: str, size: int, write: Callable[[Path], object]) -> bool:
        """Write a file, and remove what is too much then.

        Parameters
        ----------
        key : str
        size : int
            Its bytes, about; a file above the limit is not written.
        write : callable
            Writes it to the path that it is given.

        Returns
        -------
        bool
            Whether the file is there now. Only errors of the disk and of this package are
            swallowed; others come through.
        """
        if size > self._limit:
            return False
        path = self.file(key)
        try:
            with replacing(path) as temporary:
                write(temporary)
        except (DiscaError, OSError):
            return False
        self._prune(path)
        return True

    def _prune(self, keep: Path) -> None:
        with suppress(OSError):
            found = [(path.stat(), path) for path in self._folder.glob(f"*{self._suffix}")]
            room = self._limit
            for facts, path in sorted(found, key=lambda f: (f[1] != keep, -f[0].st_mtime)):
                room -= facts.st_size
                if room < 0 and path != keep:
                    # Windows keeps a file that is in use.
                    with suppress(OSError):
                        path.unlink()
