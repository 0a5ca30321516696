"""A file is opened elsewhere first: in a process that may crash.

GDAL and its codecs are C libraries that decode whatever bytes they are given. A file that is
damaged, or made to do harm, can end the program, hang it or fill the memory, and no Python code
can catch that. So a file that this program has not opened before goes through a second process
with limits, which opens it, reads some windows and overviews, and says how it went; if it dies
or does not answer, the file is refused and the program lives.

One such process serves all files, because starting Python and GDAL takes longer than looking at
a file (milliseconds). It is started with `warm` or by the first file, ends with this program
(the end of its input is its end, however this program ends), and by itself when nobody has asked
for long. Files that passed are remembered by size, time and inode, so they cost nothing again.

Every file is looked at, whoever made it: a crash costs the user's unsaved work, a look a fifth of
a second at most (then no further window is begun). So small files are read whole and large ones in
part, and a file can pass and still hold a window that crashes later.
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

from napari_disca.core.errors import RasterError
from napari_disca.raster.signature import Signature, signature

_log = logging.getLogger(__name__)

#: Seconds after which a file that is still being looked at is given up.
HANG = 20.0
#: Seconds that a first start may take on a busy machine with a slow disk.
_START = 60.0
_REMEMBERED = 10_000

# Nothing is imported from where the user happens to stand (-P), and everything from where this
# program imports it: the first line of the input is this program's path.
_CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.stdin.readline()); "
    "from napari_disca.raster.probing import main; main()"
)


def examine(path: Path) -> None:
    """Have a file opened and read by the other process, unless it has passed before.

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
    """End the other process if it is looking at a file, which is then refused.

    For whoever waits for `examine` on another thread and does not want to any more.
    """
    _PROBE.stop(path)


def warm() -> None:
    """Start the other process and return at once; worth it where a file will be opened soon."""
    _PROBE.warm()


def end() -> None:
    """End the other process, unless it is looking at a file; the next file starts another."""
    _PROBE.end()


class _EndedError(Exception):
    """The other process ended or did not answer."""


class _Process:
    """The other process: a question a line, an answer a line."""

    def __init__(self) -> None:
        quiet: dict[str, Any] = {}
        if os.name == "nt":
            quiet = {"creationflags": subprocess.CREATE_NO_WINDOW}  # type: ignore[attr-defined,unused-ignore]
        elif os.name == "posix":
            # Ctrl+C in the terminal is for this program.
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
        self._write([entry for entry in sys.path if entry])
        self.ready = False

    def _read(self) -> None:
        assert self._process.stdout is not None
        with suppress(ValueError, OSError):
            for line in self._process.stdout:
                self._lines.put(line)
        self._lines.put(b"")

    def _write(self, value: Any) -> None:
        assert self._process.stdin is not None
        with suppress(OSError, ValueError):  # it will not answer, which is noticed then
            self._process.stdin.write(json.dumps(value).encode() + b"\n")
            self._process.stdin.flush()

    def wait_ready(self) -> bool:
        if not self.ready:
            with suppress(_EndedError):
                self.ready = self._answer(_START) == {"ready": True}
        return self.ready

    def ask(self, path: Path) -> str | None:
        """What is wrong with a file, or None."""
        # Names that are no Unicode travel as JSON's escapes of lone surrogates.
        self._write({"path": os.fspath(path)})
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
        """End it at once; whoever waits for an answer gets none."""
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
    """The one process of this program, and the files it has seen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: _Process | None = None
        self._owner = os.getpid()
        self._passed: LRUCache[str, Signature] = LRUCache(_REMEMBERED)
        #: The file that is being looked at, and whether nobody waits for it any more.
        self._at: Path | None = None
        self._stopped = False
        # In a bundled application there is no interpreter to start, only the application again.
        self._possible = bool(sys.executable) and not getattr(sys, "frozen", False)

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
        # Twice, because a process can also end by an accident that the file has no part in.
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
            # After a fork the pipes are the parent's.
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
        _log.warning("files are opened without being looked at first: %s", reason)
        self._possible = False

    def end(self) -> None:
        # Whoever waits for an answer holds the lock, for seconds if the file is bad.
        if self._lock.acquire(blocking=False):
            try:
                if self._process is not None and self._owner == os.getpid():
                    self._process.end()
                self._process = None
            finally:
                self._lock.release()


_PROBE = _Probe()
atexit.register(_PROBE.end)
