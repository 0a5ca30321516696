"""The journal of a session: one line of JSON for every event, written as it happens.

The first line, the header, says which image and network the session is about; the others say
what was done. A journal only grows: what was taken back is in it too. It is read back from a file
that was cut anywhere: an incomplete last line is dropped. What an editor leaves (a byte-order mark,
other line ends, blank lines) is no damage. Any other line that is wrong is named, and what is
before it can be read.

An event is written at once, so that a killed program loses nothing; that it has reached the disk is
waited for on another thread, so that a window never stands still. A power cut can lose the
moments that this takes.

While a session is open its journal is locked, by the operating system, so that a crash unlocks
it; a second window is told.
"""

from __future__ import annotations

import glob
import json
import math
import os
import platform
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import filelock
import platformdirs

from napari_disca.core.errors import DiscaError, JournalError
from napari_disca.raster import Raster, ValueScale, file_fingerprint, fingerprint
from napari_disca.storage.atomic import replacing
from napari_disca.storage.disk_sync import DiskSync

_SUFFIX = ".disca.jsonl"
_FORMAT = 1
#: An event takes some 100 bytes. JSON made to be large in memory grows some twenty-fold.
_LARGEST_FILE = 32 << 20
_LONGEST_HEADER = 1 << 20
#: With which some editors begin a text in UTF-8.
_MARK = b"\xef\xbb\xbf"
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
    image_facts : mapping
        What names the changes of an image (`raster.identity.image_facts`); empty in journals of
        version 0.1.0.
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
        """Header as the first line of a journal."""
        told = {"napari-disca": "journal", "format": _FORMAT, **asdict(self)}
        told["scaling"] = None if self.scaling is None else self.scaling.to_json()
        return told

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
class Record:
    """A journal that was read.

    Attributes
    ----------
    path : Path
    header : Header
    events : tuple of dict
        As `Journal.append` got them, with ``at``, the time.
    lines : tuple of int
        Number of every event's line, from 1.
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


class DamagedLineError(JournalError):
    """A line of a journal is damaged; `read_journal` reads what is before it.

    Attributes
    ----------
    line : int
        Its number, from 2.
    """

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


def read_journal(path: str | os.PathLike[str], before: int | None = None) -> Record:
    """Read a journal; an incomplete last line is left out.

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


def _parsed(path: Path, data: bytes, before: int | None) -> Record:
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
                    break  # cut short; where only the end of the line lacks, nothing is missing
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
    return Record(path, header, tuple(events), tuple(numbers), data[:size])


def _line(path: Path, number: int, text: bytes) -> dict[str, Any]:
    try:
        line = json.loads(text.decode("utf-8").rstrip(), parse_constant=_refuse)
        if not isinstance(line, dict):
            raise ValueError("it is no object")
    except (ValueError, RecursionError) as error:
        reason = str(error)
        if isinstance(error, json.JSONDecodeError):  # which counts lines, too: from here
            reason = f"{error.msg.removesuffix(' at')} at character {error.colno}"
        reason = " ".join(reason.split())[:80] or type(error).__name__
        raise JournalError(f"line {number} of {path.name} is damaged: {reason}") from None
    return line


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


