"""The process that reads vector layers to show over an image.

It is another process because a damaged file can crash GDAL, see `napari_disca.core.child_process`.
It runs as a script, so that it need not wait for the imports of `napari_disca.exports`. The request
is ``{"path": ..., "crs": ..., "extent": [[x, y], ...]}``. The answer is one line of JSON, either
``{"error": ...}`` or ``{"layers": [...], "left_out": ...}``, and then the bytes of each layer's
arrays in the order of `ARRAYS`.
"""

from __future__ import annotations

import json
import math
import os
import struct
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_disca.core.child_process import (
    json_value,
    limit_process,
    taken_output,
    taken_request,
)

#: Names and types of a layer's arrays: x and y of all positions; the index among them at which
#: each part begins; each part's kind (`POINT`, `LINE`, `RING` or `HOLE`) and the number of its
#: feature; the offset at which each feature's text begins; and the texts, the attributes of a
#: feature as an object in JSON.
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
#: Seconds after which the process is ended.
HANG = 180.0
#: Limit of the address space in bytes.
_MEMORY = 6 << 30
_MOST_LAYERS = 12
_MOST_COLUMNS = 24
#: Characters of a column's name and of an attribute's text that are kept.
_LONGEST_TEXT = 80
#: Share of the image's extent that is added on each side: in another CRS its sides are curved.
_MARGIN = 0.05
#: Nested geometry collections are read to this depth.
_DEEPEST = 8


def main() -> None:
    """Read the file that is requested, and write the answer."""
    answers = taken_output()
    limit_process(_MEMORY)
    for part in read(taken_request()):
        answers.write(part)
    answers.flush()


def read(request: dict[str, Any]) -> Iterator[bytes]:
    """Yield the answer to a request, piece by piece.

    Parameters
    ----------
    request : dict
        ``path``: the file. ``crs``: WKT of the image's CRS, or None. ``extent``: positions spread
        over the image, in that CRS. If both are given, features outside the extent are not read.
    """
    path = Path(request["path"])
    # A file may refer to a server; nothing is fetched from there.
    os.environ.setdefault("CPL_VSIL_CURL_ALLOWED_EXTENSIONS", "{none}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            layers, left_out = _layers(path, request)
        answer: dict[str, Any] = {"layers": [about for about, _ in layers], "left_out": left_out}
    except MemoryError:
        layers, answer = [], {"error": "it asks for more memory than a file of vectors may have"}
    except Exception as error:  # pyogrio and GDAL raise many kinds, all about the file
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
    # QGIS keeps its styles in a GeoPackage beside the data.
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
    """Return left, bottom, right and top of the image in a layer's CRS, or None if unknown."""
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
    margin_x, margin_y = _MARGIN * (right - left), _MARGIN * (top - bottom)
    if wraps and (left - margin_x < -180 or right + margin_x > 180 or right - left > 180):
        left, right = -720.0, 720.0  # longitudes may be stored 360 degrees away
    return (
        float(left - margin_x),
        float(bottom - margin_y),
        float(right + margin_x),
        float(top + margin_y),
    )


def _arrays(shapes: Any) -> tuple[list[NDArray[Any]], int]:
    """Return positions, starts, kinds and owners of geometries, and the number of features."""
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
    """Return the points, lines and rings of a geometry in well-known binary.

    Returns
    -------
    list of (int, (n, 2) array)
        Kind and positions; of a geometry that is damaged or of another kind, those before that.
    """
    found: list[tuple[int, NDArray[np.float64]]] = []

    def geometry(at: int, depth: int) -> int:
        order = "<" if shape[at] == 1 else ">"
        (kind,) = struct.unpack_from(order + "I", shape, at + 1)
        at += 5
        if kind == 1:
            part, at = run(at, 1, order)
            if np.isfinite(part).all():
                found.append((POINT, part))
            return at
        if kind not in (2, 3, 4, 5, 6, 7) or depth > _DEEPEST:
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
                at = geometry(at, depth + 1)
        return at

    def run(at: int, count: int, order: str) -> tuple[NDArray[np.float64], int]:
        part = np.frombuffer(shape, order + "f8", 2 * count, at).reshape(-1, 2)
        return part.astype("<f8"), at + 16 * count

    with suppress(ValueError, struct.error, IndexError):
        geometry(0, 0)
    return found


def _texts(count: int, names: list[str], columns: Any) -> list[bytes]:
    """Return the attributes of each feature as an object in JSON, without empty ones."""
    texts = []
    for row in range(count):
        attributes = {}
        for name, column in zip(names, columns, strict=True):
            value = json_value(column[row], _LONGEST_TEXT)
            if value not in (None, ""):
                attributes[name[:_LONGEST_TEXT]] = value
        texts.append(json.dumps(attributes, ensure_ascii=False).encode("utf-8", "replace"))
    return texts


if __name__ == "__main__":
    main()
