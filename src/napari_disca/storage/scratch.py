"""Temporary folders, removed when a program ends or, if it was killed, by the next one."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path

import filelock
import platformdirs

#: Folder -> the lock that says that its program runs. The system unlocks it when that ends.
_LOCKS: dict[Path, filelock.BaseFileLock] = {}


def scratch_folder(what: str) -> Path:
    """Make a temporary folder in the user's cache; first remove what killed programs have left.

    Parameters
    ----------
    what : str
        What it is for, in one word.

    Returns
    -------
    Path
        Give it to `remove_scratch_folder` when it is not needed any more.

    Raises
    ------
    OSError
        If neither there nor among the temporary files a folder can be made.
    """
    base = Path(platformdirs.user_cache_dir("napari-disca", appauthor=False)) / f"{what}s"
    prefix = f"napari-disca-{what}-"
    try:
        base.mkdir(parents=True, exist_ok=True)
        _sweep(base, prefix)
        return _locked_folder(base, prefix)
    except OSError:
        # Often in memory rather than on disk, so it is the second choice.
        return Path(tempfile.mkdtemp(prefix=prefix))


def remove_scratch_folder(folder: Path) -> None:
    """Remove a temporary folder as far as that is possible now.

    Windows does not remove files that are still mapped. Such a folder goes when this program has
    ended and another makes one.
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
    # Only now: what is there and not locked belongs to nobody.
    folder.mkdir(mode=0o700)
    _LOCKS[folder] = lock
    return folder


def _sweep(base: Path, prefix: str) -> None:
    """Remove folders whose programs have ended without removing them."""
    for left in base.glob(f"{prefix}*"):
        if left.suffix == ".lock" or left in _LOCKS:
            continue
        lock = _lock_of(left)
        try:
            lock.acquire(timeout=0)
        except (filelock.Timeout, NotImplementedError, OSError):
            continue  # in use, or nobody can know
        shutil.rmtree(left, ignore_errors=True)
        _release(lock, left)


def _lock_of(folder: Path) -> filelock.BaseFileLock:
    return filelock.FileLock(folder.with_name(f"{folder.name}.lock"), thread_local=False)


def _release(lock: filelock.BaseFileLock, folder: Path) -> None:
    # While it is held, where the system permits it: nobody else can have it between.
    file = folder.with_name(f"{folder.name}.lock")
    with suppress(OSError):
        file.unlink(missing_ok=True)
    lock.release(force=True)
    with suppress(OSError):
        file.unlink(missing_ok=True)
