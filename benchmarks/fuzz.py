"""Thousands of damaged files through the functions the program opens them with.

    python benchmarks/fuzz.py --files 10000 [--seed 0] [--workers 2] [--seeds DIR] [--keep DIR]
                              [--part 1/4]

Seeds are made here: TIFFs of many layouts, compressions and types, images of other formats,
reference masks of many codings, networks with their cards, TorchScript programs, clicks (GeoJSON,
GeoPackage, Shapefile, FlatGeobuf, CSV), locked areas, and the journal of a session with something
of everything; --seeds adds the images of a folder.
Each file is a seed with bytes flipped, cut, doubled, swapped or overwritten,
or with a header, a tag or a number that nobody would write. Workers, processes with limits of
memory and time, open and use them as the program does. What may come of a file: it works (*ok*),
or it is *refused* in one clear line. All else is a bug: an exception that is not ours
(*traceback*), a message that is not one line, the end of the process (*crash*), or no answer
(*hang*). Files that were refused because they killed the process that looks at files first are
*contained*, and count as refused. The same --seed makes the same files; the parts of a run are
disjoint, and their counts add up. Exit code 1 if there is a bug.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_disca.core.threads import limit_spinning

limit_spinning()

import numpy as np

#: Seconds without an answer that count as a hang; bytes of address space of a worker.
HANG, MEMORY = 120.0, 8 << 30
KINDS = (
    *("tiff", "picture", "mask", "weights", "program", "clicks", "vector", "csv", "areas"),
    "journal",
)
#: Weights are few, because each is 23 MB.
SHARE = {
    "tiff": 0.32, "picture": 0.08, "mask": 0.12, "weights": 0.03, "program": 0.03, "clicks": 0.1,
    "vector": 0.1, "csv": 0.1, "areas": 0.04, "journal": 0.08,
}  # fmt: skip
#: Files without which a Shapefile cannot be read.
SIDE_CARS = (".shx", ".dbf", ".prj", ".cpg")


# ---------------------------------------------------------------------------- seeds


def make_seeds(folder: Path, extra: Path | None) -> dict[str, list[Path]]:
    """Write valid files of every kind."""
    from napari_disca.scenes import Scene

    folder.mkdir(parents=True, exist_ok=True)
    image, _ = Scene((120, 150), seed=1, ground_resolution=1.0).render()
    found = {"tiff": list(_tiffs(folder, image)), "weights": list(_weights(folder))}
    found["picture"], found["mask"] = list(_pictures(folder, image)), list(_masks(folder))
    found["program"] = list(_programs(folder))
    found["clicks"] = list(_clicks(folder))
    found["vector"], found["csv"] = list(_vectors(folder)), list(_tables(folder))
    found["areas"] = list(_areas(folder))
    found["journal"] = list(_journals(folder))
    if extra is not None:
        found["tiff"] += sorted(
            p
            for p in extra.rglob("*")
            if p.suffix.lower() in (".tif", ".tiff", ".vrt", ".jpg", ".png")
            and p.stat().st_size < 4 << 20
        )
    return found


def _tiffs(folder: Path, image: np.ndarray) -> Iterator[Path]:
    import rasterio
    import tifffile

    grid = {"crs": "EPSG:32631", "transform": rasterio.Affine(1.5, 0, 5e5, 0, -1.5, 5e6)}
    rgb = image.transpose(2, 0, 1)
    variants: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
        f"{compress}-{'tiled' if tiled else 'strips'}-{interleave}": (
            rgb,
            {
                "compress": compress,
                "interleave": interleave,
                **({"tiled": True, "blockxsize": 64, "blockysize": 64} if tiled else {}),
            },
        )
        for compress in ("none", "deflate", "lzw", "packbits", "zstd", "lerc", "webp", "jpeg")
        for tiled in (True, False)
        for interleave in ("pixel", "band")
        if not (compress in ("webp", "jpeg") and interleave == "band")
    }
    variants["ycbcr"] = (rgb, {"compress": "jpeg", "photometric": "ycbcr"})
    variants["predictor2"] = (rgb.astype(np.uint16) * 257, {"compress": "deflate", "predictor": 2})
    variants["predictor3"] = (rgb / np.float32(255), {"compress": "lzw", "predictor": 3})
    holes = rgb.astype(np.float32)
    holes[:, :20], holes[:, 30, 30] = np.nan, np.inf
    variants["nan"] = (holes, {"nodata": float("nan")})
    variants["double"] = (rgb[:1] * 1e300, {})
    variants["int16"] = (rgb.astype(np.int16) - 100, {"nodata": -100})
    variants["all-nodata"] = (np.zeros_like(rgb), {"nodata": 0})
    variants["bigtiff"] = (rgb, {"bigtiff": "yes", "compress": "deflate"})
    variants["rgba"] = (np.concatenate([rgb, rgb[:1]]), {"photometric": "rgb", "alpha": "yes"})
    variants["row"] = (rgb[:, :1], {})
    variants["column"] = (rgb[:, :, :1], {})
    variants["pixel"] = (rgb[:, :1, :1], {})
    variants["many-bands"] = (np.repeat(rgb[:, :8, :8], 100, axis=0), {"compress": "deflate"})
    for name, (pixels, options) in variants.items():
        path = folder / f"{name}.tif"
        try:
            with rasterio.open(
                path, "w", driver="GTiff", count=len(pixels), height=pixels.shape[1],
                width=pixels.shape[2], dtype=pixels.dtype, **{**grid, **options},
            ) as file:  # fmt: skip
                file.write(pixels)
        except rasterio.errors.RasterioError:
            continue  # this GDAL lacks the codec
        yield path
    path = folder / "palette.tif"
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=120, width=150, dtype="uint8", **grid
    ) as file:
        file.write(rgb[0] // 64, 1)
        file.write_colormap(1, {i: (60 * i, 0, 255 - 60 * i, 255) for i in range(4)})
        file.update_tags(CLASS_0="building", CLASS_1="other")
    yield path
    path = folder / "overviews.tif"
    with rasterio.open(
        path, "w", driver="GTiff", count=3, height=480, width=600, dtype="uint8", tiled=True,
        blockxsize=128, blockysize=128, compress="deflate", **grid,
    ) as file:  # fmt: skip
        file.write(np.kron(rgb, np.ones((1, 4, 4), np.uint8)))
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4])
    yield path
    for name, options in {
        "pages": {"photometric": "minisblack"},
        "imagej": {"imagej": True, "photometric": "minisblack"},
        "lzma": {"photometric": "rgb", "compression": "lzma"},
    }.items():
        path = folder / f"tifffile-{name}.tif"
        try:
            pixels = np.ascontiguousarray(image if name == "lzma" else rgb)
            tifffile.imwrite(path, pixels, **options)
        except Exception:  # an optional codec
            continue
        yield path
    # 0 bands, and as many as a TIFF can count.
    for name, bands in (("no-bands", 0), ("65535-bands", 65535)):
        path = folder / f"{name}.tif"
        path.write_bytes(_bare_tiff(4, 4, bands))
        yield path


def _pictures(folder: Path, image: np.ndarray) -> Iterator[Path]:
    """Images of other formats than TIFF."""
    import rasterio
    import rasterio.shutil

    rgb = image.transpose(2, 0, 1)
    formats: dict[str, tuple[str, np.ndarray, dict[str, Any]]] = {
        "a.png": ("PNG", rgb, {}),
        "deep.png": ("PNG", rgb.astype(np.uint16) * 257, {}),
        "alpha.png": ("PNG", np.concatenate([rgb, rgb[:1]]), {}),
        "a.jpg": ("JPEG", rgb, {}),
        "a.webp": ("WEBP", rgb, {}),
        "a.bmp": ("BMP", rgb, {}),
        "a.jp2": ("JP2OpenJPEG", rgb, {}),
        "a.img": ("HFA", rgb.astype(np.int16), {"nodata": -1}),
        "a.gif": ("GIF", rgb[:1], {}),
    }
    whole = folder / "none-tiled-pixel.tif"
    for name, (driver, pixels, options) in formats.items():
        memory = rasterio.MemoryFile()
        with rasterio.open(whole) as file:
            place = {"crs": file.crs, "transform": file.transform}
        try:
            with memory.open(
                driver="GTiff", count=len(pixels), height=pixels.shape[1], width=pixels.shape[2],
                dtype=pixels.dtype, **place, **options,
            ) as file:  # fmt: skip
                file.write(pixels)
            rasterio.shutil.copy(memory.name, folder / name, driver=driver)
        except rasterio.errors.RasterioError:
            continue  # this GDAL lacks the format
        yield folder / name


def _masks(folder: Path) -> Iterator[Path]:
    """Reference masks as programs code them."""
    from PIL import Image

    ids = np.kron(np.random.default_rng(0).integers(0, 2, (12, 15)), np.ones((10, 10)))
    ids = ids.astype(np.uint8)
    palette = Image.fromarray(ids, mode="P")
    palette.putpalette([0xD9, 0x5F, 0x02, 0xE6, 0xD3, 0xA3])
    pictures = {
        "ids.png": Image.fromarray(ids),
        "binary.png": Image.fromarray(ids * 255),
        "deep.tif": Image.fromarray(ids.astype(np.uint16) * 65535),
        "bit.tif": Image.fromarray(ids.astype(np.bool_)),
        "palette.png": palette,
        "palette.bmp": palette,
        "grey.jpg": Image.fromarray(ids * 255),
        "colours.png": palette.convert("RGB"),
        "rgba.tif": Image.fromarray(np.dstack([ids, ids, ids, ids * 0 + 255])),
    }
    for name, picture in pictures.items():
        path = folder / f"mask-{name}"
        picture.save(path)
        yield path


def _programs(folder: Path) -> Iterator[Path]:
    """Small TorchScript programs; their card is the same for all."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 2, 1)).eval()
    sigmoid = nn.Sequential(nn.Conv2d(3, 1, 3, padding=1), nn.Sigmoid()).eval()
    for name, module in {"plain": plain, "sigmoid": sigmoid}.items():
        path = folder / f"{name}.pt"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.jit.trace(module, torch.zeros(1, 3, 64, 64)).save(str(path))
        yield path


