"""The journal of a session: one line of JSON for every event, written at once.

The first line, the header, names the image and the network of the session; the others are its
events (`journal_format`).

An event is written at once, so that a killed program loses nothing; another thread waits until it
is on disk, so that a window never stands still. A power cut can lose the events of that moment.
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
from napari_disca.session.journal.journal_format import Header, JournalRecord, encoded, read_journal
from napari_disca.session.journal.journal_lock import JournalLock
from napari_disca.session.journal.journal_paths import journal_places, numbered
from napari_disca.storage.atomic import replacing
from napari_disca.storage.disk_sync import DiskSync


class Journal:
    """A journal being written, and locked against other sessions.

    No file is made before the first event, so that viewing an image leaves none behind. All events
    are kept in memory: those that could not be written are written with the next one, and a file
    that was damaged or removed meanwhile is written again. If another file has taken its place,
    that file is left alone, and the journal continues beside it under a number.

    Attributes
    ----------
    path : Path
    header : Header
    on_trouble : callable or None
        Called without arguments on another thread when writing to the disk has failed.
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
        #: Why the last events are not in the file; why the file is not on disk.
        self._unwritten = self._unsynced = ""
        self._guard = guard
        self._displace = displace
        self._file: int | None = None
        #: Signature of the file after the last writing.
        self._left: tuple[int, ...] = ()
        #: All lines, and how many of their bytes are on disk.
        self._text = bytearray(text or encoded(header.to_json()))
        self._size = 0
        #: Lines that are written only with an event.
        self._quiet = len(self._text)
        self.on_trouble: Callable[[], object] | None = None
        self._sync = DiskSync(self._on_synced)
        self._lock = threading.Lock()
        #: Bytes that are known to be on disk.
        self._safe = 0

    @classmethod
    def begin(cls, path: Path, header: Header, *, displace: bool = False) -> Journal:
        """Return a new journal.

        Parameters
        ----------
        displace : bool
            Rename a journal of that name with a number when the first event comes; until then it
            stays as it is.

        Raises
        ------
        JournalError
            If another session writes it, or there is one already.
        OSError
            If the folder cannot be written.
        """
        guard = JournalLock(path)
        if path.exists() and not displace:
            guard.release()
            raise JournalError(f"{path} exists already; choose another name, or continue it")
        return cls(path, header, guard, displace=displace)

    @classmethod
    def resume(cls, path: Path, before: int | None = None) -> tuple[Journal, JournalRecord]:
        """Return a journal that is continued, and what it holds so far.

        Parameters
        ----------
        path : Path
        before : int, optional
            Number of a damaged line: continue with the lines before it. When the first event
            comes, the damaged journal is renamed with a number.

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
                os.truncate(path, len(record.text))  # without a line that was cut in the middle
                journal._file = _opened(path)
                journal._find_end()  # an error should come now, not with the first event
                journal._left = _signature(journal._file)
        except BaseException:
            guard.release()
            raise
        return journal, record

    def begin_again(self, header: Header) -> None:
        """Continue under another header: with the next event the old file gets a number."""
        _, _, events = bytes(self._text).partition(b"\n")
        self.header = header
        self._text = bytearray(encoded(header.to_json()) + events)
        self._close_file()
        self._displace, self._size, self._quiet = True, 0, len(self._text)
        with self._lock:
            self._safe = 0

    def append(self, event: Mapping[str, Any]) -> str:
        """Write an event, without waiting until it is on disk.

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
        """Why the last events are not on disk, in one line; empty if all seems well."""
        return self._unwritten or self._unsynced

    def wait(self) -> str:
        """Wait until all events are on disk, and return `trouble`."""
        self._sync.wait()
        return self.trouble

    def _cannot(self, error: Exception) -> str:
        reason = getattr(error, "strerror", None) or str(error)
        return f"the journal {self.path} cannot be written: {reason}"

    def _on_synced(self, size: int, error: OSError | None) -> None:
        """Note how many bytes of the file are on disk; called on the other thread."""
        with self._lock:
            if error is None:
                self._safe, self._unsynced = size, ""
                return
            # The system may drop data that it failed to write.
            self._unsynced = self._cannot(error)
        if self.on_trouble is not None:
            self.on_trouble()

    def close(self) -> None:
        """Write waiting events, if that is possible now, and unlock the journal."""
        if len(self._text) > max(self._size, self._quiet):
            with suppress(OSError, DiscaError):
                self._write()
        self.on_trouble = None
        self._close_file()
        self._guard.release()
        self._sync.close()

    def _write(self) -> None:
        if self._displace and self.path.exists():
            self.path.rename(numbered(self.path))
        self._displace = False
        if self._file is not None and not self._is_in_place(self._file):
            self._close_file()
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
            # A partial line must not precede the next one.
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
        # If its folder was moved together with the image, the journal continues there.
        return bool(os.fstat(file).st_nlink) and not self.path.parent.exists()

    def _find_end(self) -> None:
        """Open the file and find which lines it holds; a file with other lines is left alone."""
        try:
            if self.path.exists() and not self.path.is_file():
                raise FileExistsError
            self._file = _opened(self.path) if self._file is None else self._file
            os.lseek(self._file, 0, os.SEEK_SET)
            existing = b""
            while len(existing) <= len(self._text) and (block := os.read(self._file, 1 << 20)):
                existing += block
            if not self._text.startswith(existing):
                raise FileExistsError
            self._size = len(existing)
        except (FileExistsError, PermissionError):
            self._close_file()
            path = numbered(self.path)
            guard = JournalLock(path)
            self._guard.release()
            self.path, self._guard, self._size = path, guard, 0
            with self._lock:
                self._safe = 0
            self._file = _opened(path)

    def _close_file(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)


def _signature(file: int) -> tuple[int, ...]:
    """Return size, times and identity of a file, which change when it is written."""
    facts = os.fstat(file)
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns


def new_journal(raster: Raster, header: Header) -> Journal:
    """Return a new journal of an image, beside it if that is possible.

    An earlier one gets a number when the first event comes; if it is open in another window, the
    new one gets the number.

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
    """Return a copy of the complete lines of a journal, which another session may be writing.

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
