"""The process that reads points from GeoPackage, Shapefile and FlatGeobuf.

It is another process because a damaged file can crash GDAL, see `napari_disca.core.child_process`.
It runs as a script, so that it need not wait for the imports of `napari_disca.exports`. The request
is the name of the file; the answer is one line of JSON,
``{"crs": ..., "features": [[kind, [[x, y], ...], properties], ...]}`` or ``{"error": ...}``.
"""

from __future__ import annotations

import json
import math
import os
import struct
import warnings
from pathlib import Path
from typing import Any

from napari_disca.core.child_process import (
    json_value,
    limit_process,
    taken_output,
    taken_request,
)

#: Seconds after which the process is ended.
HANG = 60.0
#: Limit of the address space in bytes.
_MEMORY = 4 << 30
_MOST_FEATURES = 200_000
#: Characters of an attribute's text that are kept.
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
    """Read the file that is requested, and write the answer."""
    answers = taken_output()
    limit_process(_MEMORY)
    answers.write(json.dumps(read(Path(taken_request()))).encode() + b"\n")
    answers.flush()


def read(path: Path) -> dict[str, Any]:
    """Return the features of a file, or why it cannot be read.

    Parameters
    ----------
    path : Path

    Returns
    -------
    dict
        The answer, as the docstring of this module describes it.
    """
    # A file may refer to a server; nothing is fetched from there.
    os.environ.setdefault("CPL_VSIL_CURL_ALLOWED_EXTENSIONS", "{none}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _read(path)
    except MemoryError:
        return {"error": "it asks for more memory than a file of points may have"}
    except Exception as error:  # pyogrio and GDAL raise many kinds, all about the file
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
            {
                name: json_value(column[k], _LONGEST_TEXT)
                for name, column in zip(names, columns, strict=True)
            },
        ]
        for k in range(count)
    ]
    return {"crs": meta.get("crs"), "features": features}


def _layer(layers: list[list[Any]]) -> str:
    """Return the name of the layer that holds the clicks.

    Raises
    ------
    ValueError
        If there is no layer with geometries, or several of points and none is named ``clicks``.
    """
    placed = [(str(name), str(kind)) for name, kind in layers if kind is not None]
    points = [name for name, kind in placed if "Point" in kind]
    # A layer of unknown geometry may hold points, too.
    points = points or [name for name, kind in placed if "Unknown" in kind]
    chosen = points or [name for name, _ in placed]
    if not chosen:
        raise ValueError("it has no layer with geometries")
    if len(chosen) > 1 and points:
        named = [name for name in chosen if name.lower() == "clicks"]
        if len(named) != 1:
            raise ValueError(
                f"it has several layers of points, {', '.join(chosen[:5])}; save one alone, or "
                "name it clicks"
            )
        return named[0]
    return chosen[0]


def _geometry(shape: bytes | None) -> tuple[str, list[tuple[float | None, float | None]]]:
    """Return the kind of a geometry in well-known binary, and the positions of points."""
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
    """Return a geometry's kind, its byte order and the offset of its content."""
    order = "<" if shape[at] == 1 else ">"
    (flags,) = struct.unpack_from(order + "I", shape, at + 1)
    after = at + 5 + (4 if flags & 0x20000000 else 0)
    return (flags & 0x0FFFFFFF) % 1000, order, after


def _dimensions(flags: int) -> int:
    """Return how many numbers a position has: x, y and perhaps height and measure."""
    thousands = (flags & 0x0FFFFFFF) // 1000
    extra = {0: 0, 1: 1, 2: 1, 3: 2}.get(thousands, 0)
    return 2 + extra + bool(flags & 0x80000000) + bool(flags & 0x40000000)


def _position(shape: bytes, order: str, at: int) -> tuple[float | None, float | None]:
    x, y = struct.unpack_from(order + "dd", shape, at)
    return (x, y) if math.isfinite(x + y) else (None, None)


if __name__ == "__main__":
    main()
