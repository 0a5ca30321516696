"""The journal of a session: one line of JSON for every event, on disk before the next one.

The first line, the header, says which image and network the session is about; the others say
what was done. A journal only grows: what was taken back is in it too. It is read back from a file
that was cut anywhere: an incomplete last line is dropped, anything else that is wrong is refused.

While a session is open its journal is locked, by the operating system, so that a crash unlocks
it; a second window is told.
"""

from __future__ import annotations

import glob
import json
import math
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import filelock
import platformdirs

from napari_disca.errors import DiscaError, JournalError
from napari_disca.raster import Raster, fingerprint
from napari_disca.safewrite import replacing

_SUFFIX = ".disca.jsonl"
_FORMAT = 1
#: An event takes some 100 bytes. JSON made to be large in memory grows some twenty-fold.
_LARGEST_FILE = 32 << 20
_LONGEST_HEADER = 1 << 20
_MOST_NUMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Header:
    """What a session is about, and where its map was made.

    Attributes
    ----------
    image, image_name : str
        Fingerprint (`raster.fingerprint`) and file name.
    network, network_name, network_file : str
        Fingerprint, the card's name, and what it was loaded by: a bundled name or a path.
    classes : tuple of str
    bands : tuple of int
    factor : float
    seed : int
    device, precision : str
    threads : int
        On which the map is the same, pixel for pixel.
    version, made : str
        Of this program; the time, as ISO 8601.
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

    def to_json(self) -> dict[str, Any]:
        """Header as the first line of a journal."""
        return {"napari-disca": "journal", "format": _FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> Header:
        """Header from `to_json`; what a later version adds is ignored.

        Raises
        ------
        JournalError
            If the line is none.
        """
        if line.get("napari-disca") != "journal" or type(line.get("format")) is not int:
            raise JournalError("is no journal of napari-disca")
        if line["format"] > _FORMAT:
            raise JournalError("was written by a later version of napari-disca; update this one")
        given: dict[str, Any] = {}
        for field in fields(cls):
            value = line.get(field.name)
            if field.name in ("classes", "bands"):
                kind = str if field.name == "classes" else int
                good = isinstance(value, list) and all(type(part) is kind for part in value)
                value = tuple(value) if good else None  # type: ignore[arg-type]
            elif field.type == "float":
                good = type(value) in (int, float) and 0 < float(value) < math.inf  # type: ignore[arg-type]
                value = float(value) if good else None  # type: ignore[arg-type]
            else:
                good = type(value) is (int if field.type == "int" else str)
            if not good:
                raise JournalError(f"has no valid {field.name!r} in its first line")
            given[field.name] = value
        return cls(**given)


@dataclass(frozen=True, slots=True)
class Record:
    """A journal that was read.

    Attributes
    ----------
    path : Path
    header : Header
    events : tuple of dict
        As `Journal.append` got them, with ``at``, the time.
    size : int
        Bytes of the complete lines; the file may hold the beginning of another.
    """

    path: Path
    header: Header
    events: tuple[dict[str, Any], ...]
    size: int

    @property
    def last(self) -> datetime | None:
        """When the last event was, in local time."""
        at = self.events[-1].get("at") if self.events else self.header.made
        try:
            return datetime.fromisoformat(str(at)).astimezone()
        except (ValueError, OverflowError, OSError):
            return None

    @property
    def counts(self) -> tuple[int, int, int]:
        """Clicks, adaptations and locked areas in force after the last event, as it says."""
        now = self.events[-1].get("now") if self.events else None
        if isinstance(now, list) and len(now) == 3 and all(type(n) is int for n in now):
            return now[0], now[1], now[2]
        return 0, 0, 0


def read_journal(path: str | os.PathLike[str]) -> Record:
    """Read a journal; an incomplete last line is left out.

    Raises
    ------
    JournalError
        If the file cannot be read, is too large, or a line is malformed.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except (OSError, ValueError) as error:  # a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise JournalError(f"{path} cannot be read: {reason}") from error
    return _parsed(path, data)


