"""Files that are either complete or not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from napari_disca.errors import ExportError


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary name in the same folder; on success it becomes `path`.

    The file is flushed to disk before it is renamed, so after a crash `path` is the old file or
    the new one, never half of one. On an error the temporary file is removed and `path` is
    untouched.

    Parameters
    ----------
    path : str or path
        Where the complete file goes; its folder is made where it lacks.

    Raises
    ------
    ExportError
        If the operating system refuses (read-only folder, full disk).
    """
    path = Path(path)
    # The suffix stays last: GDAL and others choose the format by it.
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            descriptor = os.open(temporary, os.O_RDWR)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            temporary.replace(path)
        except OSError as error:
            if isinstance(error, ExportError):
                raise
            raise ExportError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
