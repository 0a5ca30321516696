"""Files are first opened in another process, which may crash.

GDAL and its codecs are C libraries. A damaged or malicious file can make them crash, hang or fill
the memory, which Python code cannot catch. So a file that this program has not opened before is
first opened by a second process with limits, which reads some windows and overviews and reports the
result. If that process dies or does not answer, the file is refused.

One process serves all files, because starting Python and GDAL takes longer than examining a file
(milliseconds). It is started with `warm` or by the first file. It ends when its standard input is
closed, so at the latest with this program, or when it gets no request for long. Files that passed
are remembered by size, time and inode, and are not examined again.

Every file is examined, because a crash would lose the user's unsaved work. After a fifth of a
second no further window is read, so small files are read as a whole and large ones in part: a file
can pass and still have a window that crashes GDAL later.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import queue
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from cachetools import LRUCache

from napari_disca.core.child_process import USE_SYS_PATH, can_start_python, sys_path_line
from napari_disca.core.errors import RasterError
from napari_disca.raster.gdal.signature import Signature, signature

_log = logging.getLogger(__name__)

#: Seconds after which a file whose examination has not ended is refused.
HANG = 20.0
#: Seconds that starting the process may take on a busy machine with a slow disk.
_START = 60.0
_MOST_PASSED = 10_000

_CODE = USE_SYS_PATH + "from napari_disca.raster.gdal.probe_process import main; main()"


def examine(path: Path) -> None:
    """Open and read a file in the other process, unless it has passed before.

    Parameters
    ----------
    path : Path
        A file that exists.

    Raises
    ------
    RasterError
        If it cannot be read as an image; also if that ends the other process, hangs it, or needs
        more memory than it has.
    """
    _PROBE.examine(path)


def stop_examining(path: Path) -> None:
    """End the other process if it is examining a file, which is then refused.

    This makes `examine` return on a thread that waits for it.
    """
    _PROBE.stop(path)


def warm() -> None:
    """Start the other process without waiting for it, if a file will be opened soon."""
    _PROBE.warm()


def end() -> None:
    """End the other process, unless it is examining a file; the next file starts another."""
    _PROBE.end()


class _EndedError(Exception):
    """The other process ended or did not answer."""


class _Process:
    """The other process; requests and answers are one line of JSON each."""

    def __init__(self) -> None:
        quiet: dict[str, Any] = {}
        if os.name == "nt":
            quiet = {"creationflags": subprocess.CREATE_NO_WINDOW}  # type: ignore[attr-defined,unused-ignore]
        elif os.name == "posix":
            # Ctrl+C in the terminal must not reach it.
            quiet = {"start_new_session": True}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _CODE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            **quiet,
        )
        self._lines: queue.Queue[bytes] = queue.Queue()
        # Pipes have no timeout on Windows, so a thread reads.
        self._reader = threading.Thread(target=self._read, daemon=True, name="napari-disca-probe")
        self._reader.start()
        self._write(sys_path_line())
        self.ready = False

    def _read(self) -> None:
        assert self._process.stdout is not None
        with suppress(ValueError, OSError):
            for line in self._process.stdout:
                self._lines.put(line)
        self._lines.put(b"")

    def _write(self, line: bytes) -> None:
        assert self._process.stdin is not None
        with suppress(OSError, ValueError):  # if it has ended, the missing answer tells so
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def wait_ready(self) -> bool:
        if not self.ready:
            with suppress(_EndedError):
                self.ready = self._answer(_START) == {"ready": True}
        return self.ready

    def ask(self, path: Path) -> str | None:
        """Return why a file must not be opened, or None."""
        # Names that are not Unicode are written as JSON's escapes of lone surrogates.
        self._write(json.dumps({"path": os.fspath(path)}).encode() + b"\n")
        error = self._answer(HANG + 5.0).get("error")
        return error if isinstance(error, str) else None

    def _answer(self, seconds: float) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            raise _EndedError from None
        try:
            answer = json.loads(line)
        except ValueError:
            raise _EndedError from None
        if not isinstance(answer, dict):
            raise _EndedError
        return answer

    def kill(self) -> None:
        """End it at once; a thread that waits for an answer gets none."""
        with suppress(OSError):
            self._process.kill()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        with suppress(OSError, ValueError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(0.5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(1.0)
        if self._process.stdout is not None:
            self._process.stdout.close()


class _Probe:
    """The only such process of this program, and the files that have passed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: _Process | None = None
        self._owner = os.getpid()
        self._passed: LRUCache[str, Signature] = LRUCache(_MOST_PASSED)
        #: The file that is being examined, and whether that was cancelled.
        self._at: Path | None = None
        self._stopped = False
        self._possible = can_start_python()

    def examine(self, path: Path) -> None:
        path = path.absolute()
        try:
            now = signature(path)
        except OSError as error:
            raise RasterError(f"{path} cannot be read: {error.strerror or error}") from error
        with self._lock:
            if self._passed.get(str(path)) == now or not self._started():
                return
            self._stopped, self._at = False, path
            try:
                wrong = self._asked(path)
            finally:
                self._at = None
            if wrong is not None:
                raise RasterError(wrong)
            self._passed[str(path)] = now

    def _asked(self, path: Path) -> str | None:
        # Twice, because the process can also end for a reason other than the file.
        for _ in range(2):
            if not self._started():
                break
            assert self._process is not None
            try:
                return self._process.ask(path)
            except _EndedError:
                self._process.end()
                self._process = None
            if self._stopped:
                break
        if self._stopped:
            return f"{path} was not opened: that was cancelled"
        if not self._possible:
            return None
        return (
            f"{path} is unreadable: it ends or hangs the program that opens it; "
            "the file is damaged, get it again"
        )

    def stop(self, path: Path) -> None:
        process = self._process
        if self._at == path.absolute() and process is not None:
            self._stopped = True
            process.kill()

    def warm(self) -> None:
        if self._lock.acquire(blocking=False):
            try:
                self._start()
            finally:
                self._lock.release()

    def _start(self) -> None:
        if self._owner != os.getpid():
            # After a fork the pipes belong to the parent.
            self._owner, self._process = os.getpid(), None
        if self._process is not None and not self._process.alive:
            self._process.end()
            self._process = None
        if self._process is None and self._possible:
            try:
                self._process = _Process()
            except OSError as error:
                self._give_up(str(error))

    def _started(self) -> bool:
        self._start()
        if self._process is None:
            return False
        if not self._process.wait_ready():
            self._process.end()
            self._process = None
            if not self._stopped:
                self._give_up("it does not start")
        return self._process is not None

    def _give_up(self, reason: str) -> None:
        _log.warning("files are opened without being examined first: %s", reason)
        self._possible = False

    def end(self) -> None:
        # A thread that waits for an answer holds the lock, for seconds if the file is bad.
        if self._lock.acquire(blocking=False):
            try:
                if self._process is not None and self._owner == os.getpid():
                    self._process.end()
                self._process = None
            finally:
                self._lock.release()


_PROBE = _Probe()
atexit.register(_PROBE.end)
