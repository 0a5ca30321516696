"""Fingerprints of images, by their pixels or by their files.

`fingerprint` stays the same if a file is copied or touched, if overviews or tags are added, if the
CRS is corrected, and if the file is compressed again without loss. Caches that such a change makes
invalid use `file_fingerprint` instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from napari_disca.core.errors import shortened
from napari_disca.raster.base import Raster
from napari_disca.raster.gdal.file_masks import to_rasterio
from napari_disca.raster.gdal.gdal_errors import GDAL_ERRORS
from napari_disca.raster.values.sampling import lattice

#: Sampled windows along each axis, and their side in pixels: enough that a larger edit is noticed,
#: few enough that of a large image only a small part is read.
_WINDOWS, _SIDE = 6, 64
#: Fingerprints of open files; those of arrays, which may change, are not remembered.
_fingerprints: WeakKeyDictionary[Any, tuple[str, tuple[str, ...]]] = WeakKeyDictionary()


def fingerprint(raster: Raster) -> str:
    """Return a hash of an image's size and of sampled windows at full resolution.

    A change between the sampled windows is not noticed.

    Raises
    ------
    RasterError
        If the file is damaged.
    """
    return _sampled(raster)[0]


def same_pixels(before: Any, now: Any) -> bool:
    """Whether two open datasets of rasterio have the same pixels in sampled windows."""
    if (before.shape, before.dtypes) != (now.shape, now.dtypes):
        return False
    try:
        return all(
            before.read(window=window).tobytes() == now.read(window=window).tobytes()
            for window in map(to_rasterio, lattice(before.shape, _WINDOWS, _SIDE))
        )
    except GDAL_ERRORS:
        return False


def cached_fingerprint(raster: object) -> str | None:
    """Return the `fingerprint` of an open file if it was computed before, else None."""
    found = _fingerprints.get(raster)
    return found[0] if found is not None else None


def image_facts(raster: Raster) -> dict[str, Any]:
    """Return facts about an image as values of JSON, from which changes can be described later.

    Raises
    ------
    RasterError
        If the file is damaged.
    """
    return {
        "shape": list(raster.shape),
        "bands": raster.count,
        "type": str(raster.dtype),
        "crs": _crs(raster),
        "transform": [float(n) for n in tuple(raster.transform)[:6]] if raster.transform else [],
        "samples": list(_sampled(raster)[1]),
    }


def pixel_changes(then: Mapping[str, Any], raster: Raster) -> list[str]:
    """Return how an image's pixels differ from earlier facts, a text for each difference.

    Parameters
    ----------
    then : mapping
        Of `image_facts`.
    raster : Raster
    """
    now = image_facts(raster)
    said = []
    if then.get("shape") != now["shape"]:
        said.append(f"it had {_times(then.get('shape'))} pixels, this has {_times(now['shape'])}")
    if then.get("bands") != now["bands"]:
        said.append(f"it had {then.get('bands')} bands, this has {now['bands']}")
    if then.get("type") != now["type"]:
        said.append(f"its pixels were {str(then.get('type'))[:20]}, these are {now['type']}")
    before = then.get("samples")
    if not said and isinstance(before, list) and len(before) == len(now["samples"]):
        differing = sum(a != b for a, b in zip(before, now["samples"], strict=True))
        if differing:
            said.append(f"pixels differ in {differing} of {len(before)} places looked at")
    return said


def place_changes(then: Mapping[str, Any], raster: Raster) -> list[str]:
    """Return how an image's georeference differs from earlier facts, a text for each difference."""
    said = []
    crs, transform = _crs(raster), [float(n) for n in tuple(raster.transform or ())[:6]]
    if isinstance(then.get("crs"), str) and then["crs"] != crs:
        said.append(f"its CRS was {_short(then['crs'])} and is {_short(crs)}")
    if isinstance(then.get("transform"), list) and then["transform"] != transform:
        said.append("its transform has changed")
    return said


def file_fingerprint(raster: Raster) -> str:
    """Return a hash of a file's content that also changes with its size and its georeference.

    Version 0.1.0 used it as the image's fingerprint in journals.

    Raises
    ------
    RasterError
        If the file is damaged.
    """
    if raster.path is not None:
        _sampled(raster)  # raises an error if the file was exchanged
    digest = hashlib.blake2b(digest_size=16)
    size = raster.path.stat().st_size if raster.path is not None else 0
    crs = raster.crs.to_wkt() if raster.crs is not None else ""
    facts = (
        size,
        raster.shape,
        raster.count,
        str(raster.dtype),
        crs,
        tuple(raster.transform or ()),
    )
    digest.update(repr(facts).encode())
    for window in lattice(raster.shape, 4, 64):
        digest.update(np.ascontiguousarray(raster.read(window)).tobytes())
    return digest.hexdigest()


def _sampled(raster: Raster) -> tuple[str, tuple[str, ...]]:
    """Fingerprint of an image, and a short digest of each of its sampled windows."""
    if raster.path is not None and (found := _fingerprints.get(raster)) is not None:
        return found
    digest = hashlib.blake2b(digest_size=15)
    digest.update(repr((raster.shape, raster.count, str(raster.dtype))).encode())
    samples = []
    for window in lattice(raster.shape, _WINDOWS, _SIDE):
        pixels = np.ascontiguousarray(raster.read(window)).tobytes()
        digest.update(pixels)
        samples.append(hashlib.blake2b(pixels, digest_size=3).hexdigest())
    # The prefix distinguishes it from a fingerprint of version 0.1.0.
    found = f"p-{digest.hexdigest()}", tuple(samples)
    if raster.path is not None:
        _fingerprints[raster] = found
        # Each page checks by itself whether the file is still the same.
        for part in getattr(raster, "parts", ()):
            _sampled(part)
    return found


def _crs(raster: Raster) -> str:
    if raster.crs is None:
        return ""
    text: str = raster.crs.to_string()
    return text


def _short(crs: str) -> str:
    return shortened(crs, 40) or "unknown"


def _times(shape: object) -> str:
    return " x ".join(map(str, shape)) if isinstance(shape, list) else "other"
