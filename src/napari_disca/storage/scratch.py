"""Temporary folders; those of a program that was killed are removed by the next one."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path

import filelock
import platformdirs

#: Folder -> its lock. The system unlocks it when the program ends, in whichever way.
_LOCKS: dict[Path, filelock.BaseFileLock] = {}


def scratch_folder(what: str) -> Path:
    """Make a temporary folder in the user's cache, after removing those of killed programs.

    Parameters
    ----------
    what : str
        What it is for, in one word; part of its name.

    Returns
    -------
    Path
        The new folder; `remove_scratch_folder` removes it.

    Raises
    ------
    OSError
        If no folder can be made, neither there nor in the system's temporary folder.
    """
    base = Path(platformdirs.user_cache_dir("napari-disca", appauthor=False)) / f"{what}s"
    prefix = f"napari-disca-{what}-"
    try:
        base.mkdir(parents=True, exist_ok=True)
        _sweep(base, prefix)
        return _locked_folder(base, prefix)
    except OSError:
        # The system's temporary folder is often in memory, so it is the second choice.
        return Path(tempfile.mkdtemp(prefix=prefix))


def remove_scratch_folder(folder: Path) -> None:
    """Remove a temporary folder and its lock, or leave both to a later program.

    Windows does not remove files that are still mapped. The next program that makes a temporary
    folder after this one has ended removes such a folder.
    """
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        return
    lock = _LOCKS.pop(folder, None)
    if lock is not None:
        _release(lock, folder)


def _locked_folder(base: Path, prefix: str) -> Path:
    folder = base / f"{prefix}{uuid.uuid4().hex[:12]}"
    lock = _lock_of(folder)
    with suppress(NotImplementedError):  # a file system without locks: never swept
        lock.acquire(timeout=0)
    # Only after the lock: an unlocked folder is removed by other programs.
    folder.mkdir(mode=0o700)
    _LOCKS[folder] = lock
    return folder


def _sweep(base: Path, prefix: str) -> None:
    """Remove folders whose programs have ended, which their locks tell."""
    for left in base.glob(f"{prefix}*"):
        if left.suffix == ".lock" or left in _LOCKS:
            continue
        lock = _lock_of(left)
        try:
            lock.acquire(timeout=0)
        except (filelock.Timeout, NotImplementedError, OSError):
            continue  # in use, or the file system has no locks
        shutil.rmtree(left, ignore_errors=True)
        _release(lock, left)


def _lock_of(folder: Path) -> filelock.BaseFileLock:
    return filelock.FileLock(folder.with_name(f"{folder.name}.lock"), thread_local=False)


def _release(lock: filelock.BaseFileLock, folder: Path) -> None:
    # Removed before it is released, so that nobody can lock it in between; Windows needs the
    # second attempt.
    file = folder.with_name(f"{folder.name}.lock")
    with suppress(OSError):
        file.unlink(missing_ok=True)
    lock.release(force=True)
    with suppress(OSError):
        file.unlink(missing_ok=True)
