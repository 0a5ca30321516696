"""A folder of limited size for files that can be made again."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import platformdirs

from napari_disca.core.errors import DiscaError
from napari_disca.storage.atomic import replacing


class CacheFolder:
    """Files by key; above a limit, those that were not used for longest are removed.

    An error of the disk is no error here: the file is then not in the cache. The package
    `diskcache` is not used, because it keeps pickles; these are plain files, some of which are
    mapped into memory and others read by safetensors.

    Parameters
    ----------
    name : str
        Name of the folder in the user's cache folder.
    suffix : str
        End of all names. Other files in the folder are left alone.
    limit : int
        Bytes of all files together.
    folder : Path, optional
        Used instead of the one in the user's cache folder.
    """

    def __init__(self, name: str, suffix: str, limit: int, folder: Path | None = None) -> None:
        self._folder = folder or Path(platformdirs.user_cache_dir("napari-disca", False)) / name
        self._suffix = suffix
        self._limit = limit

    def file(self, key: str) -> Path:
        """Path of the file of a key, whether or not it exists."""
        return self._folder / f"{key}{self._suffix}"

    def used(self, key: str) -> None:
        """Mark a file as just used, so that others are removed before it."""
        with suppress(OSError):
            os.utime(self.file(key))

    def put(self, key: str, size: int, write: Callable[[Path], object]) -> bool:
        """Write a file, then remove others until the folder is below its limit.

        Parameters
        ----------
        key : str
        size : int
            About how many bytes it will have; a file above the limit is not written.
        write : callable
            Writes it to the path that it is given.

        Returns
        -------
        bool
            Whether the file exists now. Only errors of the disk and of this package are
            ignored; others are raised.
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
            left = self._limit
            for facts, path in sorted(found, key=lambda f: (f[1] != keep, -f[0].st_mtime)):
                left -= facts.st_size
                if left < 0 and path != keep:
                    # Windows does not remove a file that is in use.
                    with suppress(OSError):
                        path.unlink()
