"""The process that reads GeoPackage, Shapefile and FlatGeobuf: a damaged file may crash GDAL.

Run as a script with the name of a file; it imports nothing of this package. On standard output it
says, as one line of JSON, ``{"crs": ..., "features": [[kind, [[x, y], ...], properties], ...]}`` or
``{"error": ...}``.
"""

from __future__ import annotations

import json
import math
import os
import struct
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

#: Seconds after which a file is given up.
HANG = 60.0
#: Bytes of address space.
_MEMORY = 4 << 30
_MOST_FEATURES = 200_000
_LONGEST_TEXT = 200
#: Kinds of geometry by their number in well-known binary.
_KINDS = {
    1: "Point",
    2: "LineString",
    3: "Polygon",
    4: "MultiPoint",
    5: "MultiLineString",
    6: "MultiPolygon",
    7: "GeometryCollection",
}


def main() -> None:
    """Read the file that is named on the command line."""
    # GDAL may print; what was standard output is for the answer alone.
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    _set_limits()
    answers.write(json.dumps(read(Path(sys.argv[1]))) + "\n")
    answers.flush()


def read(path: Path) -> dict[str, Any]:
    """Features of a file, or why it cannot be read.

    Parameters
    ----------
    path : Path

    Returns
    -------
    dict
        As the process says it.
    """
    # Nothing is fetched from a server, whatever a file asks for.
    os.environ.setdefault("CPL_VSIL_CURL_ALLOWED_EXTENSIONS", "{none}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _read(path)
    except MemoryError:
        return {"error": "it asks for more memory than a file of points may have"}
    except Exception as error:  # pyogrio and GDAL raise many kinds; all are the file's
        return {"error": " ".join(str(error).split()) or type(error).__name__}


def _read(path: Path) -> dict[str, Any]:
    import pyogrio
    import pyogrio.raw

    layer = _layer(pyogrio.list_layers(path).tolist())
    about = pyogrio.read_info(path, layer=layer, force_feature_count=True)
    if about["features"] > _MOST_FEATURES:
        return {"error": f"it has {about['features']} features; {_MOST_FEATURES} are the most"}
    meta, _, shapes, columns = pyogrio.raw.read(path, layer=layer, max_features=_MOST_FEATURES)
    names = [str(name) for name in meta["fields"]]
    count = len(shapes) if shapes is not None else 0
    features = [
        [
            *_geometry(shapes[k]),
            {name: _plain(column[k]) for name, column in zip(names, columns, strict=True)},
        ]
        for k in range(count)
    ]
    return {"crs": meta.get("crs"), "features": features}


def _layer(layers: list[list[Any]]) -> str:
    """Layer that holds the clicks."""
    placed = [(str(name), str(kind)) for name, kind in layers if kind is not None]
    points = [name for name, kind in placed if "Point" in kind]
    # A layer of any geometry may hold points, too.
    points = points or [name for name, kind in placed if "Unknown" in kind]
    chosen = points or [name for name, _ in placed]
    if not chosen:
        raise ValueError("it has no layer with geometries")
    if len(chosen) > 1 and points:
        named = [name for name in chosen if name.lower() == "clicks"]
        if len(named) != 1:
            raise ValueError(
                f"it has several layers of points, {', '.join(chosen[:5])}; save one alone, or "
                "call it clicks"
            )
        return named[0]
    return chosen[0]


def _geometry(shape: bytes | None) -> tuple[str, list[tuple[float | None, float | None]]]:
    """Kind of a geometry in well-known binary, and its positions if it is of points."""
    if not shape:
        return "", []
    kind, order, at = _head(shape, 0)
    if kind == 1:
        return "Point", [_position(shape, order, at)]
    if kind == 4:
        (count,) = struct.unpack_from(order + "I", shape, at)
        at += 4
        positions = []
        for _ in range(min(count, _MOST_FEATURES)):
            _, order, inner = _head(shape, at)
            positions.append(_position(shape, order, inner))
            (flags,) = struct.unpack_from(order + "I", shape, at + 1)
            at = inner + 8 * _dimensions(flags)
        return "MultiPoint", positions
    return _KINDS.get(kind, "other geometry"), []


def _head(shape: bytes, at: int) -> tuple[int, str, int]:
    """Kind, byte order and where the content begins."""
    order = "<" if shape[at] == 1 else ">"
    (flags,) = struct.unpack_from(order + "I", shape, at + 1)
    after = at + 5 + (4 if flags & 0x20000000 else 0)
    return (flags & 0x0FFFFFFF) % 1000, order, after


def _dimensions(flags: int) -> int:
    """Numbers of a position: x, y and perhaps height and measure."""
    thousands = (flags & 0x0FFFFFFF) // 1000
    extra = {0: 0, 1: 1, 2: 1, 3: 2}.get(thousands, 0)
    return 2 + extra + bool(flags & 0x80000000) + bool(flags & 0x40000000)


def _position(shape: bytes, order: str, at: int) -> tuple[float | None, float | None]:
    x, y = struct.unpack_from(order + "dd", shape, at)
    return (x, y) if math.isfinite(x + y) else (None, None)


def _plain(value: Any) -> str | int | float | bool | None:
    """Value of a column as JSON has it."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bool | int) or value is None:
        return value if not isinstance(value, int) or abs(value) < 1 << 63 else str(value)
    return str(value)[:_LONGEST_TEXT]


def _set_limits() -> None:
    """Bound the memory, and die without a dump or a dialog."""
    if sys.platform == "win32":
        import ctypes

        ctypes.windll.kernel32.SetErrorMode(0x0001 | 0x0002 | 0x8000)
        return
    import resource

    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError, ValueError):
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        wanted = _MEMORY if hard == resource.RLIM_INFINITY else min(_MEMORY, hard)
        resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))


if __name__ == "__main__":
    main()