def _bare_tiff(height: int, width: int, bands: int, bits: int = 8) -> bytes:
    """A TIFF by hand: what no library would write."""
    data = bytes(min(height * width * bands, 1 << 22))
    tags = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, bits), (259, 3, 1, 1),
        (262, 3, 1, 1), (273, 4, 1, 8), (277, 3, 1, bands), (278, 4, 1, height),
        (279, 4, 1, len(data)),
    ]  # fmt: skip
    head = struct.pack("<2sHI", b"II", 42, 8 + len(data))
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return head + data + struct.pack("<H", len(tags)) + entries + bytes(4)


def _weights(folder: Path) -> Iterator[Path]:
    import torch

    from napari_disca.networks import Card, LandClass, build_network, save_network

    torch.manual_seed(0)
    card = Card(
        name="fuzz",
        architecture="linknet",
        classes=(LandClass("building", "#d95f02"), LandClass("other", "#e6d3a3")),
        ground_resolution=1.5,
    )
    yield save_network(build_network(card), folder / "small.safetensors")


def _clicks(folder: Path) -> Iterator[Path]:
    from napari_disca.annotations.clicks import Click, Clicks
    from napari_disca.exports import write_clicks
    from napari_disca.networks import LandClass
    from napari_disca.raster import open_raster

    classes = (LandClass("building", "#d95f02"), LandClass("other", "#e6d3a3"))
    with open_raster(folder / "none-tiled-pixel.tif") as raster:
        clicks = Clicks(tuple(Click(i * 7, i * 9, i % 2) for i in range(12)))
        yield write_clicks(clicks, folder / "utm.geojson", raster=raster, classes=classes)
    raster = open_raster(np.zeros((120, 150, 3), np.uint8))
    yield write_clicks(clicks, folder / "pixels.geojson", raster=raster, classes=classes)
    degrees = json.loads((folder / "utm.geojson").read_text())
    del degrees["crs"]
    path = folder / "degrees.geojson"
    path.write_text(json.dumps(degrees))
    yield path


