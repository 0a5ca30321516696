"""The process that reads vectors to lay over an image: a damaged file may crash GDAL.

Run as a script with the name of a file and a request in JSON, ``{"crs": ..., "extent": [[x, y],
...]}``; it imports nothing of this package. On standard output it says one line of JSON, either
``{"error": ...}`` or ``{"layers": [...], "left_out": ...}``, and then, for each layer, its arrays
as bytes in the order of `ARRAYS`.
"""

from __future__ import annotations

import json
import math
import os
import struct
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Arrays of a layer, and their types: positions, where parts begin among them, what the parts are
#: (`POINT`, `LINE`, `RING` or `HOLE`), whose feature they are, where the texts of the features
#: begin, and these: what is known of a feature, as an object in JSON.
ARRAYS = (
    ("positions", "<f8"),
    ("starts", "<i8"),
    ("kinds", "|i1"),
    ("owners", "<i8"),
    ("text_starts", "<i8"),
    ("texts", "|u1"),
)
POINT, LINE, RING, HOLE = range(4)
#: Features and positions that are read of a layer, at most.
MOST_FEATURES, MOST_POSITIONS = 200_000, 3_000_000
#: Seconds after which a file is given up.
HANG = 180.0
#: Bytes of address space.
_MEMORY = 6 << 30
_MOST_LAYERS = 12
_MOST_COLUMNS = 24
_LONGEST_TEXT = 80
#: Share of the extent by which more is read around it: its sides are bent in another CRS.
_AROUND = 0.05
#: Collections in collections that are looked into.
_DEEPEST = 8


def main() -> None:
    """Read the file that is named on the command line."""
    # GDAL may print; what was standard output is for the answer alone.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    _set_limits()
    for part in read(Path(sys.argv[1]), json.loads(sys.argv[2])):
        answers.write(part)
    answers.flush()


