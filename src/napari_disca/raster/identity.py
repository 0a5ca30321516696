"""Who an image is: its pixels, not its file.

An image stays the same image when its file is copied or touched, when overviews or tags are
added, when its CRS is corrected and when it is compressed anew without loss. Caches, which must not
outlive such a change, use `file_fingerprint` instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from napari_disca.raster.base import Raster
from napari_disca.raster.file_masks import to_rasterio
from napari_disca.raster.gdal_errors import GDAL_ERRORS
from napari_disca.raster.sampling import lattice

#: Windows along either side, and their side in pixels: enough that an edit of some size is seen,
#: few enough that a large image is not read as a whole.
_WINDOWS, _SIDE = 6, 64
#: Fingerprints of files that are open; of arrays, which may change, none is kept.
_known: WeakKeyDictionary[Any, tuple[str, tuple[str, ...]]] = WeakKeyDictionary()


def fingerprint(raster: Raster) -> str:
    """Name of an image's content, from its size and a sample of its pixels at full resolution.

    A change between the sampled windows can escape it.

    Raises
    ------
    RasterError
        If the file is damaged.
    """
    return _sampled(raster)[0]


def same_pixels(before: Any, now: Any) -> bool:
    """Whether two open datasets of rasterio's hold the same pixels, as far as a sample tells."""
    if (before.shape, before.dtypes) != (now.shape, now.dtypes):
        return False
    try:
        return all(
            before.read(window=window).tobytes() == now.read(window=window).tobytes()
            for window in map(to_rasterio, lattice(before.shape, _WINDOWS, _SIDE))
        )
    except GDAL_ERRORS:
        return False


def known_fingerprint(raster: object) -> str | None:
    """`fingerprint` of an open file if it was asked for before."""
    found = _known.get(raster)
    return found[0] if found is not None else None


def image_facts(raster: Raster) -> dict[str, Any]:
    """What is remembered of an image to name what has changed, of values that JSON has.

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
    """What of an image's pixels is not as it was, in words.

    Parameters
    ----------
    then : mapping
        What `image_facts` said.
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
    """What of an image's georeference is not as it was, in words."""
    said = []
    crs, transform = _crs(raster), [float(n) for n in tuple(raster.transform or ())[:6]]
    if isinstance(then.get("crs"), str) and then["crs"] != crs:
        said.append(f"its CRS was {_short(then['crs'])} and is {_short(crs)}")
    if isinstance(then.get("transform"), list) and then["transform"] != transform:
        said.append("its transform has changed")
    return said


def file_fingerprint(raster: Raster) -> str:
    """Name of a file's content, which also changes with its size and its georeference.

    What version 0.1.0 called an image's fingerprint.

    Raises
    ------
    RasterError
        If the file is damaged.
    """
    if raster.path is not None:
        _sampled(raster)  # while the file is as it was opened
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
    """Fingerprint, and a short digest of every sampled window."""
    if raster.path is not None and (found := _known.get(raster)) is not None:
        return found
    digest = hashlib.blake2b(digest_size=15)
    digest.update(repr((raster.shape, raster.count, str(raster.dtype))).encode())
    samples = []
    for window in lattice(raster.shape, _WINDOWS, _SIDE):
        pixels = np.ascontiguousarray(raster.read(window)).tobytes()
        digest.update(pixels)
        samples.append(hashlib.blake2b(pixels, digest_size=3).hexdigest())
    # The prefix tells it from a fingerprint of version 0.1.0.
    found = f"p-{digest.hexdigest()}", tuple(samples)
    if raster.path is not None:
        _known[raster] = found
        # Each page looks for itself whether the file still is the same.
        for part in getattr(raster, "parts", ()):
            _sampled(part)
    return found


def _crs(raster: Raster) -> str:
    if raster.crs is None:
        return ""
    text: str = raster.crs.to_string()
    return text


def _short(crs: str) -> str:
    return f"{crs[:37]}..." if len(crs) > 40 else crs or "unknown"


def _times(shape: object) -> str:
    return " x ".join(map(str, shape)) if isinstance(shape, list) else "other"