def _vectors(folder: Path) -> Iterator[Path]:
    """Points of a GIS: GeoPackage, Shapefile and FlatGeobuf, of points and of anything."""
    try:
        import pyogrio.raw
    except ImportError:
        return
    places = [(5e5 + 1.5 * (9 * i + 0.5), 5e6 - 1.5 * (7 * i + 0.5)) for i in range(12)]
    shapes = np.array([struct.pack("<BIdd", 1, 1, *place) for place in places], dtype=object)
    names = np.array(["building", "other"] * 6, dtype=object)
    for suffix in (".gpkg", ".shp", ".fgb"):
        for kind in ("Point", "Unknown") if suffix == ".gpkg" else ("Point",):
            path = folder / f"{kind.lower()}s{suffix}"
            pyogrio.raw.write(
                path, shapes, [names, np.arange(12)], ["class", "order"], crs="EPSG:32631",
                geometry_type=kind,
            )  # fmt: skip
            yield path


def _tables(folder: Path) -> Iterator[Path]:
    """Clicks as CSV, by pixel, by place and as well-known text."""
    rows = [(7 * i, 9 * i, ("building", "other")[i % 2]) for i in range(12)]
    lines = {
        "pixels": ["row,col,class", *(f"{r},{c},{name}" for r, c, name in rows)],
        "places": ["x;y;label", *(f"{5e5 + c},5;{5e6 - r},5;{name}" for r, c, name in rows)],
        "wkt": [
            "WKT,kind", *(f'"POINT ({5e5 + c} {5e6 - r})",{name}' for r, c, name in rows)
        ],
    }  # fmt: skip
    for name, text in lines.items():
        path = folder / f"{name}.csv"
        path.write_text("\n".join(text) + "\n")
        yield path


