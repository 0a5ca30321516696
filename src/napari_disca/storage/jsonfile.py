"""Read JSON files from unknown sources, with limits and one-line errors."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from napari_disca.core.errors import DiscaError, shortened

#: Limits far above what any of our formats needs.
_DEEPEST = 64
_MOST_VALUES = 2_000_000
#: Most digits of an integer, twice those of 64 bits. Long ones take long to convert.
_MOST_DIGITS = 40

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)


class JsonError(DiscaError, ValueError):
    """A text is not JSON, or exceeds a limit. The message continues the name of a file."""


def load_json(path: str | os.PathLike[str], *, most_bytes: int = 32 << 20) -> Any:
    """Return the value of a JSON file in UTF-8, with or without a byte-order mark.

    Parameters
    ----------
    path : str or path
    most_bytes : int
        Largest size in bytes of a file that is read.

    Raises
    ------
    JsonError
        If it cannot be read, is too large, or is refused by `parse_json`.
    """
    try:
        with Path(path).open("rb") as file:
            # Not by the size on disk, which a pipe or a growing file does not have.
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
    """Return the value of a JSON text; all its numbers are finite.

    Nesting and values are counted before the text is parsed: Python's parser recurses for every
    level, which can overflow a thread's small stack, and a small text can become a large object.

    Raises
    ------
    JsonError
        If it is not JSON, is nested deeper than 64 levels, has more than two million values, or
        holds a number that is infinite or too long.
    """
    try:
        raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
        raw = raw.removeprefix(b"\xef\xbb\xbf")
        _check_limits(raw)
        return json.loads(
            raw.decode("utf-8", "surrogatepass") if isinstance(data, str) else raw.decode("utf-8"),
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_integer,
        )
    except RecursionError as error:
        raise JsonError("is nested too deeply") from error
    except ValueError as error:
        if isinstance(error, JsonError):
            raise
        raise JsonError(f"is not JSON: {error}") from error


def _check_limits(raw: bytes) -> None:
    # Brackets and commas within strings do not count.
    characters = np.frombuffer(_STRING.sub(b'"', raw), dtype=np.uint8)
    opening = (characters == ord("[")) | (characters == ord("{"))
    closing = (characters == ord("]")) | (characters == ord("}"))
    steps = opening.astype(np.int32) - closing
    if steps.size and int(steps.cumsum().max()) > _DEEPEST:
        raise JsonError(f"is nested deeper than {_DEEPEST} levels")
    values = int(opening.sum()) + int((characters == ord(",")).sum())
    if values > _MOST_VALUES:
        raise JsonError(f"has more than {_MOST_VALUES} values")


def _refuse_constant(name: str) -> NoReturn:
    raise JsonError(f"contains {name}, which is not a number that JSON has")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise JsonError(f"contains {shortened(text, 23)}, which is too large a number")
    return value


def _integer(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise JsonError(f"contains {shortened(text, 23)}, which is too large a number")
    return int(text)


def _size(count: int) -> str:
    return f"{count / 2**20:.0f} MB" if count >= 2**20 else f"{count} bytes"