def read(path: Path, request: dict[str, Any]) -> Iterator[bytes]:
    """What the process says, piece by piece.

    Parameters
    ----------
    path : Path
    request : dict
        ``crs``: WKT of the image's CRS, or None. ``extent``: positions all over the image in that
        CRS; where both are there, features elsewhere are not read.
    """
    # Nothing is fetched from a server, whatever a file asks for.
    os.environ.setdefault("CPL_VSIL_CURL_ALLOWED_EXTENSIONS", "{none}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            layers, left_out = _layers(path, request)
        answer: dict[str, Any] = {"layers": [about for about, _ in layers], "left_out": left_out}
    except MemoryError:
        layers, answer = [], {"error": "it asks for more memory than there is for it"}
    except Exception as error:  # pyogrio and GDAL raise many kinds; all are the file's
        text = " ".join(str(error).split()) or type(error).__name__
        layers, answer = [], {"error": text}
    yield json.dumps(answer).encode() + b"\n"
    for _, arrays in layers:
        yield from (np.ascontiguousarray(array).tobytes() for array in arrays)


def _layers(
    path: Path, request: dict[str, Any]
) -> tuple[list[tuple[dict[str, Any], list[NDArray[Any]]]], int]:
    import pyogrio

    named = [str(name) for name, kind in pyogrio.list_layers(path).tolist() if kind is not None]
    # What QGIS keeps in a GeoPackage beside the data.
    named = [name for name in named if name != "layer_styles"]
    if not named:
        raise ValueError("it has no layer with geometries")
    read = [_layer(path, name, request) for name in named[:_MOST_LAYERS]]
    return read, len(named) - len(read)


def _layer(
    path: Path, name: str, request: dict[str, Any]
) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    import pyogrio
    import pyogrio.raw

    about = pyogrio.read_info(path, layer=name, force_feature_count=True, force_total_bounds=True)
    crs = about.get("crs")
    bounds = about.get("total_bounds")
    columns = [str(column) for column in about["fields"]][:_MOST_COLUMNS]
    meta, _, shapes, values = pyogrio.raw.read(
        path,
        layer=name,
        columns=columns,
        force_2d=True,
        bbox=_extent(request, crs),
        max_features=MOST_FEATURES + 1,
    )
    shapes = [] if shapes is None else shapes
    arrays, features = _arrays(shapes)
    texts = _texts(features, [str(field) for field in meta["fields"]], values)
    starts = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    arrays += [starts, np.frombuffer(b"".join(texts), np.uint8)]
    counts = [int(array.size) for array in arrays]
    finite = bounds is not None and all(math.isfinite(float(side)) for side in bounds)
    return {
        "name": name,
        "crs": crs,
        "total": int(about["features"]),
        "bounds": [float(side) for side in bounds] if finite else None,
        "cut": features < len(shapes),
        "counts": counts,
    }, arrays


def _extent(request: dict[str, Any], crs: str | None) -> tuple[float, float, float, float] | None:
    """Least and greatest x and y of the image in a layer's CRS; None where that is not known."""
    places = np.asarray(request.get("extent") or (), dtype=float)
    if not len(places) or not request.get("crs"):
        return None
    xs, ys = places.T
    wraps = False
    if crs:
        from pyproj import CRS, Transformer
        from pyproj.exceptions import ProjError

        try:
            to = CRS.from_user_input(crs)
            xs, ys = Transformer.from_crs(request["crs"], to, always_xy=True).transform(xs, ys)
        except ProjError:
            return None
        wraps = to.is_geographic
    if not np.isfinite(xs).all() or not np.isfinite(ys).all():
        return None
    left, right, bottom, top = xs.min(), xs.max(), ys.min(), ys.max()
    across, up = _AROUND * (right - left), _AROUND * (top - bottom)
    if wraps and (left - across < -180 or right + across > 180 or right - left > 180):
        left, right = -720.0, 720.0  # longitudes may be stored a turn away
    return float(left - across), float(bottom - up), float(right + across), float(top + up)


def _arrays(shapes: Any) -> tuple[list[NDArray[Any]], int]:
    """Positions, parts, kinds and owners of geometries, and of how many features they are."""
    positions: list[NDArray[np.float64]] = []
    kinds: list[int] = []
    owners: list[int] = []
    count = features = 0
    for shape in shapes:
        if features == MOST_FEATURES or count > MOST_POSITIONS:
            break
        if shape:
            for kind, part in _parts(bytes(shape)):
                if len(part):
                    positions.append(part)
                    kinds.append(kind)
                    owners.append(features)
                    count += len(part)
        features += 1
    lengths = [len(part) for part in positions]
    joined = np.concatenate(positions) if positions else np.zeros((0, 2))
    starts = np.cumsum([0, *lengths], dtype=np.int64)
    return [joined, starts, np.asarray(kinds, np.int8), np.asarray(owners, np.int64)], features


def _parts(shape: bytes) -> list[tuple[int, NDArray[np.float64]]]:
    """Points, lines and rings of a geometry in well-known binary, two numbers a position."""
    found: list[tuple[int, NDArray[np.float64]]] = []

    def geometry(at: int, deep: int) -> int:
        order = "<" if shape[at] == 1 else ">"
        (kind,) = struct.unpack_from(order + "I", shape, at + 1)
        at += 5
        if kind == 1:
            part, at = run(at, 1, order)
            if np.isfinite(part).all():
                found.append((POINT, part))
            return at
        if kind not in (2, 3, 4, 5, 6, 7) or deep > _DEEPEST:
            raise ValueError("other")
        (count,) = struct.unpack_from(order + "I", shape, at)
        at += 4
        if kind == 2:
            part, at = run(at, count, order)
            found.append((LINE, part))
            return at
        for number in range(count):
            if kind == 3:
                (length,) = struct.unpack_from(order + "I", shape, at)
                part, at = run(at + 4, length, order)
                found.append((HOLE if number else RING, part))
            else:
                at = geometry(at, deep + 1)
        return at

    def run(at: int, count: int, order: str) -> tuple[NDArray[np.float64], int]:
        part = np.frombuffer(shape, order + "f8", 2 * count, at).reshape(-1, 2)
        return part.astype("<f8"), at + 16 * count

    with suppress(ValueError, struct.error, IndexError):  # a kind that is not drawn
        geometry(0, 0)
    return found


def _texts(count: int, names: list[str], columns: Any) -> list[bytes]:
    """What is known of each feature, as an object in JSON."""
    texts = []
    for row in range(count):
        known = {}
        for name, column in zip(names, columns, strict=True):
            value = _plain(column[row])
            if value not in (None, ""):
                known[name[:_LONGEST_TEXT]] = value
        texts.append(json.dumps(known, ensure_ascii=False).encode("utf-8", "replace"))
    return texts


def _plain(value: Any) -> str | int | float | bool | None:
    """Value of a column as JSON has it."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bool | int) or value is None:
        return value
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