def _areas(folder: Path) -> Iterator[Path]:
    from napari_disca.annotations.areas import Area
    from napari_disca.core.tiling import Window
    from napari_disca.exports import write_locks
    from napari_disca.raster import open_raster

    square = Area.rectangle(Window(20, 30, 40, 50))
    ring = Area((((5, 5), (5, 60), (60, 60), (60, 5)), ((20, 20), (20, 40), (40, 40))))
    with open_raster(folder / "none-tiled-pixel.tif") as raster:
        yield write_locks([square, ring], folder / "utm-areas.geojson", raster=raster, classes=())
    raster = open_raster(np.zeros((120, 150, 3), np.uint8))
    yield write_locks([square, ring], folder / "pixel-areas.geojson", raster=raster, classes=())


def _journals(folder: Path) -> Iterator[Path]:
    """Journal of a session in which everything was done."""
    from napari_disca.annotations.areas import Area
    from napari_disca.core.events import finish
    from napari_disca.core.tiling import Window
    from napari_disca.networks import load_network
    from napari_disca.networks.compute import Compute
    from napari_disca.raster import open_raster
    from napari_disca.recipes import Disca
    from napari_disca.session.journal.journal import Journal
    from napari_disca.session.restore import header_of
    from napari_disca.session.session import Session

    path, weights = folder / "session.disca.jsonl", folder / "small.safetensors"
    with open_raster(folder / "none-tiled-pixel.tif") as raster:
        session = Session(
            raster, load_network(weights), compute=Compute.choose("cpu", "float32"), factor=1.0
        )
        session.keep(Journal.begin(path, header_of(session, str(weights))))
        session.learn_from_cache(None)
        clicks = [session.document.click(7 * i, 9 * i, i % 2) for i in range(12)]
        recipe = Disca(passes=1, crop_size=64)
        finish(session.adapt(recipe, ()), session.handle)
        first, _ = session.document.lock(
            Area.rectangle(Window(20, 30, 40, 50)), Area((((80, 80), (80, 110), (110, 80)),))
        )
        session.document.move(clicks[3], 50, 50)
        session.document.relabel(clicks[4], 1)
        session.document.remove(*clicks[:2])
        session.document.undo()
        session.document.unlock(first)
        finish(session.adapt(recipe, ()), session.handle)
        session.document.reset_network()
        session.document.exported("disca", "map.tif")
        session.document.go(8)
        session.document.click(90, 90, 0)
        session.close()
    yield path


# ---------------------------------------------------------------------------- damage


def damaged(data: bytes, kind: str, rng: np.random.Generator) -> bytes:
    """A file that a disk, a network, a program or a person has spoiled."""
    spoiled = bytearray(data)
    # Little damage comes far, much of it is found at the door: both.
    for _ in range(1 if rng.random() < 0.6 else int(rng.integers(2, 5))):
        how = _HOWS[int(rng.integers(len(_HOWS)))]
        spoiled = how(spoiled, rng) or spoiled
    if kind in ("clicks", "csv", "areas", "journal") and rng.random() < 0.5:
        return _bent_text(data, rng)
    if kind == "weights" and rng.random() < 0.5:
        return _bent_weights(data, rng)
    if kind == "tiff" and rng.random() < 0.5:
        return _bent_tiff(data, rng)
    return bytes(spoiled)


