"""Memory-mapped files whose disk space is reserved before they are written.

The system allocates disk space for a page of a mapped file when the page is first written. On a
full disk it then ends the program (SIGBUS), which Python cannot catch. Where the space is
reserved first, an `OSError` is raised instead.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import numpy as np

#: Bytes of a piece, which is reserved at once.
_PIECE = 1 << 20


class PreallocatedFile:
    """A file of zeros that reserves disk space piece by piece, before a piece is written.

    A piece that is not reserved takes no space. File systems in memory are the exception: there a
    piece takes space when it is read, so the whole file is reserved at once. Systems that cannot
    reserve space (macOS, Windows) only set the length of the file.

    Parameters
    ----------
    path : Path
        Created, or emptied if it exists and `keep` is False.
    size : int
        Bytes.
    whole : bool
        Reserve all of it now.
    keep : bool
        Open an existing file of this size and leave its content alone.

    Raises
    ------
    OSError
        If the disk is full; the file is removed then.
    """

    def __init__(self, path: Path, size: int, *, whole: bool = False, keep: bool = False) -> None:
        self._path = path
        self._size = size
        self._reserved = np.zeros(-(-size // _PIECE), dtype=np.bool_)
        try:
            if not keep:
                with path.open("wb") as file:
                    file.truncate(size)
            if whole or _in_memory(path):
                self.reserve(0, size)
        except OSError:
            if not keep:
                with suppress(OSError):
                    path.unlink(missing_ok=True)
            raise

    def reserve(self, start: int, stop: int) -> None:
        """Reserve space for the bytes ``start ... stop - 1``.

        Raises
        ------
        OSError
            If the disk is full.
        """
        pieces = slice(start // _PIECE, -(-stop // _PIECE))
        missing = np.flatnonzero(~self._reserved[pieces])
        if not len(missing) or not hasattr(os, "posix_fallocate"):
            return
        low = (pieces.start + int(missing[0])) * _PIECE
        high = min((pieces.start + int(missing[-1]) + 1) * _PIECE, self._size)
        with self._path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), low, high - low)
        self._reserved[pieces] = True


def _in_memory(path: Path) -> bool:
    """Whether a file's file system is in memory, as ``/tmp`` is on many systems."""
    best, kind = "", ""
    try:
        place = str(path.resolve())
        for line in Path("/proc/self/mounts").read_text("utf-8", "surrogateescape").splitlines():
            _, mount, name, *_ = line.split(" ")
            mount = mount.encode("utf-8", "surrogateescape").decode("unicode_escape")
            inside = mount == "/" or place == mount or place.startswith(mount + "/")
            if inside and len(mount) >= len(best):
                best, kind = mount, name
    except (OSError, ValueError):
        return False
    return kind in ("tmpfs", "ramfs")
