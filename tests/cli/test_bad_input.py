"""Bad input on the command line: one line, exit code 2, no traceback, nothing written."""

from __future__ import annotations

import json
import os
import shutil
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import tifffile
from safetensors.torch import load_file, save_file

from builders import PLACE, write_image


def tif(path: Path, pixels: np.ndarray, **options: object) -> Path:
    return write_image(path, pixels, **(PLACE | options))


def bare_tiff(path: Path, height: int, width: int, bands: int) -> Path:
    """A TIFF by hand, whose pixels end with the file."""
    tags = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
        (273, 4, 1, 8), (277, 3, 1, bands), (278, 4, 1, height), (279, 4, 1, 1 << 20),
    ]  # fmt: skip
    head = struct.pack("<2sHI", b"II", 42, 8 + (1 << 20)) + bytes(1 << 20)
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    path.write_bytes(head + struct.pack("<H", len(tags)) + entries + bytes(4))
    return path


def refused(result, *words: str) -> None:
    assert result.code == 2, result.err
    assert result.out == ""
    # A line may say before what is read and how.
    *before, last = result.error_lines
    assert len(before) <= 1, result.err
    assert last.startswith("napari-disca: ")
    assert "Traceback" not in result.err
    assert len(last) < 1500
    for word in words:
        assert word in last, last


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: bare_tiff(p, 4, 4, 65535), "65535 bands; 4096 are the most"),
        (lambda p: p.write_text('<VRTDataset rasterXSize="4" rasterYSize="4"/>'), "or bands"),
        (lambda p: bare_tiff(p, 0, 4, 3), ""),
        (lambda p: bare_tiff(p, (1 << 31) - 1, (1 << 31) - 1, 3), ""),
        (lambda p: p.write_bytes(b""), "cannot be opened"),
        (lambda p: p.write_bytes(b"II*\0"), "cannot be opened"),
        (lambda p: p.write_text("<html>not found</html>"), "cannot be opened"),
        (lambda p: p.mkdir(), "is a folder"),
        (lambda p: tif(p, np.zeros((3, 9, 9), np.complex64)), "complex"),
        (lambda p: tif(p, np.zeros((2, 9, 9), np.uint8)), "2 bands, the network reads 3"),
    ],
)
def test_images(make, words, run, files, tmp_path):
    path = tmp_path / "bad.tif"
    make(path)
    output = tmp_path / "o.tif"
    refused(run("predict", path, "-o", output, "--weights", files.weights), words)
    assert not output.exists()


@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
def test_images_that_were_cut(share, run, files, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (3, 300, 400), dtype=np.uint8)
    path = tif(tmp_path / "cut.tif", pixels, compress="deflate", tiled=True, blockxsize=64,
               blockysize=64)  # fmt: skip
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    refused(run("predict", path, "-o", tmp_path / "o.tif", "--weights", files.weights))


@pytest.mark.parametrize(
    "pixels",
    [
        np.where(np.arange(50) % 2, np.float64(1e300), -np.inf) * np.ones((3, 40, 1)),
        np.full((3, 1, 500), 7, np.uint8),
        np.full((3, 500, 1), 7, np.int16),
        np.full((3, 1, 1), 7, np.uint16),
    ],
    ids=["huge", "row", "column", "pixel"],
)
def test_images_that_are_odd_but_right(pixels, run, files, tmp_path):
    path = tif(tmp_path / "odd.tif", pixels, nodata=0)
    output = tmp_path / "o.tif"
    result = run("predict", path, "-o", output, "--weights", files.weights)
    assert result.code == 0, result.err
    with rasterio.open(output) as file:
        assert file.shape == pixels.shape[1:]