def _at(data: bytearray, rng: np.random.Generator) -> int:
    # Headers are where the harm is.
    near = rng.random() < 0.4
    return int(rng.integers(0, max(1, min(len(data), 400) if near else len(data))))


def _flip(data: bytearray, rng: np.random.Generator) -> bytearray:
    for _ in range(1 if rng.random() < 0.5 else int(rng.integers(2, 40))):
        if data:
            data[_at(data, rng)] ^= 1 << int(rng.integers(8))
    return data


def _cut(data: bytearray, rng: np.random.Generator) -> bytearray:
    return data[: int(rng.integers(0, len(data) + 1))]


def _double(data: bytearray, rng: np.random.Generator) -> bytearray:
    at = _at(data, rng)
    return data[:at] + data[at : at + int(rng.integers(1, 5000))] + data[at:]


def _drop(data: bytearray, rng: np.random.Generator) -> bytearray:
    at = _at(data, rng)
    return data[:at] + data[at + int(rng.integers(1, 5000)) :]


def _overwrite(data: bytearray, rng: np.random.Generator) -> bytearray:
    at, count = _at(data, rng), int(rng.integers(1, 300))
    fill = (bytes(count), b"\xff" * count, rng.bytes(count))[int(rng.integers(3))]
    data[at : at + count] = fill[: max(0, len(data) - at)]
    return data


def _number(data: bytearray, rng: np.random.Generator) -> bytearray:
    at = _at(data, rng)
    values = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFE, 65535, len(data))
    value = struct.pack("<>"[int(rng.integers(2))] + "I", values[int(rng.integers(len(values)))])
    data[at : at + 4] = value[: max(0, len(data) - at)]
    return data


_HOWS: tuple[Callable[[bytearray, np.random.Generator], bytearray], ...] = (
    _flip, _flip, _cut, _double, _drop, _overwrite, _number,
)  # fmt: skip


#: Counts, offsets and sizes that break things.
_VALUES = (0, 1, 2, 3, 7, 16, 255, 1 << 15, 65535, 1 << 16, 2**31 - 1, 2**31, 2**32 - 1)


def _bent_tiff(data: bytes, rng: np.random.Generator) -> bytes:
    """Change entries of the first directory, as a broken or a wicked writer would."""
    spoiled = bytearray(data)
    order = "<" if data[:2] == b"II" else ">"
    big = len(data) > 16 and data[2:4] in (b"\x2b\x00", b"\x00\x2b")
    try:
        if big:
            (start,) = struct.unpack_from(order + "Q", data, 8)
            (count,) = struct.unpack_from(order + "Q", data, start)
            first, size, form, at = start + 8, 20, order + "Q", 12
        else:
            (start,) = struct.unpack_from(order + "I", data, 4)
            (count,) = struct.unpack_from(order + "H", data, start)
            first, size, form, at = start + 2, 12, order + "I", 8
    except struct.error:
        return bytes(_flip(spoiled, rng))
    for _ in range(int(rng.integers(1, 4))):
        entry = first + size * int(rng.integers(0, max(1, min(count, 60))))
        if entry + size > len(spoiled):
            continue
        what = rng.random()
        value = int(rng.choice(np.array(_VALUES, dtype=np.uint64)))
        if what < 0.6:
            struct.pack_into(form, spoiled, entry + at, value)
        elif what < 0.75:
            struct.pack_into(form, spoiled, entry + 4, value)
        elif what < 0.9:
            struct.pack_into(order + "H", spoiled, entry + 2, int(rng.integers(0, 20)))
        else:
            struct.pack_into(order + "H", spoiled, entry, int(rng.integers(250, 345)))
    return bytes(spoiled)