def _parsed(path: Path, data: bytes) -> Record:
    if len(data) > _LARGEST_FILE:
        raise JournalError(
            f"{path.name} has more than {_LARGEST_FILE >> 20} MB, too much for a journal"
        )
    *whole, rest = data.split(b"\n")
    lines = [_line(path, number, text) for number, text in enumerate(whole, start=1)]
    size = len(data) - len(rest)
    if rest:
        # Cut between the last character and the end of the line, nothing is missing.
        with suppress(JournalError):
            lines.append(_line(path, len(lines) + 1, rest))
            size = len(data)
    if not lines:
        raise JournalError(f"{path.name} is cut short in its first line; there is nothing in it")
    try:
        header = Header.from_json(lines[0])
    except JournalError as error:
        raise JournalError(f"{path.name} {error}") from None
    return Record(path, header, tuple(lines[1:]), size)


def _line(path: Path, number: int, text: bytes) -> dict[str, Any]:
    try:
        line = json.loads(text.decode("utf-8"), parse_constant=_refuse)
        if not isinstance(line, dict):
            raise ValueError("it is no object")
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:80] or type(error).__name__
        raise JournalError(f"line {number} of {path.name} is damaged: {reason}") from None
    return line


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


class Journal:
    """A journal being written, and locked against others.

    Nothing is on disk before the first event: to look at an image leaves no file behind.

    Attributes
    ----------
    path : Path
    header : Header
    trouble : str
        Why the last events are not on disk, in one line; empty if they are. They wait in memory
        and are written with the next one.
    """

    def __init__(
        self, path: Path, header: Header, guard: _Guard, size: int = 0, *, displace: bool = False
    ) -> None:
        self.path = path
        self.header = header
        self.trouble = ""
        self._guard = guard
        self._displace = displace
        self._size = size
        self._file: int | None = None
        self._waiting = b"" if size else _encoded(header.to_json())

    @classmethod
    def begin(cls, path: Path, header: Header, *, displace: bool = False) -> Journal:
        """Begin a journal.

        Parameters
        ----------
        displace : bool
            Set a journal of that name aside when the first event comes; until then nothing is
            done to it. Nothing is lost, it gets a number.

        Raises
        ------
        JournalError
            If another session writes it, or it is there already.
        OSError
            If the folder cannot be written.
        """
        guard = _Guard(path)
        if path.exists() and not displace:
            guard.release()
            raise JournalError(f"{path} is there already; choose another name, or go on with it")
        return cls(path, header, guard, displace=displace)

    @classmethod
    def resume(cls, path: Path) -> tuple[Journal, Record]:
        """Go on with a journal.

        Raises
        ------
        JournalError
            If another session writes it, or it cannot be read.
        OSError
            If it cannot be written.
        """
        guard = _Guard(path)
        try:
            record = read_journal(path)
            journal = cls(path, record.header, guard, record.size)
            journal._open()
        except BaseException:
            guard.release()
            raise
        return journal, record

    def append(self, event: Mapping[str, Any]) -> str:
        """Write an event, and wait until it is on disk.

        Returns
        -------
        str
            `trouble`.
        """
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        self._waiting += _encoded({"at": now, **event})
        try:
            self._write()
            self.trouble = ""
        except (OSError, DiscaError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            self.trouble = f"the journal {self.path} cannot be written: {reason}"
        return self.trouble

    def close(self) -> None:
        """Write what waits, if that is possible now, and let others in."""
        if self._size and self._waiting:
            with suppress(OSError, DiscaError):
                self._write()
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self._guard.release()

    def _open(self) -> None:
        if self._displace and self.path.exists():
            self.path.rename(_numbered(self.path))
        self._displace = False
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
        self._file = os.open(self.path, flags, 0o666)
        # What was cut in the middle goes; what lacks only the end of its line gets it.
        os.ftruncate(self._file, self._size)
        if self._size:
            os.lseek(self._file, self._size - 1, os.SEEK_SET)
            if os.read(self._file, 1) != b"\n":
                self._waiting = b"\n" + self._waiting

    def _write(self) -> None:
        if self._file is None:
            self._open()
        self._recreate_if_gone()
        assert self._file is not None
        try:
            os.lseek(self._file, self._size, os.SEEK_SET)
            rest = memoryview(self._waiting)
            while rest:
                rest = rest[os.write(self._file, rest) :]
            os.fsync(self._file)
        except OSError:
            # Half a line must not stay in front of the next one.
            with suppress(OSError):
                os.ftruncate(self._file, self._size)
            raise
        self._size += len(self._waiting)
        self._waiting = b""

    def _recreate_if_gone(self) -> None:
        """Write the file anew where somebody has removed it, or put another in its place."""
        assert self._file is not None
        if self._size == 0:
            return
        with suppress(OSError):
            if os.path.samestat(os.fstat(self._file), self.path.stat()):
                return
        if os.fstat(self._file).st_nlink and not self.path.parent.exists():
            return  # its folder was moved, the image with it: the journal goes on there
        os.lseek(self._file, 0, os.SEEK_SET)
        lines = b""
        while block := os.read(self._file, 1 << 20):
            lines += block
        with replacing(self.path) as temporary:
            temporary.write_bytes(lines[: self._size])
        os.close(self._file)
        self._file = os.open(self.path, os.O_RDWR | getattr(os, "O_BINARY", 0))


class _Guard:
    """The lock of a journal: a file beside it that only one process holds."""

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
            return  # a file system without locks: better unguarded than not at all
        with suppress(OSError):
            self._path.write_text(f"process {os.getpid()} on {platform.node()}", "utf-8")

    @staticmethod
    def file(path: Path) -> Path:
        return path.with_name(f".{path.name}.lock")

    def release(self) -> None:
        # While it is still held: whoever has opened the file meanwhile sees that it is gone.
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


def _encoded(line: Mapping[str, Any]) -> bytes:
    text = json.dumps(line, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # A lone surrogate, in a file name, has no UTF-8.
    return text.encode("utf-8", "replace") + b"\n"


# -------------------------------------------------------------------- where journals are


def journal_places(raster: Raster) -> tuple[Path, ...]:
    """Where the journal of an image may lie: beside it, and in the user's data folder.

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


def find_journals(raster: Raster) -> list[Path]:
    """Journals of an image, the latest first.

    Raises
    ------
    RasterError
        If the image is damaged.
    """
    found = []
    for place in journal_places(raster):
        stem = glob.escape(place.name.removesuffix(".jsonl"))
        for path in (place, *place.parent.glob(f"{stem}.*.jsonl")):
            # A session that was killed in its first line has left nothing.
            with suppress(OSError), path.open("rb") as file:
                if b"\n" in file.read(_LONGEST_HEADER):
                    found.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(found, reverse=True)]


def new_journal(raster: Raster, header: Header) -> Journal:
    """Begin another journal of an image, beside it if that is possible.

    One that is there is set aside when the first event comes; where it is open in another window,
    the new one gets the number.

    Raises
    ------
    JournalError
        If none of the folders can be written.
    """
    reasons = []
    for path in journal_places(raster):
        try:
            try:
                return Journal.begin(path, header, displace=True)
            except JournalError:
                return Journal.begin(_numbered(path), header)
        except OSError as error:
            reasons.append(f"{path.parent}: {error.strerror or error}")
    raise JournalError(f"no journal can be kept ({'; '.join(reasons)})")


def holder(path: Path) -> str:
    """Who has a journal open, for instance ``process 123 on host``; empty if nobody has."""
    try:
        _Guard(path).release()
    except JournalError:
        return _holder(_Guard.file(path)).strip(" ()") or "another process"
    except OSError:
        pass  # where it cannot be locked it cannot be written
    return ""


def copied(path: Path) -> Path:
    """Copy the complete lines of a journal, which another session may be writing.

    Raises
    ------
    JournalError
        If it cannot be read, or the copy not be written.
    """
    record = read_journal(path)
    target = _numbered(path)
    try:
        with path.open("rb") as file, replacing(target) as temporary:
            temporary.write_bytes(file.read(record.size))
    except OSError as error:
        raise JournalError(f"{target} cannot be written: {error.strerror or error}") from error
    return target


def _numbered(path: Path) -> Path:
    stem = path.name.removesuffix(".jsonl")
    for number in range(1, _MOST_NUMBERED):
        target = path.with_name(f"{stem}.{number}.jsonl")
        if not target.exists():
            return target
    raise JournalError(f"there are too many journals beside {path}; remove some")