@pytest.mark.parametrize(
    "pixels",
    [
        np.full((3, 40, 50), np.nan, np.float32),
        np.full((3, 40, 50), np.inf, np.float32),
        np.zeros((3, 40, 50), np.uint8),
    ],
    ids=["nan", "inf", "no-data"],
)
def test_images_in_which_nothing_has_data(pixels, run, files, tmp_path):
    path, output = tif(tmp_path / "empty.tif", pixels, nodata=0), tmp_path / "o.tif"
    refused(run("predict", path, "-o", output, "--weights", files.weights), "data")
    assert not output.exists()


@pytest.mark.parametrize(
    "crs",
    ['LOCAL_CS["nowhere"]', "EPSG:4326", "EPSG:32761", "+proj=ortho +lat_0=90", "EPSG:4978"],
)
@pytest.mark.parametrize("step", [1e-300, 1e300, 0.5])
def test_nonsense_of_a_georeference(crs, step, run, files, tmp_path):
    transform = rasterio.Affine(step, 0, 5e5, 0, -step, 9e9)
    path = tif(tmp_path / "a.tif", np.full((3, 20, 30), 9, np.uint8), crs=crs, transform=transform)
    result = run("predict", path, "-o", tmp_path / "o.tif", "--weights", files.weights)
    assert result.code == 0, result.err


def test_masks_of_another_size(run, files, tmp_path):
    images, masks = tmp_path / "imgs", tmp_path / "gts"
    images.mkdir()
    masks.mkdir()
    # Without a georeference nobody knows which part of the image such a mask shows.
    tifffile.imwrite(images / "a.tif", np.full((60, 60, 3), 9, np.uint8), photometric="rgb")
    tifffile.imwrite(masks / "a.tif", np.zeros((50, 60), np.uint8))
    folders = ("--images", images, "--masks", masks)
    output = tmp_path / "o.safetensors"
    refused(run("train", *folders, "--classes", "a,b", "-o", output), "50", "60")
    refused(run("evaluate", *folders, "--weights", files.weights), "50", "60")
    assert not output.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[" * 100_000, "nested deeper than 64 levels"),
        ('{"a":' * 2000, "nested deeper"),
        ("[" + "[]," * 2_000_000 + "[]]", "more than 2000000 values"),
        ("\0" * 100, "is not JSON"),
        ('{"type": "FeatureCollection", "features": [{"geometry": {"type": "Polygon"}}]}', "not a"),
        ('{"type": "FeatureCollection", "features": [{"geometry": {"type": "Point", '
         '"coordinates": [1e300, 1e300]}, "properties": {"class_id": 0}}]}', ""),
        ('{"type": "FeatureCollection", "features": [{"geometry": {"type": "Point", '
         '"coordinates": [1, 1]}, "properties": {"class_id": 99}}]}', "class_id '99'"),
    ],
)  # fmt: skip
def test_clicks(content, words, run, files, tmp_path):
    path = tmp_path / "clicks.geojson"
    path.write_text(content)
    output = tmp_path / "o.tif"
    result = run("refine", files.image, "--clicks", path, "-o", output, "--weights", files.weights)
    refused(result, words)
    assert not output.exists()


