"""What a file says of a class, and the values in it, checked: it may have been made anywhere."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from napari_disca.core.errors import ClassTableError

#: Bytes; a style with symbols for 64 classes has far fewer.
_LARGEST = 4 << 20
_HEX = re.compile(r"#?[0-9a-fA-F]{6}")


@dataclass(frozen=True, slots=True)
class ClassRow:
    """What a file says of one class; None where it does not say it."""

    id: int | None
    name: str | None = None
    color: str | None = None
    group: str | None = None
    hidden: bool | None = None
    key: int | None = None


def file_bytes(path: Path) -> bytes:
    """Content of a file, if it is not too large to be a table of classes."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise ClassTableError(f"it cannot be read: {error.strerror or error}") from error
    if len(data) > _LARGEST:
        raise ClassTableError(f"it has more than {_LARGEST >> 20} MB; no table of classes has")
    return data


def file_text(path: Path) -> str:
    """Text of a file in UTF-8."""
    try:
        return file_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ClassTableError("it is not in UTF-8; save it again as UTF-8") from error


def whole_number(text: str, line: int) -> int:
    """A whole number, also one with a decimal point."""
    try:
        number = float(text)
        if not number.is_integer() or abs(number) >= 2**31:
            raise ValueError(text)
    except (ValueError, OverflowError) as error:
        raise ClassTableError(f"line {line}: {text[:40]!r} is no whole number") from error
    return int(number)


def colour_of(text: str, line: int) -> str:
    """A colour as ``#rrggbb``, lower case."""
    text = text.strip()
    if not _HEX.fullmatch(text):
        raise ClassTableError(f"line {line}: colour {text[:40]!r} is not like '#d73027'")
    return "#" + text.removeprefix("#").lower()
