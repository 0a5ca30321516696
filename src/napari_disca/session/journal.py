"""The journal of a session: one line of JSON for every event, written as it happens.

The first line, the header, says which image and network the session is about; the others say
what was done (`journal_format`).

An event is written at once, so that a killed program loses nothing; that it has reached the disk is
waited for on another thread, so that a window never stands still. A power cut can lose the
moments that this takes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from napari_disca.core.errors import DiscaError, JournalError
from napari_disca.raster import Raster
from napari_disca.session.journal_format import Header, Record, encoded, read_journal
from napari_disca.session.journal_lock import JournalLock
from napari_disca.session.journal_paths import journal_places, numbered
from napari_disca.storage.atomic import replacing
from napari_disca.storage.disk_sync import DiskSync


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
        guard: JournalLock,
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
        self._text = bytearray(text or encoded(header.to_json()))
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
        guard = JournalLock(path)
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
        guard = JournalLock(path)
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
        self._text = bytearray(encoded(header.to_json()) + events)
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
        self._text += encoded({"at": now, **event})
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
            self.path.rename(numbered(self.path))
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
        self._sync.request(self._size, self._file)

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
            path = numbered(self.path)
            guard = JournalLock(path)
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
                return Journal.begin(numbered(path), header)
        except OSError as error:
            reasons.append(f"{path.parent}: {error.strerror or error}")
    raise JournalError(f"no journal can be kept ({'; '.join(reasons)})")


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
    target = numbered(path)
    try:
        with replacing(target) as temporary:
            temporary.write_bytes(record.text)
    except OSError as error:
        raise JournalError(f"{target} cannot be written: {error.strerror or error}") from error
    return target
