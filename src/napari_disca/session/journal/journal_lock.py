"""Locks a journal that is being written.

The operating system holds the lock, so that a crash releases it.
"""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from pathlib import Path

import filelock

from napari_disca.core.errors import JournalError


class JournalLock:
    """The lock of a journal: a file beside it that only one process can lock.

    Parameters
    ----------
    path : Path
        The journal.

    Raises
    ------
    JournalError
        If another session holds it.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = self.file(path)
        self._lock = filelock.FileLock(self._path, thread_local=False)
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            raise JournalError(
                f"{path.name} is open in another window{_holder(self._path)}; "
                "work on a copy, or close it there"
            ) from None
        except NotImplementedError:
            return  # a file system without locks: the journal is written without one
        with suppress(OSError):
            self._path.write_text(f"process {os.getpid()} on {platform.node()}", "utf-8")

    @staticmethod
    def file(path: Path) -> Path:
        """Return the file that is locked for a journal."""
        return path.with_name(f".{path.name}.lock")

    def release(self) -> None:
        """Release the lock, and remove its file."""
        # While it is still locked, so that a process that has opened the file sees that it is gone.
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
        self._lock.release(force=True)


def _holder(lock: Path) -> str:
    try:
        with lock.open("rb") as file:
            who = file.read(200).decode("utf-8", "replace")
    except OSError:
        return ""
    return f" ({who})" if who.isprintable() and who else ""


def holder(path: Path) -> str:
    """Return who has a journal open, like ``process 123 on host``; empty if nobody has."""
    try:
        JournalLock(path).release()
    except JournalError:
        return _holder(JournalLock.file(path)).strip(" ()") or "another process"
    except OSError:
        pass  # a folder without locks cannot be written, so nobody writes
    return ""
