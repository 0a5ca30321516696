"""The process of `napari_disca.raster.gdal.probe`, which opens files that may crash it."""

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
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from napari_disca.core.child_process import limit_process, taken_output
from napari_disca.raster.gdal.probe import HANG

#: Seconds after which no further window is read: a delay that users do not notice.
_BRIEF = 0.2
#: Seconds without a request after which the process ends; the next request starts another.
_IDLE = 900.0
#: Limit of the address space in bytes. This process imports GDAL, but not torch.
_MEMORY = 6 << 30
#: Side of the windows that are read, and of the overview.
_SIDE = 256
#: Images of up to this many pixels are also read as an overview, which decodes larger ones
#: completely if they have no overviews.
_SMALL = 4 << 20
_MOST_BANDS = 8


def main() -> None:
    """Answer requests on standard input until it is closed."""
    answers = taken_output()
    nowhere = open(os.devnull, "w")  # noqa: SIM115, PTH123  (open as long as the process)
    limit_process(_MEMORY)
    from napari_disca.raster.opening import open_here

    _say(answers, {"ready": True})
    while True:
        # Its C thread needs no lock of Python's, so it also ends a process that hangs in GDAL or
        # whose parent has ended without closing the pipe.
        faulthandler.dump_traceback_later(_IDLE, exit=True, file=nowhere)
        line = sys.stdin.readline()
        if not line:
            return
        faulthandler.dump_traceback_later(HANG, exit=True, file=nowhere)
        _say(answers, {"error": _examined(Path(json.loads(line)["path"]), open_here)})


def _say(answers: BinaryIO, value: dict[str, Any]) -> None:
    with suppress(OSError):
        answers.write(json.dumps(value).encode() + b"\n")
        answers.flush()


def _examined(path: Path, open_here: Any) -> str | None:
    """Open a file and read parts of it; return why it must not be opened, or None.

    An error while reading a part is no reason: other parts can be read, and the program reports
    such an error when it reads that part.
    """
    from napari_disca.core.errors import DiscaError, out_of_memory

    try:
        with open_here(path) as raster:
            _read_parts(raster)
    except Exception as error:
        if out_of_memory(error):
            return f"{path} needs more memory than an image may; is it damaged?"
        if isinstance(error, DiscaError):
            return str(error)
        # Any other error would also occur in the program that asks.
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
        # Of GDAL's own errors only a full memory means that the file must not be opened.
        cause: BaseException | None = error
        while cause is not None:
            if type(cause).__name__ == "CPLE_OutOfMemoryError":
                raise MemoryError from error
            cause = cause.__cause__


def _windows(shape: tuple[int, int]) -> Iterator[Any]:
    """Windows of an image: its corners, its middle, then up to 4096 others, evenly spread."""
    from napari_disca.core.tiling import Window

    height, width = min(_SIDE, shape[0]), min(_SIDE, shape[1])
    rows, cols = (math.ceil(side / _SIDE) for side in shape)
    seen = set()
    corners = [(0, 0), (rows - 1, cols - 1), (rows // 2, cols // 2), (0, cols - 1), (rows - 1, 0)]
    # Halton points are evenly spread, however many of them are read in the time.
    spread = (
        (int(_halton(k, 2) * rows), int(_halton(k, 3) * cols)) for k in range(1, 4 * rows * cols)
    )
    for place in (*corners, *islice(spread, 4096)):
        if place not in seen:
            seen.add(place)
            top = min(place[0] * _SIDE, shape[0] - height)
            left = min(place[1] * _SIDE, shape[1] - width)
            yield Window(top, left, height, width)


def _halton(index: int, base: int) -> float:
    value, share = 0.0, 1.0
    while index:
        share /= base
        index, digit = divmod(index, base)
        value += share * digit
    return value