_TOKENS = (
    "null", "true", "[]", "{}", '""', "-1", "0", "1e999", "NaN", "-Infinity", "1e308", "9" * 400,
    '"\\ud800"', '"' + "x" * 5000 + '"', "[" * 3000, '{"a":' * 500, "[[[[1,2]]]]", "0.5", '"other"',
    '"urn:ogc:def:crs:EPSG::99999999"', '"file:///etc/passwd"', "[1e300,1e300]", "[0,0,0,0]",
    '"\\u0000"', '"ünï"', "1" + "0" * 30,
)  # fmt: skip


def _bent_text(data: bytes, rng: np.random.Generator) -> bytes:
    """Put something else in the place of some values, so that it often is still JSON."""
    import re

    text = data.decode("utf-8", "replace")
    values = list(re.finditer(r'"[^"]*"|-?\d+(\.\d+)?|\[|\{|null', text))
    for _ in range(int(rng.integers(1, 4))):
        if not values:
            break
        match = values.pop(int(rng.integers(len(values))))
        token = _TOKENS[int(rng.integers(len(_TOKENS)))]
        if match.end() <= len(text):
            text = text[: match.start()] + token + text[match.end() :]
            values = [m for m in values if m.end() <= match.start()]
    return text.encode("utf-8", "surrogatepass")


