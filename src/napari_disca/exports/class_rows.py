"""Reads and checks the values that files give to classes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from napari_disca.core.errors import ClassTableError

#: Bytes of a file; a style with symbols for 64 classes is far smaller.
_LARGEST = 4 << 20
_HEX = re.compile(r"#?[0-9a-fA-F]{6}")


@dataclass(frozen=True, slots=True)
class ClassRow:
    """The values that a file gives to a class; None for those that it does not give.

    Attributes
    ----------
    id : int or None
    name, group : str or None
    color : str or None
        ``#rrggbb``.
    hidden : bool or None
    key : int or None
        The number key that chooses the class, from 1.
    """

    id: int | None
    name: str | None = None
    color: str | None = None
    group: str | None = None
    hidden: bool | None = None
    key: int | None = None


def file_bytes(path: Path) -> bytes:
    """Return the content of a file.

    Raises
    ------
    ClassTableError
        If it cannot be read, or is too large for a table of classes.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise ClassTableError(f"it cannot be read: {error.strerror or error}") from error
    if len(data) > _LARGEST:
        raise ClassTableError(
            f"it has more than {_LARGEST >> 20} MB, too many for a table of classes"
        )
    return data


def file_text(path: Path) -> str:
    """Return the text of a file in UTF-8.

    Raises
    ------
    ClassTableError
        If it cannot be read, is too large, or is not in UTF-8.
    """
    try:
        return file_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ClassTableError("it is not in UTF-8; save it again as UTF-8") from error


def whole_number(text: str, line: int) -> int:
    """Return a whole number, which may have a decimal point.

    Parameters
    ----------
    text : str
    line : int
        Number of its line in the file, for messages.

    Raises
    ------
    ClassTableError
        If it is not a whole number of at most 32 bits.
    """
    try:
        number = float(text)
        if not number.is_integer() or abs(number) >= 2**31:
            raise ValueError(text)
    except (ValueError, OverflowError) as error:
        raise ClassTableError(f"line {line}: {text[:40]!r} is not a whole number") from error
    return int(number)


def colour_of(text: str, line: int) -> str:
    """Return a colour as ``#rrggbb`` in lower case.

    Parameters
    ----------
    text : str
        Six hexadecimal digits, with or without ``#``.
    line : int
        Number of its line in the file, for messages.

    Raises
    ------
    ClassTableError
        If it is anything else.
    """
    text = text.strip()
    if not _HEX.fullmatch(text):
        raise ClassTableError(f"line {line}: colour {text[:40]!r} is not like '#d73027'")
    return "#" + text.removeprefix("#").lower()