def _header(path: Path) -> tuple[dict, bytes]:
    data = path.read_bytes()
    (size,) = struct.unpack_from("<Q", data)
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def _written(path: Path, header: dict, body: bytes) -> None:
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("size", "not a readable safetensors file"),
        ("cut", "not a readable safetensors file"),
        ("bomb", "nested deeper than 64 levels"),
        ("long name", "a class has a name of 100000 characters"),
        ("classes", "its card asks for"),
        ("missing", "lacks tensors"),
        ("extra", "has unknown tensors"),
        ("nan", "not finite"),
        ("dtype", "not a readable safetensors file"),
        ("option", "a linknet has no option 'xxx"),
    ],
)
def test_weights(how, words, run, files, tmp_path):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(Path(files.weights).read_bytes())
    header, body = _header(path)
    key = "napari-disca card"
    card = json.loads(header["__metadata__"][key])
    if how == "size":
        path.write_bytes(struct.pack("<Q", 1 << 62) + path.read_bytes()[8:])
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:-1000])
    elif how == "bomb":
        header["__metadata__"][key] = '{"options": ' + "[" * 5000 + "]" * 5000 + "}"
        _written(path, header, body)
    elif how == "dtype":  # which the reader quotes
        header[next(iter(header.keys() - {"__metadata__"}))]["dtype"] = "x" * 5000
        _written(path, header, body)
    elif how in ("long name", "classes", "option"):
        if how == "long name":
            card["classes"][0]["name"] = "x" * 100_000
        elif how == "option":
            card["options"]["x" * 5000] = 1
        else:
            card["classes"].append({"name": "more", "color": "#000000"})
        header["__metadata__"][key] = json.dumps(card)
        _written(path, header, body)
    else:
        tensors = load_file(path)
        if how == "missing":
            del tensors[next(iter(tensors))]
        elif how == "extra":
            tensors["more"] = tensors[next(iter(tensors))].clone()
        else:
            next(t for t in tensors.values() if t.is_floating_point()).view(-1)[0] = float("nan")
        save_file(tensors, path, {key: json.dumps(card)})
    refused(run("predict", files.image, "-o", tmp_path / "o.tif", "--weights", path), words)


def test_torchscript_needs_its_flag(run, files, tmp_path):
    import warnings

    import torch

    class Scripted(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = torch.nn.Conv2d(3, 5, 1)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return self.last(image)

    path = tmp_path / "mine.pt"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit")
        torch.jit.script(Scripted().eval()).save(str(path))
    header, _ = _header(Path(files.weights))
    card = json.loads(header["__metadata__"]["napari-disca card"])
    card |= {"architecture": "torchscript", "options": {"inputs": "image"}}
    (tmp_path / "mine.card.json").write_text(json.dumps(card))
    arguments = ("predict", files.image, "-o", tmp_path / "o.tif", "--weights", path)
    refused(run(*arguments), "mine.pt is TorchScript", "--allow-torchscript")
    assert run(*arguments, "--allow-torchscript").code == 0
    # Nor does a journal, which somebody may have sent, stand for consent.
    journal, map_file = tmp_path / "told.jsonl", tmp_path / "map.tif"
    corrected = run(
        "refine", files.image, "--clicks", files.clicks, "-o", map_file, "--weights", path,
        "--allow-torchscript", "--recipe", "disir", "--journal", journal,
    )  # fmt: skip
    assert corrected.code == 0
    again = ("replay", journal, files.image, "-o", tmp_path / "again.tif")
    refused(run(*again), "mine.pt is TorchScript", "--allow-torchscript")
    assert run(*again, "--allow-torchscript").code == 0
    with rasterio.open(map_file) as first, rasterio.open(tmp_path / "again.tif") as second:
        assert (first.read() == second.read()).all()


@pytest.mark.parametrize("flag", ["--clicks", "--locks"])
def test_a_refused_file_leaves_no_journal(run, files, tmp_path, flag):
    bad, journal = tmp_path / "bad.geojson", tmp_path / "j.jsonl"
    bad.write_text("{}")
    given = {"--clicks": files.clicks, flag: bad}
    result = run(
        *("refine", files.image, "-o", tmp_path / "map.tif", "--weights", files.weights),
        *("--journal", journal, *(part for pair in given.items() for part in pair)),
    )
    refused(result, "bad.geojson")
    assert not journal.exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names are Unicode elsewhere")
def test_names_that_are_no_unicode(run, files, tmp_path):
    odd = Path(os.fsdecode(os.fsencode(tmp_path / "fa") + b"\xe7ade.tif"))
    weights = ("--weights", files.weights)
    refused(run("predict", files.image, "-o", odd, *weights), "not Unicode")
    shutil.copy(files.image, odd)
    # Another reader could open it, and would lose its place on the earth.
    refused(run("predict", odd, "-o", tmp_path / "o.tif", *weights), "not Unicode", "rename it")