class Journal:
    """A journal being written, and locked against others.

    Events that could not be written wait in memory, and are written with the next one. Nothing is
    on disk before the first event: to look at an image leaves no file behind. Whatever
    happens to the file meanwhile, what was told is in memory, and is written again; a file that
    somebody has put in its place is left alone, and the journal goes on beside it, under a number.

    Attributes
    ----------
    path : Path
    header : Header
    on_trouble : callable or None
        Called when the disk has turned out to fail, on another thread, with no arguments.
    """

    def __init__(
        self,
        path: Path,
        header: Header,
        guard: _Guard,
        text: bytes = b"",
        *,
        displace: bool = False,
    ) -> None:
        self.path = path
        self.header = header
        #: Why the last events are not in the file, and why the file is not on disk.
        self._unwritten = self._unsynced = ""
        self._guard = guard
        self._displace = displace
        self._file: int | None = None
        #: The file as it was left after the last writing.
        self._left: tuple[int, ...] = ()
        #: All lines, and how many of their bytes are on disk.
        self._text = bytearray(text or _encoded(header.to_json()))
        self._size = 0
        #: What need not be written without an event.
        self._quiet = len(self._text)
        self.on_trouble: Callable[[], object] | None = None
        self._sync = DiskSync(self._on_synced)
        self._lock = threading.Lock()
        #: Bytes that are known to be on disk.
        self._safe = 0

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
    def resume(cls, path: Path, before: int | None = None) -> tuple[Journal, Record]:
        """Go on with a journal.

        Parameters
        ----------
        path : Path
        before : int, optional
            Number of a damaged line: go on with what is before it. When the first event comes, the
            damaged journal is set aside as it is, it gets a number.

        Raises
        ------
        JournalError
            If another session writes it, or it cannot be read.
        OSError
            If it cannot be written.
        """
        guard = _Guard(path)
        try:
            record = read_journal(path, before)
            text = record.text if record.text.endswith(b"\n") else record.text + b"\n"
            journal = cls(path, record.header, guard, text, displace=before is not None)
            if before is None:
                os.truncate(path, len(record.text))  # what was cut in the middle goes
                journal._file = _opened(path)
                journal._find_end()  # here, and not with the first event
                journal._left = _signature(journal._file)
        except BaseException:
            guard.release()
            raise
        return journal, record

    def begin_again(self, header: Header) -> None:
        """Go on under another header: when the next event comes, the file is set aside as it is."""
        _, _, events = bytes(self._text).partition(b"\n")
        self.header = header
        self._text = bytearray(_encoded(header.to_json()) + events)
        self._let_go()
        self._displace, self._size, self._quiet = True, 0, len(self._text)
        with self._lock:
            self._safe = 0

    def append(self, event: Mapping[str, Any]) -> str:
        """Write an event; `wait` waits until it is on disk, and nobody has to.

        Returns
        -------
        str
            `trouble`.
        """
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        self._text += _encoded({"at": now, **event})
        try:
            self._write()
            self._unwritten = ""
        except (OSError, DiscaError) as error:
            self._unwritten = self._cannot(error)
        return self.trouble

    @property
    def trouble(self) -> str:
        """Why the last events are not kept, in one line; empty if nothing is known to be wrong."""
        return self._unwritten or self._unsynced

    def wait(self) -> str:
        """Wait until all events are on disk, and return `trouble`."""
        self._sync.wait()
        return self.trouble

    def _cannot(self, error: Exception) -> str:
        reason = getattr(error, "strerror", None) or str(error)
        return f"the journal {self.path} cannot be written: {reason}"

    def _on_synced(self, size: int, error: OSError | None) -> None:
        """Hear from the other thread how far the file is on disk."""
        with self._lock:
            if error is None:
                self._safe, self._unsynced = size, ""
                return
            # What the system has given up to write it may have forgotten, too.
            self._unsynced = self._cannot(error)
        if self.on_trouble is not None:
            self.on_trouble()

    def close(self) -> None:
        """Write what waits, if that is possible now, and let others in."""
        if len(self._text) > max(self._size, self._quiet):
            with suppress(OSError, DiscaError):
                self._write()
        self.on_trouble = None
        self._let_go()
        self._guard.release()
        self._sync.close()

    def _write(self) -> None:
        if self._displace and self.path.exists():
            self.path.rename(_numbered(self.path))
        self._displace = False
        if self._file is not None and not self._is_in_place(self._file):
            self._let_go()
        if self._file is None or _signature(self._file) != self._left:
            self._find_end()
        assert self._file is not None
        with self._lock:
            if self._unsynced:
                self._size = min(self._size, self._safe)
        try:
            os.lseek(self._file, self._size, os.SEEK_SET)
            rest = memoryview(self._text[self._size :])
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError:
            # Half a line must not stay in front of the next one.
            with suppress(OSError):
                os.ftruncate(self._file, self._size)
            raise
        self._size = len(self._text)
        self._left = _signature(self._file)
        self._sync.ask(self._size, self._file)

    def _is_in_place(self, file: int) -> bool:
        with suppress(OSError):
            if os.path.samestat(os.fstat(file), self.path.stat()):
                return True
        # Where its folder was moved, the image with it, the journal goes on there.
        return bool(os.fstat(file).st_nlink) and not self.path.parent.exists()

    def _find_end(self) -> None:
        """Open the file, and find which of the lines are in it; leave it alone if others are."""
        try:
            if self.path.exists() and not self.path.is_file():
                raise FileExistsError
            self._file = _opened(self.path) if self._file is None else self._file
            os.lseek(self._file, 0, os.SEEK_SET)
            there = b""
            while len(there) <= len(self._text) and (block := os.read(self._file, 1 << 20)):
                there += block
            if not self._text.startswith(there):
                raise FileExistsError
            self._size = len(there)
        except (FileExistsError, PermissionError):
            self._let_go()
            path = _numbered(self.path)
            guard = _Guard(path)
            self._guard.release()
            self.path, self._guard, self._size = path, guard, 0
            with self._lock:
                self._safe = 0
            self._file = _opened(path)

    def _let_go(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)


def _signature(file: int) -> tuple[int, ...]:
    """What changes when somebody writes a file."""
    facts = os.fstat(file)
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns


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


def _earlier_places(raster: Raster) -> tuple[Path, ...]:
    """Where version 0.1.0 kept the journal of an image that lies where nothing can be written."""
    folder = Path(platformdirs.user_data_dir("napari-disca", appauthor=False)) / "journals"
    return (folder / f"{file_fingerprint(raster)}{_SUFFIX}",)


def find_journals(raster: Raster) -> list[Path]:
    """Journals of an image, the latest first.

    Raises
    ------
    RasterError
        If the image is damaged.
    """
    found = []
    for place in (*journal_places(raster), *_earlier_places(raster)):
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


def copied(path: Path, before: int | None = None) -> Path:
    """Copy the complete lines of a journal, which another session may be writing.

    Parameters
    ----------
    path : Path
    before : int, optional
        Number of a damaged line: copy what is before it.

    Raises
    ------
    JournalError
        If it cannot be read, or the copy not be written.
    """
    record = read_journal(path, before)
    target = _numbered(path)
    try:
        with replacing(target) as temporary:
            temporary.write_bytes(record.text)
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