def _bent_weights(data: bytes, rng: np.random.Generator) -> bytes:
    """Change the header of a safetensors file: the card, names, shapes, offsets, its own size."""
    (size,) = struct.unpack_from("<Q", data)
    head, body = data[8 : 8 + size], data[8 + size :]
    what = rng.random()
    if what < 0.2:
        sizes = (0, 1, size - 1, size + 8, 1 << 31, 1 << 40, (1 << 64) - 1, 100_000_000)
        return struct.pack("<Q", sizes[int(rng.integers(len(sizes)))]) + head + body
    if what < 0.4:
        # Numbers that are none.
        spoiled = bytearray(body)
        for _ in range(20):
            at = int(rng.integers(0, len(body) // 2)) * 2
            spoiled[at : at + 2] = (b"\x00\x7c", b"\x00\x7e", b"\xff\xff")[int(rng.integers(3))]
        return data[: 8 + size] + bytes(spoiled)
    if what < 0.7:
        fields = json.loads(head)
        card = fields["__metadata__"]["napari-disca card"]
        bent = _bent_text(card.encode(), rng).decode("utf-8", "replace")
        fields["__metadata__"]["napari-disca card"] = bent
        head = json.dumps(fields).encode()
    elif what < 0.85:
        fields = json.loads(head)
        names = [name for name in fields if name != "__metadata__"]
        name = names[int(rng.integers(len(names)))]
        entry = fields.pop(name)
        if rng.random() < 0.5:
            fields["not a tensor of it"] = entry
        head = json.dumps(fields).encode()
    else:
        head = _bent_text(head, rng)
    head += b" " * (-len(head) % 8)
    return struct.pack("<Q", len(head)) + head + body


# ---------------------------------------------------------------------------- use


class User:
    """Opens and uses files as the program does; made once per worker."""

    def __init__(self, seeds: Path) -> None:
        from napari_disca.networks import load_network
        from napari_disca.networks.compute import Compute
        from napari_disca.raster import open_raster

        self.network = load_network(seeds / "small.safetensors")
        self.raster = open_raster(seeds / "none-tiled-pixel.tif")
        self.compute = Compute.choose("cpu", "float32")
        self.cache = seeds / "cache"

    def use(self, kind: str, path: Path) -> None:
        getattr(self, kind)(path)

    def tiff(self, path: Path) -> None:
        from napari_disca.core.events import finish
        from napari_disca.core.tiling import Window
        from napari_disca.exports import read_map_classes
        from napari_disca.inference.network_view import NetworkView
        from napari_disca.inference.predict import Predictor
        from napari_disca.inference.tile_clicks import TileClicks
        from napari_disca.inference.tiles import tiling_for
        from napari_disca.raster import fingerprint, open_raster
        from napari_disca.raster.pyramid import ImagePyramid
        from napari_disca.raster.resolution import raster_resolution

        with open_raster(path) as raster:
            read_map_classes(path)
            raster_resolution(raster)
            pyramid = ImagePyramid(raster, cache=self.cache)
            if raster.shape[0] * raster.shape[1] < 1 << 24:
                finish(pyramid.build())
            for level in pyramid.levels[:2]:
                np.asarray(level[:64, :64])
            network_view = NetworkView(raster, self.network.card)
            tiling = tiling_for(network_view)
            tile = tiling[len(tiling) // 2]
            window = Window(tile.read.top, tile.read.left, *(min(64, n) for n in tile.read.shape))
            network_view.read(window)
            network_view.valid(window)
            # The network is as slow for every file and does not care where pixels come from.
            if tile.read.size <= 150 * 150 and int(path.stem) % 8 == 0:
                predictor = Predictor(self.network, network_view, self.compute)
                predictor.labels(tile, TileClicks({}).of(tile))
            fingerprint(raster)
            raster.overview(64)

    def weights(self, path: Path) -> None:
        from napari_disca.networks import fingerprint, load_network, read_card

        read_card(path)
        fingerprint(load_network(path))

    def picture(self, path: Path) -> None:
        self.tiff(path)

    def mask(self, path: Path) -> None:
        from napari_disca.training.mask_files import Grid
        from napari_disca.training.masks import MaskReader

        masks = MaskReader([path], self.network.card.classes)
        masks.read(path, Grid((120, 150)))
        assert "\n" not in masks.describe()

    def program(self, path: Path) -> None:
        from napari_disca.networks.torchscript import load_torchscript

        card = replace(self.network.card, name="fuzz", architecture="torchscript", options={})
        load_torchscript(path, card)

    def clicks(self, path: Path) -> None:
        from napari_disca.exports import load_clicks

        found = load_clicks(path, raster=self.raster, classes=self.network.card.classes)
        assert "\n" not in found.describe(path.name)

    def vector(self, path: Path) -> None:
        self.clicks(path)

    def csv(self, path: Path) -> None:
        self.clicks(path)

    def areas(self, path: Path) -> None:
        from napari_disca.exports import read_locks

        read_locks(path, raster=self.raster)

    def journal(self, path: Path) -> None:
        from napari_disca.session.journal.journal_format import DamagedLineError

        try:
            self._done_again(path)
        except DamagedLineError as error:
            self._done_again(path, error.line)
            raise

    def _done_again(self, path: Path, before: int | None = None) -> None:
        from napari_disca.core.events import finish
        from napari_disca.session.journal.journal_format import read_journal
        from napari_disca.session.restore import record_summary, restored

        record = read_journal(path, before)
        record_summary(record)
        session = restored(record, self.raster, self.network, compute=self.compute, cache=False)
        # Not the adapted one: to learn again is as slow for every journal.
        if int(path.name.split(".")[0]) % 8 == 0:
            finish(session.refresh(("disir",)), session.handle)
        session.close()


def worker(seeds: Path) -> None:
    """Use the files named on standard input, one after the other."""
    import warnings

    from napari_disca.core.errors import DiscaError

    warnings.simplefilter("ignore")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if os.name == "posix":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    user = User(seeds)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        kind, path = json.loads(line)
        outcome, detail = "ok", ""
        try:
            user.use(kind, Path(path))
        except DiscaError as error:
            detail = str(error)
            ended = ("ends or hangs the program", "ends the program", "hangs the program")
            outcome = "contained" if any(words in detail for words in ended) else "refused"
            if len(detail.splitlines()) != 1 or len(detail) > 1500:
                outcome = "unclear"
        except BaseException:
            outcome, detail = "traceback", traceback.format_exc()
        print(json.dumps([outcome, detail]), file=answers, flush=True)


class Worker:
    """A process that uses files; another takes its place when it dies."""

    def __init__(self, seeds: Path) -> None:
        self._seeds = seeds
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--worker", str(self._seeds)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, args=(self._process, self._lines), daemon=True).start()
        if self._lines.get(timeout=300).strip() != "ready":
            sys.exit("a worker does not start")

    @staticmethod
    def _read(process: Any, lines: queue.Queue[str]) -> None:
        for line in process.stdout:
            lines.put(line)
        lines.put("")

    def use(self, kind: str, path: Path) -> tuple[str, str]:
        """What comes of a file."""
        try:
            self._process.stdin.write(json.dumps([kind, str(path)]) + "\n")
            self._process.stdin.flush()
            line = self._lines.get(timeout=HANG)
        except queue.Empty:
            line = "hang"
        except OSError:
            line = ""
        if line not in ("", "hang"):
            outcome, detail = json.loads(line)
            return outcome, detail
        self.end()
        code = self._process.returncode
        self._start()
        return ("hang", f"no answer in {HANG:.0f} s") if line else ("crash", f"exit code {code}")

    def end(self) -> None:
        """Stop the process."""
        self._process.stdin.close()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def plan(files: int, found: dict[str, list[Path]]) -> list[str]:
    """Kind of every file."""
    shares = {kind: SHARE[kind] for kind in KINDS if found[kind]}
    total = sum(shares.values())
    kinds = [k for k, share in shares.items() for _ in range(round(files * share / total))]
    return (kinds + [next(iter(shares))] * files)[:files]


def main() -> int:
    """Print counts; 1 if there is a bug."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seeds", type=Path, help="folder of further images")
    parser.add_argument("--keep", type=Path, help="folder for files that show a bug")
    parser.add_argument("--part", default="1/1", metavar="K/N", help="do the K-th of N parts")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker is not None:
        worker(arguments.worker)
        return 0
    began = time.monotonic()
    counts: Counter[tuple[str, str]] = Counter()
    bugs: list[str] = []
    with tempfile.TemporaryDirectory(prefix="napari-disca-fuzz-") as name:
        folder = Path(name)
        found = make_seeds(folder / "seeds", arguments.seeds)
        kinds = plan(arguments.files, found)
        part, parts = (int(number) for number in arguments.part.split("/"))
        chosen = range(part - 1, len(kinds), parts)
        print(f"{len(chosen)} files from {sum(map(len, found.values()))} seeds", flush=True)
        todo: queue.Queue[int] = queue.Queue()
        for index in chosen:
            todo.put(index)
        lock = threading.Lock()

        def run() -> None:
            used = Worker(folder / "seeds")
            while True:
                try:
                    index = todo.get_nowait()
                except queue.Empty:
                    break
                kind = kinds[index]
                rng = np.random.default_rng([arguments.seed, index])
                seed = found[kind][int(rng.integers(len(found[kind])))]
                path = folder / f"{index}{seed.suffix}"
                # One in fifty stays as it is: what is whole must not be refused.
                data = seed.read_bytes()
                path.write_bytes(data if index % 50 == 0 else damaged(data, kind, rng))
                beside = [seed.with_suffix(s) for s in SIDE_CARS if seed.suffix == ".shp"]
                for file in beside:
                    if file.exists():
                        # Now and then it is one of them that is damaged.
                        whole = rng.random() < 0.7 or index % 50 == 0
                        bytes_ = file.read_bytes()
                        path.with_suffix(file.suffix).write_bytes(
                            bytes_ if whole else damaged(bytes_, kind, rng)
                        )
                outcome, detail = used.use(kind, path)
                with lock:
                    counts[kind, outcome] += 1
                    if outcome not in ("ok", "refused", "contained"):
                        bugs.append(
                            f"{outcome}: file {index} ({kind}, from {seed.name}): {detail[:3000]}"
                        )
                        print(bugs[-1], flush=True)
                        if arguments.keep is not None:
                            arguments.keep.mkdir(parents=True, exist_ok=True)
                            shutil.copy(path, arguments.keep / path.name)
                    done = sum(counts.values())
                    if done % 500 == 0:
                        seconds = time.monotonic() - began
                        print(f"{done} of {len(chosen)}, {seconds:.0f} s", flush=True)
                path.unlink()
                for suffix in SIDE_CARS:
                    path.with_suffix(suffix).unlink(missing_ok=True)
            used.end()

        threads = [threading.Thread(target=run) for _ in range(arguments.workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    outcomes = ("ok", "refused", "contained", "unclear", "traceback", "crash", "hang")
    print(f"{'':10s}" + "".join(f"{outcome:>11s}" for outcome in outcomes))
    for kind in (*KINDS, "all"):
        row = [
            sum(n for (k, o), n in counts.items() if o == outcome and kind in (k, "all"))
            for outcome in outcomes
        ]
        print(f"{kind:10s}" + "".join(f"{n:11d}" for n in row))
    print(f"{sum(counts.values())} files in {time.monotonic() - began:.0f} s, {len(bugs)} bugs")
    return int(bool(bugs))


if __name__ == "__main__":
    sys.exit(main())
