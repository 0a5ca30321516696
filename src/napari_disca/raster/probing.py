"""The process of `napari_disca.raster.probe`: opens files that may crash it."""

from __future__ import annotations

import faulthandler
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

from napari_disca.raster.probe import HANG

#: Seconds after which no further window is begun: what a user does not notice.
_BRIEF = 0.2
#: Seconds without a question after which the process ends; the next one starts another.
_IDLE = 900.0
#: Bytes of address space. GDAL needs a block at a time; the program that asks has torch and more.
_MEMORY = 6 << 30
#: Side of the windows that are read, and of the overview.
_SIDE = 256
#: Images of up to this many pixels are also read as a whole, small; larger ones would be decoded
#: from end to end if they have no overviews.
_SMALL = 4 << 20
_MOST_BANDS = 8


def main() -> None:
    """Answer questions on standard input until it ends."""
    # GDAL and its codecs may print; the pipe is for answers alone.
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    nowhere = open(os.devnull, "w")  # noqa: SIM115, PTH123  (open as long as the process)
    os.dup2(nowhere.fileno(), 1)
    _set_limits()
    from napari_disca.raster.opening import open_here

    _say(answers, {"ready": True})
    while True:
        # A thread of C that needs nobody's lock: it also ends a process that hangs in GDAL, or
        # whose parent has gone without closing the pipe.
        faulthandler.dump_traceback_later(_IDLE, exit=True, file=nowhere)
        line = sys.stdin.readline()
        if not line:
            return
        faulthandler.dump_traceback_later(HANG, exit=True, file=nowhere)
        _say(answers, {"error": _looked_at(Path(json.loads(line)["path"]), open_here)})


def _say(answers: IO[str], value: dict[str, Any]) -> None:
    with suppress(OSError):
        answers.write(json.dumps(value) + "\n")
        answers.flush()


def _looked_at(path: Path, open_here: Any) -> str | None:
    """Open a file and read parts of it; why it must not be opened, or None.

    That a part cannot be read in an orderly way is no reason: the others can, and whoever reads
    it is told.
    """
    from napari_disca.core.errors import DiscaError, out_of_memory

    try:
        with open_here(path) as raster:
            _read_parts(raster)
    except Exception as error:
        if out_of_memory(error):
            return f"{path} asks for more memory than an image may have; is it damaged?"
        if isinstance(error, DiscaError):
            return str(error)
        # Whatever it is, this file would do the same to the program that asks.
        return f"{path} is unreadable: {type(error).__name__}: {' '.join(str(error).split())}"
    return None


def _read_parts(raster: Any) -> None:
    until = time.monotonic() + _BRIEF
    bands = tuple(range(1, min(raster.count, _MOST_BANDS) + 1))
    small = raster.shape[0] * raster.shape[1] <= _SMALL
    if small or getattr(raster, "overviews", ()):
        _attempted(partial(raster.overview, _SIDE, bands[:3]))
    for window in _windows(raster.shape):
        _attempted(partial(raster.read, window, bands))
        _attempted(partial(raster.valid, window))
        if time.monotonic() > until or (getattr(raster, "sequential", False) and not small):
            break


def _attempted(read: Callable[[], object]) -> None:
    from napari_disca.core.errors import RasterError

    try:
        read()
    except RasterError as error:
        # Of GDAL's own errors only one says that another process would be worse off.
        cause: BaseException | None = error
        while cause is not None:
            if type(cause).__name__ == "CPLE_OutOfMemoryError":
                raise MemoryError from error
            cause = cause.__cause__


def _windows(shape: tuple[int, int]) -> Iterator[Any]:
    """Windows of an image: its corners and its middle, then ever more of the rest."""
    from napari_disca.core.tiling import Window

    height, width = min(_SIDE, shape[0]), min(_SIDE, shape[1])
    rows, cols = (math.ceil(side / _SIDE) for side in shape)
    seen = set()
    corners = [(0, 0), (rows - 1, cols - 1), (rows // 2, cols // 2), (0, cols - 1), (rows - 1, 0)]
    # Halton's points: evenly spread, however many there is time for.
    spread = (
        (int(_halton(k, 2) * rows), int(_halton(k, 3) * cols)) for k in range(1, 4 * rows * cols)
    )
    for place in (*corners, *_limited(spread, 4096)):
        if place not in seen:
            seen.add(place)
            top = min(place[0] * _SIDE, shape[0] - height)
            left = min(place[1] * _SIDE, shape[1] - width)
            yield Window(top, left, height, width)


def _limited(items: Iterator[Any], count: int) -> Iterator[Any]:
    return (item for _, item in zip(range(count), items, strict=False))


def _halton(index: int, base: int) -> float:
    value, share = 0.0, 1.0
    while index:
        share /= base
        index, digit = divmod(index, base)
        value += share * digit
    return value


def _set_limits() -> None:
    """Bound the memory, and die without a dump or a dialog."""
    if sys.platform == "win32":
        import ctypes

        # No critical-error, crash-report or missing-file dialogs.
        ctypes.windll.kernel32.SetErrorMode(0x0001 | 0x0002 | 0x8000)
        return
    import resource

    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError, ValueError):
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        wanted = _MEMORY if hard == resource.RLIM_INFINITY else min(_MEMORY, hard)
        resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
