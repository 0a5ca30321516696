"""Files whose room on the disk is asked for before they are mapped and written.

Pages of a mapped file get their room when they are first touched. Where there is none left, the
system ends the program (SIGBUS), which nothing can catch. Asking first makes of it an `OSError`.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import numpy as np

#: Bytes that are asked for at once.
_PIECE = 1 << 20


class PreallocatedFile:
    """A file of zeros whose room is asked for piece by piece, as it is about to be written.

    A piece that was not asked for takes no room, but on file systems in memory, where merely to
    look at it does: there all is asked for at once. Systems without a call for it (macOS, Windows)
    give the file its length and no more.

    Parameters
    ----------
    path : Path
        Made, or emptied unless it is to be kept.
    size : int
        Bytes.
    whole : bool
        Ask for everything now.
    keep : bool
        The file is there, of this size, and stays what it is.

    Raises
    ------
    OSError
        If there is no room; the file is removed then.
    """

    def __init__(self, path: Path, size: int, *, whole: bool = False, keep: bool = False) -> None:
        self._path = path
        self._size = size
        self._taken = np.zeros(-(-size // _PIECE), dtype=np.bool_)
        try:
            if not keep:
                with path.open("wb") as file:
                    file.truncate(size)
            if whole or _in_memory(path):
                self.ask(0, size)
        except OSError:
            if not keep:
                with suppress(OSError):
                    path.unlink(missing_ok=True)
            raise

    def ask(self, start: int, stop: int) -> None:
        """Take room for the bytes ``start ... stop - 1``.

        Raises
        ------
        OSError
            If there is none.
        """
        pieces = slice(start // _PIECE, -(-stop // _PIECE))
        missing = np.flatnonzero(~self._taken[pieces])
        if not len(missing) or not hasattr(os, "posix_fallocate"):
            return
        low = (pieces.start + int(missing[0])) * _PIECE
        high = min((pieces.start + int(missing[-1]) + 1) * _PIECE, self._size)
        with self._path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), low, high - low)
        self._taken[pieces] = True


def _in_memory(path: Path) -> bool:
    """Whether a file lies in memory, as ``/tmp`` does on many systems."""
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
