"""Read JSON files from unknown sources, with limits and one-line errors."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from napari_disca.core.errors import DiscaError

#: Far more than any of our formats needs, and harmless.
_DEEPEST = 64
_MOST_VALUES = 2_000_000
#: Digits of an integer: those of 64 bits twice. Larger ones take long to convert.
_MOST_DIGITS = 40

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)


class JsonError(DiscaError, ValueError):
    """A text is not JSON, or more of it than is sensible. The message has no file name."""


def load_json(path: str | os.PathLike[str], *, most_bytes: int = 32 << 20) -> Any:
    """Value of a JSON file in UTF-8, with or without a byte-order mark.

    Parameters
    ----------
    path : str or path
    most_bytes : int
        Size of a file that is still read.

    Raises
    ------
    JsonError
        If it cannot be read, is too large, or is refused by `parse_json`.
    """
    try:
        with Path(path).open("rb") as file:
            # Not by its size on the disk, which a pipe or a growing file has not.
            data = file.read(most_bytes + 1)
            if len(data) > most_bytes:
                size = max(os.fstat(file.fileno()).st_size, len(data))
                raise JsonError(f"has {_size(size)}; {_size(most_bytes)} are the most")
    except OSError as error:
        raise JsonError(f"cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        if isinstance(error, JsonError):
            raise
        raise JsonError(f"cannot be read: {error}") from error  # a NUL in the name
    return parse_json(data)


def parse_json(data: bytes | str) -> Any:
    """Value of a JSON text; all its numbers are finite.

    Nesting and the number of values are counted before anything is built: Python's parser calls
    itself for every level, which a thread's small stack may not survive, and small texts can stand
    for large objects.

    Raises
    ------
    JsonError
        If it is not JSON, is nested deeper than 64 levels, or has too many or impossible values.
    """
    try:
        raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
        raw = raw.removeprefix(b"\xef\xbb\xbf")
        _refuse_bombs(raw)
        return json.loads(
            raw.decode("utf-8", "surrogatepass") if isinstance(data, str) else raw.decode("utf-8"),
            parse_constant=_no_number,
            parse_float=_finite,
            parse_int=_integer,
        )
    except RecursionError as error:
        raise JsonError("is nested too deeply") from error
    except ValueError as error:
        if isinstance(error, JsonError):
            raise
        raise JsonError(f"is not JSON: {error}") from error


def _refuse_bombs(raw: bytes) -> None:
    # Brackets within strings do not count.
    characters = np.frombuffer(_STRING.sub(b'"', raw), dtype=np.uint8)
    opening = (characters == ord("[")) | (characters == ord("{"))
    closing = (characters == ord("]")) | (characters == ord("}"))
    steps = opening.astype(np.int32) - closing
    if steps.size and int(steps.cumsum().max()) > _DEEPEST:
        raise JsonError(f"is nested deeper than {_DEEPEST} levels")
    values = int(opening.sum()) + int((characters == ord(",")).sum())
    if values > _MOST_VALUES:
        raise JsonError(f"has more than {_MOST_VALUES} values")


def _no_number(name: str) -> NoReturn:
    raise JsonError(f"contains {name}, which is neither JSON nor a number to use")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise JsonError(f"contains {_cut(text)}, which is too large a number")
    return value


def _integer(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise JsonError(f"contains {_cut(text)}, which is too large a number")
    return int(text)


def _cut(text: str) -> str:
    return text if len(text) <= 24 else f"{text[:20]}..."


def _size(count: int) -> str:
    return f"{count / 2**20:.0f} MB" if count >= 2**20 else f"{count} bytes"
