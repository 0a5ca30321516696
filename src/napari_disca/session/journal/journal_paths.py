"""Finds the journals of an image."""

from __future__ import annotations

import glob
from contextlib import suppress
from pathlib import Path

import platformdirs

from napari_disca.core.errors import JournalError
from napari_disca.raster import Raster, file_fingerprint, fingerprint

_SUFFIX = ".disca.jsonl"
_LONGEST_HEADER = 1 << 20
_MOST_NUMBERED = 10_000


def journal_places(raster: Raster) -> tuple[Path, ...]:
    """Return the possible paths of an image's journal: beside it, and in the user's data folder.

    Raises
    ------
    RasterError
        If the image is damaged.
    """
    folder = Path(platformdirs.user_data_dir("napari-disca", appauthor=False)) / "journals"
    own = folder / f"{fingerprint(raster)}{_SUFFIX}"
    if raster.path is None:
        return (own,)
    return raster.path.with_name(raster.path.name + _SUFFIX), own


def _earlier_places(raster: Raster) -> tuple[Path, ...]:
    """Return where version 0.1.0 kept the journal of an image in a read-only folder."""
    folder = Path(platformdirs.user_data_dir("napari-disca", appauthor=False)) / "journals"
    return (folder / f"{file_fingerprint(raster)}{_SUFFIX}",)


def find_journals(raster: Raster) -> list[Path]:
    """Return the journals of an image, the latest first.

    Raises
    ------
    RasterError
        If the image is damaged.
    """
    found = []
    for place in (*journal_places(raster), *_earlier_places(raster)):
        stem = glob.escape(place.name.removesuffix(".jsonl"))
        for path in (place, *place.parent.glob(f"{stem}.*.jsonl")):
            # A session that was killed in its first line has left an empty file.
            with suppress(OSError), path.open("rb") as file:
                if b"\n" in file.read(_LONGEST_HEADER):
                    found.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(found, reverse=True)]


def numbered(path: Path) -> Path:
    """Return a free name with a number beside a journal.

    Raises
    ------
    JournalError
        If there are thousands already.
    """
    stem = path.name.removesuffix(".jsonl")
    for number in range(1, _MOST_NUMBERED):
        target = path.with_name(f"{stem}.{number}.jsonl")
        if not target.exists():
            return target
    raise JournalError(f"there are too many journals beside {path}; remove some")
