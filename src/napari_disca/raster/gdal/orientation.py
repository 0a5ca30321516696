"""The orientation tag of image files, which tells viewers to rotate or mirror them.

Cameras write the sensor's rows, and a number that tells viewers how to rotate them (EXIF, TIFF tag
274). GDAL, and so this program, reads the pixels as they are stored.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_TAG = 274
#: Bytes that are read to find the tag, which is near the beginning.
_MOST = 1 << 20
_PNG = b"\x89PNG\r\n\x1a\n"
_TURNS = {
    2: "mirrored left to right",
    3: "turned by half",
    4: "mirrored top to bottom",
    5: "mirrored along the diagonal",
    6: "turned a quarter clockwise",
    7: "mirrored along the other diagonal",
    8: "turned a quarter anticlockwise",
}


def orientation(path: Path) -> int:
    """Read the EXIF orientation of a JPEG, PNG or TIFF file.

    Returns
    -------
    int
        1 to 8; 1 (as it is stored) if there is no tag, or the file is of another kind or damaged.
    """
    with suppress(OSError, struct.error), path.open("rb") as file:
        found = _orientation(file)
        if found in _TURNS:
            return found
    return 1


def turn(orientation: int) -> str:
    """Return in words what a viewer does to the pixels of an orientation."""
    return _TURNS.get(orientation, "as it is stored")


def orientation_notes(path: Path) -> tuple[str, ...]:
    """Return a note for the user if a file tells viewers to rotate or mirror it, else nothing.

    The pixels are read as they are stored, as GDAL and GIS programs do. So a map lies on its image
    there, and a georeference stays valid.
    """
    how = orientation(path)
    if how == 1:
        return ()
    return (
        f"viewers show the file {turn(how)} (EXIF orientation {how}): read, and its map written, "
        "as it is stored; to have it upright, save it without that mark",
    )


def _orientation(file: BinaryIO) -> int:
    start = file.read(16)
    if start.startswith((b"II", b"MM")):
        return _of_tiff(file, 0)
    if start.startswith(b"\xff\xd8"):
        return _of_jpeg(file)
    if start.startswith(_PNG):
        return _of_png(file)
    return 1


def _of_jpeg(file: BinaryIO) -> int:
    at = 2
    while at < _MOST:
        file.seek(at)
        marker, kind, length = struct.unpack(">BBH", file.read(4))
        if marker != 0xFF or kind == 0xDA:  # the pixels begin, without a tag before them
            return 1
        if kind == 0xE1 and file.read(6) == b"Exif\0\0":
            return _of_tiff(file, at + 10)
        at += 2 + length
    return 1


def _of_png(file: BinaryIO) -> int:
    at = len(_PNG)
    while True:
        file.seek(at)
        length, kind = struct.unpack(">I4s", file.read(8))
        if kind == b"eXIf":
            return _of_tiff(file, at + 8)
        if kind == b"IEND":
            return 1
        at += 12 + length


def _of_tiff(file: BinaryIO, base: int) -> int:
    """Tag 274 of the first directory of a TIFF structure that begins at `base`."""
    file.seek(base)
    order = {b"II": "<", b"MM": ">"}.get(file.read(2))
    if order is None:
        return 1
    (magic,) = struct.unpack(order + "H", file.read(2))
    if magic == 43:  # BigTIFF: 64 bits for what TIFF has 32 for
        file.seek(base + 8)
        (first,) = struct.unpack(order + "Q", file.read(8))
        count_format, entry, value_at = "Q", 20, 12
    else:
        (first,) = struct.unpack(order + "I", file.read(4))
        count_format, entry, value_at = "H", 12, 8
    file.seek(base + first)
    (count,) = struct.unpack(order + count_format, file.read(struct.calcsize(count_format)))
    entries = file.read(min(count * entry, _MOST))
    for at in range(0, len(entries) - entry + 1, entry):
        tag, kind = struct.unpack_from(order + "HH", entries, at)
        if tag == _TAG and kind == 3:
            (value,) = struct.unpack_from(order + "H", entries, at + value_at)
            return int(value)
    return 1
