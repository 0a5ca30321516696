"""The format of a journal: its header, its events, and how a file is read.

A journal only grows: undone steps are in it too. A file that was cut anywhere can be read: an
incomplete last line is dropped. A byte-order mark, other line ends and blank lines, as editors
leave them, are no damage. The error names any other wrong line, and the lines before it can be
read.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from napari_disca.core.errors import JournalError
from napari_disca.raster import ValueScale

_FORMAT = 1
#: What `JournalRecord.counts` counts.
COUNTED = ("click", "adaptation", "locked area", "stroke", "judged place")
#: Most bytes of a journal: an event takes about 100; hostile JSON grows twenty-fold in memory.
_LARGEST_FILE = 32 << 20
#: Byte-order mark, with which some editors begin a text in UTF-8.
_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Header:
    """The image, network and machine of a session.

    Attributes
    ----------
    image, image_name : str
        Fingerprint (`raster.fingerprint`) and file name.
    network, network_name, network_file : str
        Fingerprint, the card's name, and the bundled name or path it was loaded from.
    classes : tuple of str
    bands : tuple of int
    factor : float
    seed : int
    device, precision : str
    threads : int
        Number of threads, with which the map is the same, pixel for pixel.
    version, made : str
        Version of this program; time of creation, as ISO 8601.
    image_facts : mapping
        Facts by which changes of the image are named (`raster.identity.image_facts`); empty in
        journals of version 0.1.0.
    scaling : ValueScale or None
        How pixel values were scaled; None in journals that do not say.
    """

    image: str
    image_name: str
    network: str
    network_name: str
    network_file: str
    classes: tuple[str, ...]
    bands: tuple[int, ...]
    factor: float
    seed: int
    device: str
    precision: str
    threads: int
    version: str
    made: str
    image_facts: Mapping[str, Any] = field(default_factory=dict, hash=False)
    scaling: ValueScale | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the header as the first line of a journal."""
        members = {"napari-disca": "journal", "format": _FORMAT, **asdict(self)}
        members["scaling"] = None if self.scaling is None else self.scaling.to_json()
        return members

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> Header:
        """Return the header from `to_json`; fields of later versions are ignored.

        Raises
        ------
        JournalError
            If the line is not a header.
        """
        if line.get("napari-disca") != "journal" or type(line.get("format")) is not int:
            raise JournalError("is not a journal of napari-disca")
        if line["format"] > _FORMAT:
            raise JournalError("was written by a later version of napari-disca; update this one")
        given: dict[str, Any] = {}
        for entry in fields(cls):
            value = line.get(entry.name)
            if entry.name == "image_facts":
                given[entry.name] = value if isinstance(value, dict) else {}
                continue
            if entry.name == "scaling":
                given[entry.name] = _scaling(value)
                continue
            if entry.name in ("classes", "bands"):
                kind = str if entry.name == "classes" else int
                good = isinstance(value, list) and all(type(part) is kind for part in value)
                value = tuple(value) if good else None  # type: ignore[arg-type]
            elif entry.type == "float":
                good = type(value) in (int, float) and 0 < float(value) < math.inf  # type: ignore[arg-type]
                value = float(value) if good else None  # type: ignore[arg-type]
            else:
                good = type(value) is (int if entry.type == "int" else str)
            if not good:
                raise JournalError(f"has no valid {entry.name!r} in its first line")
            given[entry.name] = value
        return cls(**given)


def _scaling(value: object) -> ValueScale | None:
    if value is None:
        return None
    try:
        return ValueScale.from_json(value)
    except ValueError as error:
        raise JournalError("has no valid 'scaling' in its first line") from error


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """A journal that was read.

    Attributes
    ----------
    path : Path
    header : Header
    events : tuple of dict
        As passed to `Journal.append`, with the time ``at``.
    lines : tuple of int
        Number of the line of each event, from 1.
    text : bytes
        The lines that were read, as they are in the file, which may hold more.
    """

    path: Path
    header: Header
    events: tuple[dict[str, Any], ...]
    lines: tuple[int, ...]
    text: bytes

    @property
    def last(self) -> datetime | None:
        """Time of the last event, in local time; None without events."""
        at = self.events[-1].get("at") if self.events else self.header.made
        try:
            return datetime.fromisoformat(str(at)).astimezone()
        except (ValueError, OverflowError, OSError):
            return None

    @property
    def counts(self) -> tuple[int, ...]:
        """How many there are, after the last event, of what `COUNTED` names.

        Journals of earlier versions tell the first three.
        """
        now = self.events[-1].get("now") if self.events else None
        if not isinstance(now, list) or not all(type(n) is int for n in now):
            now = []
        return tuple(now[: len(COUNTED)]) + (0,) * (len(COUNTED) - len(now))


class DamagedLineError(JournalError):
    """A line of a journal is damaged; `read_journal` can read the lines before it.

    Attributes
    ----------
    line : int
        Its number, from 2.
    """

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


def read_journal(path: str | os.PathLike[str], before: int | None = None) -> JournalRecord:
    """Return what a journal holds; an incomplete last line is left out.

    Parameters
    ----------
    path : str or path
    before : int, optional
        Number of a line, from 1: only lines before it are read.

    Raises
    ------
    DamagedLineError
        If a line of an event is malformed.
    JournalError
        If the file cannot be read, is too large, or its first line is malformed.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except (OSError, ValueError) as error:  # a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise JournalError(f"{path} cannot be read: {reason}") from error
    if len(data) > _LARGEST_FILE:
        raise JournalError(
            f"{path.name} has more than {_LARGEST_FILE >> 20} MB, too much for a journal"
        )
    return _parsed(path, data, before)


def _parsed(path: Path, data: bytes, before: int | None) -> JournalRecord:
    found: list[tuple[int, dict[str, Any]]] = []
    size = 0
    for number, whole in enumerate(data.splitlines(keepends=True), start=1):
        if before is not None and number >= before:
            break
        text = whole.removeprefix(_MARK) if number == 1 else whole
        if text.strip():
            try:
                line = _line(path, number, text)
            except JournalError as error:
                if not whole.endswith((b"\n", b"\r")):
                    break  # cut short; if only the line end is missing, the line is complete
                raise DamagedLineError(str(error), number) if found else error from None
            found.append((number, line))
        size += len(whole)
    if not found and before is not None:
        raise JournalError(f"there is nothing before line {before} of {path.name}")
    if not found:
        raise JournalError(f"{path.name} is cut short in its first line; there is nothing in it")
    try:
        header = Header.from_json(found[0][1])
    except JournalError as error:
        raise JournalError(f"{path.name} {error}") from None
    numbers, events = zip(*found[1:], strict=True) if found[1:] else ((), ())
    return JournalRecord(path, header, tuple(events), tuple(numbers), data[:size])


def _line(path: Path, number: int, text: bytes) -> dict[str, Any]:
    try:
        line = json.loads(text.decode("utf-8").rstrip(), parse_constant=_refuse)
        if not isinstance(line, dict):
            raise ValueError("it is not an object")
    except (ValueError, RecursionError) as error:
        reason = str(error)
        if isinstance(error, json.JSONDecodeError):  # the error counts lines from here
            reason = f"{error.msg.removesuffix(' at')} at character {error.colno}"
        reason = " ".join(reason.split())[:80] or type(error).__name__
        raise JournalError(f"line {number} of {path.name} is damaged: {reason}") from None
    return line


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def encoded(line: Mapping[str, Any]) -> bytes:
    """Return a line of a journal as bytes."""
    text = json.dumps(line, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # A lone surrogate in a file name cannot be encoded in UTF-8.
    return text.encode("utf-8", "replace") + b"\n"
