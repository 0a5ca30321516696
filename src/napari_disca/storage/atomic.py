"""Files that are either complete or not there."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

from napari_disca.core.errors import ExportError

#: Most bytes of a file's name on the usual file systems.
_LONGEST_NAME = 255
#: Most bytes that a temporary name adds.
_ADDED = 32
#: Age in seconds from which temporary files of killed programs are removed.
_ABANDONED = 24 * 3600.0


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary name in the same folder; the file is renamed to `path` on success.

    The file is flushed to disk before it is renamed, and the folder after, so that after a crash
    `path` is the old file or the new one, never half of one. On an error the temporary file is
    removed and `path` is untouched.

    Parameters
    ----------
    path : str or path
        Where the complete file goes; its folder is made if there is none.

    Raises
    ------
    ExportError
        If the operating system refuses (read-only folder, full disk).
    """
    path = Path(path)
    temporary = _beside(path)
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            mode = _mode(path, temporary)
            yield temporary
            descriptor = os.open(temporary, os.O_RDWR)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            temporary.chmod(mode)
            temporary.replace(path)
            _sync_folder(path.parent)
        except OSError as error:
            if isinstance(error, ExportError):
                raise
            raise ExportError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        _sweep(path)


def _mode(path: Path, temporary: Path) -> int:
    """Permissions of the file that is replaced, or else of a new file in its folder.

    Some libraries make their files readable by their owner alone.
    """
    if path.exists():
        return stat.S_IMODE(path.stat().st_mode)
    temporary.touch()
    mode = stat.S_IMODE(temporary.stat().st_mode)
    temporary.unlink()
    return mode


def _beside(path: Path) -> Path:
    """Temporary name of this process; the suffixes stay last, because GDAL and others read them."""
    stem, suffix = _parts(path)
    return path.with_name(f".{stem}.{os.getpid()}.part{suffix}")


def _parts(path: Path) -> tuple[str, str]:
    """Beginning and end of the temporary name.

    These are the stem and the suffixes of the file, two at most; or a digest and the last suffix
    where the name gets too long.
    """
    if len(os.fsencode(path.name)) + _ADDED <= _LONGEST_NAME:
        suffix = "".join(path.suffixes[-2:])
        return path.name.removesuffix(suffix), suffix
    return hashlib.blake2b(os.fsencode(path.stem), digest_size=8).hexdigest(), path.suffix


def _sync_folder(folder: Path) -> None:
    """Flush a renaming to disk; Windows has no such call, and some network disks refuse it."""
    if os.name == "posix":
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _sweep(path: Path) -> None:
    """Remove temporary files of the same name that killed programs have left."""
    with suppress(OSError, ValueError):
        stem, suffix = map(escape, _parts(path))
        for left in path.parent.glob(f".{stem}.*.part{suffix}"):
            if time.time() - left.stat().st_mtime > _ABANDONED:
                left.unlink(missing_ok=True)
