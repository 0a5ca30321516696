"""Masks as editors, cameras and map programs write them (field-faults 1, 12 and 13).

Each test makes a mask of a known truth the way some program does, and compares what is read.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pyproj
import pytest
import rasterio
import tifffile
from rasterio import Affine

from builders import make_card, write_image
from napari_disca.cli.app import run
from napari_disca.core.errors import DataError
from napari_disca.core.events import Note, finish
from napari_disca.inference.network_view import NetworkView
from napari_disca.networks import LandClass
from napari_disca.raster import open_raster
from napari_disca.raster.gdal.local_files import quiet_opening
from napari_disca.raster.gdal.orientation import orientation
from napari_disca.raster.report import reading_lines
from napari_disca.training.folders import training_set
from napari_disca.training.mask_contents import coding_of
from napari_disca.training.mask_files import Grid
from napari_disca.training.masks import MaskReader
from napari_disca.training.pairing import paired

SHAPE = (60, 90)
IGNORE = 255
OPAQUE = np.full((*SHAPE, 1), 255, np.uint8)
#: As the command line makes them where none are given.
PLAIN = (LandClass("other", "#d95f02"), LandClass("roof", "#1bd97a"))
FIVE = tuple(LandClass(f"class {i}", f"#c8{i:02x}64") for i in range(5))


def truth(classes: int = 2, seed: int = 0, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(
        0, classes, (shape[0] // 10 + 1, shape[1] // 10 + 1)
    )
    return np.kron(coarse, np.ones((10, 10)))[: shape[0], : shape[1]].astype(np.uint8)


def save(path: Path, pixels: np.ndarray, **profile) -> Path:
    """Write (h, w) or (h, w, bands) pixels by the suffix's driver."""
    bands = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    driver = {".png": "PNG", ".jpg": "JPEG", ".tif": "GTiff"}[path.suffix]
    profile = {"transform": Affine(1, 0, 0, 0, -1, bands.shape[1]), **profile}
    write_image(path, bands, driver=driver, **profile)
    for sidecar in path.parent.glob(f"{path.name}.aux.xml"):
        sidecar.unlink()
    for world in path.parent.glob(f"{path.stem}.*wld"):
        world.unlink()
    return path


def read(path: Path, classes=PLAIN, coding="auto", shape=SHAPE):
    return MaskReader([path], classes, coding).read(path, Grid(shape))


def rgb(mask: np.ndarray, classes) -> np.ndarray:
    return np.array([c.rgb for c in classes], np.uint8)[mask]


# ---------------------------------------------------------------- 1: coding from content


def test_black_and_white_saved_as_rgb(tmp_path):
    """milesial/Pytorch-UNet#341: taken for Potsdam, white became class 0."""
    mask = truth()
    path = save(tmp_path / "m.png", np.repeat(mask[..., None] * 255, 3, 2))
    np.testing.assert_array_equal(read(path), mask)


def test_ids_saved_as_rgb(tmp_path):
    mask = truth()
    path = save(tmp_path / "m.png", np.repeat(mask[..., None], 3, 2))
    np.testing.assert_array_equal(read(path), mask)
    five = truth(5)
    path = save(tmp_path / "n.png", np.repeat(five[..., None], 3, 2))
    np.testing.assert_array_equal(read(path, FIVE), five)


def test_ids_saved_as_rgb_with_alpha(tmp_path):
    mask = truth(5)
    opaque = np.concatenate(
        [np.repeat(mask[..., None], 3, 2), np.full((*SHAPE, 1), 255, np.uint8)], 2
    )
    np.testing.assert_array_equal(read(save(tmp_path / "m.png", opaque), FIVE), mask)
    opaque[:7, :, 3] = 0
    reader = MaskReader([tmp_path / "m.png"], FIVE)
    save(tmp_path / "m.png", opaque)
    labels = reader.read(tmp_path / "m.png", Grid(SHAPE))
    assert (labels[:7] == IGNORE).all()
    np.testing.assert_array_equal(labels[7:], mask[7:])
    assert "transparent pixels are not known (in 1)" in reader.describe()


def test_black_and_white_of_16_bits(tmp_path):
    mask = truth()
    path = save(tmp_path / "m.png", mask.astype(np.uint16) * 65535)
    np.testing.assert_array_equal(read(path), mask)


def test_black_and_white_of_bytes_in_16_bits(tmp_path):
    """All of it became class 0: 255 of 65535 is dark."""
    mask = truth()
    path = save(tmp_path / "m.png", mask.astype(np.uint16) * 255)
    np.testing.assert_array_equal(read(path), mask)
    five = truth(5)
    path = save(tmp_path / "n.png", rgb(five, GIVEN).astype(np.uint16))
    np.testing.assert_array_equal(read(path, GIVEN), five)


def test_where_0_is_white_it_is_not_guessed_what_counts(tmp_path):
    path = save(tmp_path / "m.tif", 255 - truth() * 255, photometric="MINISWHITE")
    with pytest.raises(DataError, match=r"m\.tif says that 0 is white .*; save it with 0 as black"):
        read(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_a_mask_that_is_cut_short_is_refused(tmp_path, suffix):
    """Of a PNG's missing rows GDAL gave what was in memory."""
    mask = np.random.default_rng(0).integers(0, 2, (120, 160)).astype(np.uint8) * 255
    path = save(tmp_path / f"m{suffix}", mask)
    path.write_bytes(path.read_bytes()[: int(0.9 * path.stat().st_size)])
    with pytest.raises(DataError, match=rf"mask m\{suffix} cannot be read"):
        read(path, shape=(120, 160))


def test_names_that_do_not_fit_are_shown(tmp_path):
    save(tmp_path / "images" / "a.png", truth())
    save(tmp_path / "masks" / "a_mask.png", truth())
    with pytest.raises(DataError, match=r"in .*masks \(a\.png, a_mask\.png, \.\.\.\); equal"):
        paired(tmp_path)
    (tmp_path / "masks" / "a_mask.png").rename(tmp_path / "masks" / "a.webp")
    with pytest.raises(DataError, match=r"masks holds no file that ends with \.tif, \.tiff"):
        paired(tmp_path)


def test_grey_levels_are_read_if_the_classes_have_them(tmp_path):
    mask = truth(3)
    path = save(tmp_path / "masks" / "m.png", np.array([0, 127, 254], np.uint8)[mask])
    save(tmp_path / "images" / "m.png", np.ones((*SHAPE, 3), np.uint8))
    with pytest.raises(DataError, match=r"m\.png holds class 254, .* 0 to 2 .* grey levels"):
        finish(training_set(paired(tmp_path).pairs, make_card(3)))
    named = [LandClass(n, c) for n, c in (("a", "#000000"), ("b", "#7f7f7f"), ("c", "#fefefe"))]
    np.testing.assert_array_equal(read(path, named), mask)


def test_red_on_black_is_not_potsdam(tmp_path):
    """Red is one of Potsdam's colours, and black its border; two colours are not Potsdam."""
    mask = truth()
    given = (LandClass("other", "#000000"), LandClass("roof", "#ff0000"))
    path = save(tmp_path / "m.png", rgb(mask, given))
    with pytest.raises(DataError, match=r"#000000 \(\d+%\).*give the colours as in --classes"):
        read(path)
    np.testing.assert_array_equal(read(path, given), mask)


def test_a_folder_in_which_one_mask_is_all_white(tmp_path):
    """Potsdam's white is a class; black and white masks have it for 1: the others tell."""
    from napari_disca.training.mask_codings import POTSDAM_CLASSES

    white = np.zeros(SHAPE, np.uint8)
    potsdam = [
        save(tmp_path / f"{n}.png", rgb(m, POTSDAM_CLASSES))
        for n, m in (("a", white), ("b", truth(6)))
    ]
    assert coding_of(potsdam, [*FIVE, LandClass("clutter", "#010203")]) == "potsdam"
    binary = [save(tmp_path / f"{n}.png", np.repeat(m[..., None] * 255, 3, 2)) for n, m in
              (("c", white + 1), ("d", truth()))]  # fmt: skip
    assert coding_of(binary, PLAIN) == "binary255"


def test_buildings_of_potsdam_are_the_class_of_that_name(tmp_path):
    from napari_disca.training.mask_codings import POTSDAM_CLASSES

    mask = truth(6)
    path = save(tmp_path / "m.png", rgb(mask, POTSDAM_CLASSES))
    first = (LandClass("building", "#d95f02"), LandClass("other", "#1bd97a"))
    np.testing.assert_array_equal(read(path, first), (mask != 1).astype(np.uint8))
    np.testing.assert_array_equal(read(path, first[::-1]), (mask == 1).astype(np.uint8))


def test_masks_of_two_codings_in_one_folder_are_named(tmp_path):
    paths = [
        save(tmp_path / "a.png", truth(3)),
        save(tmp_path / "b.png", rgb(truth(3), FIVE[:3])),
    ]
    with pytest.raises(DataError, match=r"not coded in one way: a\.png .* b\.png holds"):
        MaskReader(paths, FIVE[:3])


# ---------------------------------------------------------------- 12: folders and JPEG


@pytest.mark.parametrize("quality", [30, 75, 95])
def test_black_and_white_jpeg(tmp_path, quality):
    """glasses-detector#23: refused both ways, contradictorily."""
    mask = truth(shape=(120, 160))
    path = save(tmp_path / "m.jpg", mask * 255, quality=quality)
    labels = read(path, shape=(120, 160))
    assert (labels == mask).mean() > 0.98
    assert not ((labels != mask) & (labels != IGNORE)).any(), "a class is never another one"


def test_black_and_white_jpeg_of_three_channels_and_as_png_again(tmp_path):
    mask = truth(shape=(120, 160))
    path = save(tmp_path / "m.jpg", np.repeat(mask[..., None] * 255, 3, 2))
    assert (read(path, shape=(120, 160)) == mask).mean() > 0.98
    with quiet_opening(), rasterio.open(path) as file:
        again = save(tmp_path / "n.png", file.read(1))
    assert (read(again, shape=(120, 160)) == mask).mean() > 0.98


def test_an_empty_jpeg_beside_others_is_class_0(tmp_path):
    empty = save(tmp_path / "a.jpg", np.zeros(SHAPE, np.uint8))
    other = save(tmp_path / "b.jpg", truth() * 255)
    reader = MaskReader([empty, other], PLAIN)
    assert not reader.read(empty, Grid(SHAPE)).any()


@pytest.mark.parametrize("classes", [2, 3])
def test_jpeg_of_ids_is_refused_by_name(tmp_path, classes):
    """Its borders would be other classes."""
    path = save(tmp_path / "m.jpg", truth(classes))
    with pytest.raises(DataError, match=r"m\.jpg is compressed with loss, which changes class ids"):
        read(path, FIVE[:classes])


GIVEN = tuple(
    LandClass(f"class {i}", colour)
    for i, colour in enumerate(("#3c1098", "#8429f6", "#6ec1e4", "#fedd3a", "#e2a929"))
)


def test_masks_in_the_colours_of_the_classes(tmp_path):
    mask = truth(5)
    np.testing.assert_array_equal(read(save(tmp_path / "m.png", rgb(mask, GIVEN)), GIVEN), mask)
    palette = {i: (*GIVEN[4 - i].rgb, 255) for i in range(5)}
    path = save(tmp_path / "p.png", (4 - mask).astype(np.uint8), palette=palette)
    np.testing.assert_array_equal(read(path, GIVEN), mask)


@pytest.mark.parametrize("quality", [75, 95])
def test_masks_in_the_colours_of_the_classes_as_jpeg(tmp_path, quality):
    mask = truth(5, shape=(160, 160))
    wide = np.kron(mask, np.ones((2, 2), np.uint8))
    path = save(tmp_path / "m.jpg", rgb(wide, GIVEN), quality=quality)
    labels = read(path, GIVEN, shape=(320, 320))
    labelled = labels != IGNORE
    assert labelled.mean() > 0.75
    assert (labels == wide)[labelled].mean() > 0.99


def test_black_and_white_as_the_classes_have_them(tmp_path):
    """White may be class 0, if --classes says so."""
    mask = truth()
    given = (LandClass("roof", "#ffffff"), LandClass("other", "#000000"))
    path = save(tmp_path / "m.png", rgb(mask, given))
    np.testing.assert_array_equal(read(path, given), mask)


def test_a_colour_that_no_class_has_is_named(tmp_path):
    mask = truth(5)
    pixels = rgb(mask, GIVEN)
    pixels[:20] = (7, 200, 7)
    path = save(tmp_path / "m.png", pixels)
    with pytest.raises(DataError, match=r"#07c807 \(33%\)"):
        read(path, GIVEN)


def folder(tmp_path: Path, names: str, masks: str) -> Path:
    rng = np.random.default_rng(0)
    for name in names:
        save(
            tmp_path / "images" / f"{name}.png", rng.integers(1, 255, (*SHAPE, 3)).astype(np.uint8)
        )
    for name in masks:
        save(tmp_path / "masks" / f"{name}.png", truth(2, ord(name)))
    return tmp_path


def test_files_without_a_partner_are_counted_and_named(tmp_path):
    """cellpose#667: five of six images were left out without a word."""
    found = paired(folder(tmp_path, "abcdef", "axy"))
    assert [pair.name for pair in found.pairs] == ["a"]
    assert found.describe() == (
        "1 of 6 images have a mask; left out, without a mask of the same name: b.png, c.png, "
        "d.png, e.png, f.png; masks without an image: x.png, y.png"
    )


def test_what_was_understood_is_told(tmp_path):
    notes: list[str] = []

    def listen(event):
        if isinstance(event, Note):
            notes.append(event.text)

    found = paired(folder(tmp_path, "ab", "ab"))
    three = make_card(3)
    finish(training_set(found.pairs, three), listen)
    assert notes[0] == "images: 2 of 0.0108 megapixels, 60 x 90 pixels"
    assert notes[1] == "masks: class ids, 255 is not known"
    ones = 100 * np.mean([truth(2, ord(n)) == 1 for n in "ab"])
    assert f"1 class 1 {ones:.1f} %" in notes[2]
    assert notes[2].endswith("2 class 2 0 %; there is not one pixel of class 2")


# ---------------------------------------------------------------- 13: turned images


def turned_png(path: Path, pixels: np.ndarray, how: int) -> Path:
    """PNG with an eXIf chunk."""
    save(path, pixels)
    data = path.read_bytes()
    exif = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 274, 3, 1, how, 0, 0)
    chunk = struct.pack(">I", len(exif)) + b"eXIf" + exif
    chunk += struct.pack(">I", zlib.crc32(chunk[4:]))
    end = 8 + 25  # the signature and the first chunk
    path.write_bytes(data[:end] + chunk + data[end:])
    return path


def turned_jpeg(path: Path, pixels: np.ndarray, how: int) -> Path:
    """JPEG with an EXIF segment, as cameras write it."""
    save(path, pixels)
    data = path.read_bytes()
    exif = b"Exif\0\0II*\0" + struct.pack("<IHHHIHHI", 8, 1, 274, 3, 1, how, 0, 0)
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    path.write_bytes(data[:2] + segment + data[2:])
    return path


def turned_tiff(path: Path, pixels: np.ndarray, how: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, pixels, extratags=[(274, 3, 1, how, True)])
    return path


WRITERS = {".jpg": turned_jpeg, ".png": turned_png, ".tif": turned_tiff}


@pytest.mark.parametrize("how", range(1, 9))
@pytest.mark.parametrize("suffix", WRITERS)
def test_orientations_are_found(tmp_path, suffix, how):
    path = WRITERS[suffix](tmp_path / f"a{suffix}", np.zeros((*SHAPE, 3), np.uint8), how)
    assert orientation(path) == how
    assert open_raster(path).shape == SHAPE, "GDAL does not turn them"


def test_damaged_headers_have_no_orientation(tmp_path):
    whole = turned_jpeg(tmp_path / "a.jpg", np.zeros((*SHAPE, 3), np.uint8), 6).read_bytes()
    for length in range(60):
        path = tmp_path / "b.jpg"
        path.write_bytes(whole[:length])
        assert orientation(path) in (1, 6)
    assert orientation(tmp_path / "missing.jpg") == 1


def square(tmp_path: Path, suffix: str, how: int, side=(60, 60)) -> list:
    pixels = np.random.default_rng(0).integers(1, 255, (*side, 3)).astype(np.uint8)
    WRITERS[suffix](tmp_path / "images" / f"a{suffix}", pixels, how)
    save(tmp_path / "masks" / "a.png", truth(shape=side))
    return paired(tmp_path).pairs


@pytest.mark.parametrize("how", [2, 3, 6, 8])
@pytest.mark.parametrize("suffix", WRITERS)
def test_a_turned_image_beside_an_upright_mask_is_refused_by_name(tmp_path, suffix, how):
    """labelme#1529: square ones were learned lying on their side."""
    with pytest.raises(
        DataError, match=rf"a\{suffix} is stored .* \(EXIF orientation {how}: .* its ma"
    ):
        finish(training_set(square(tmp_path, suffix, how), make_card(2)))


def test_a_turned_mask_beside_an_upright_image_is_refused_by_name(tmp_path):
    pairs = square(tmp_path, ".png", 1)
    pairs[0].mask.unlink()
    turned_png(pairs[0].mask, truth(shape=(60, 60)), 3)
    with pytest.raises(
        DataError, match=r"a\.png is stored turned .*turned by half.*, its image is not"
    ):
        finish(training_set(pairs, make_card(2)))


def test_both_turned_alike_fit_each_other_and_it_is_said(tmp_path):
    pairs = square(tmp_path, ".png", 6)
    pairs[0].mask.unlink()
    turned_png(pairs[0].mask, truth(shape=(60, 60)), 6)
    events: list[object] = []
    _, (item,) = finish(training_set(pairs, make_card(2)), events.append)
    np.testing.assert_array_equal(item.labels, truth(shape=(60, 60)))
    notes = [event.text for event in events if isinstance(event, Note)]
    assert notes[0].startswith("images: 1 of 0.0036 megapixels, 60 x 60 pixels; in 1: viewers show")


@pytest.mark.parametrize("suffix", WRITERS)
def test_how_a_turned_image_is_read_is_said_wherever_it_is_read(tmp_path, suffix, capsys):
    """`predict` and the window tell what `NetworkView.describe` does; `info` has its own lines."""
    pixels = np.random.default_rng(0).integers(1, 255, (*SHAPE, 3)).astype(np.uint8)
    path = WRITERS[suffix](tmp_path / f"a{suffix}", pixels, 6)
    line = (
        "viewers show the file turned a quarter clockwise (EXIF orientation 6): read, and its map "
        "written, as it is stored"
    )
    with open_raster(path) as raster:
        assert line in NetworkView(raster, make_card(2)).describe()
        assert any(f"odd: {line}" in text for text in reading_lines(raster))
    assert run(["predict", str(path), "--output", str(tmp_path / "map.tif")]) == 0
    assert line in " ".join(capsys.readouterr().err.split())
    with quiet_opening(), rasterio.open(tmp_path / "map.tif") as written:
        assert written.shape == SHAPE
    upright = WRITERS[suffix](tmp_path / f"b{suffix}", pixels, 1)
    assert not any("EXIF" in note for note in open_raster(upright).notes)


def test_a_mask_of_the_stored_shape_fits_a_turned_image(tmp_path):
    """Drawn on the upright picture it would be 90 x 60."""
    _, (item,) = finish(training_set(square(tmp_path, ".jpg", 6, SHAPE), make_card(2)))
    np.testing.assert_array_equal(item.labels, truth())


# ---------------------------------------------------------------- masks on another grid

UTM = "EPSG:32737"
EAST, NORTH = 500_000, 9_000_000
IMAGE = Affine(0.5, 0, EAST, 0, -0.5, NORTH)
SOUTH_UP = Affine(0.5, 0, EAST, 0, 0.5, NORTH - 0.5 * SHAPE[0])


def placed(tmp_path: Path, mask: np.ndarray, transform, crs=UTM, **profile) -> list:
    rng = np.random.default_rng(0)
    image = rng.integers(1, 255, (*SHAPE, 3)).astype(np.uint8)
    save(tmp_path / "images" / "a.tif", image, transform=IMAGE, crs=UTM)
    save(tmp_path / "masks" / "a.tif", mask, transform=transform, crs=crs, **profile)
    return paired(tmp_path).pairs


def labels_of(pairs) -> np.ndarray:
    return finish(training_set(pairs, make_card(5, name="x")))[1][0].labels


def test_a_mask_on_the_same_grid_is_read_as_it_is(tmp_path):
    mask = truth(5)
    np.testing.assert_array_equal(labels_of(placed(tmp_path, mask, IMAGE, nodata=0)), mask)


def test_a_south_up_mask_is_not_learned_upside_down(tmp_path):
    mask = truth(5)
    np.testing.assert_array_equal(labels_of(placed(tmp_path, mask[::-1], SOUTH_UP, nodata=0)), mask)


def test_a_mask_of_another_resolution(tmp_path):
    mask = truth(5)
    fine = np.kron(mask, np.ones((2, 2), np.uint8))
    transform = Affine(0.25, 0, EAST, 0, -0.25, NORTH)
    np.testing.assert_array_equal(labels_of(placed(tmp_path, fine, transform)), mask)


def test_a_mask_of_the_same_size_that_is_shifted(tmp_path):
    mask = truth(5)
    transform = Affine(0.5, 0, EAST, 0, -0.5, NORTH - 5)
    labels = labels_of(placed(tmp_path, mask, transform))
    np.testing.assert_array_equal(labels[10:], mask[:-10])
    assert (labels[:10] == IGNORE).all(), "what the mask does not cover is not known"


def test_a_mask_in_another_projection(tmp_path):
    """Degrees; each of its pixels holds what lies there, worked out the other way round."""
    mask = np.kron(truth(5, shape=(6, 9)), np.ones((10, 10), np.uint8))
    to_degrees = pyproj.Transformer.from_crs(UTM, "EPSG:4326", always_xy=True)
    to_metres = pyproj.Transformer.from_crs("EPSG:4326", UTM, always_xy=True)
    west, north = to_degrees.transform(EAST - 5, NORTH + 5)
    step = 0.25 / 111_000
    row, col = np.mgrid[:400, :500]
    x, y = to_metres.transform(west + (col + 0.5) * step, north - (row + 0.5) * step)
    r, c = np.floor((NORTH - y) / 0.5).astype(int), np.floor((x - EAST) / 0.5).astype(int)
    inside = (r >= 0) & (r < SHAPE[0]) & (c >= 0) & (c < SHAPE[1])
    expected = np.where(inside, mask[np.clip(r, 0, SHAPE[0] - 1), np.clip(c, 0, SHAPE[1] - 1)], 255)
    transform = Affine(step, 0, west, 0, -step, north)
    labels = labels_of(placed(tmp_path, expected.astype(np.uint8), transform, "EPSG:4326"))
    assert (labels == mask).mean() > 0.97
    # What differs lies at borders, within half a pixel.
    inner = np.zeros(SHAPE, np.bool_)
    inner[1:-1, 1:-1] = True
    for shift in (-1, 1):
        for axis in (0, 1):
            inner &= np.roll(mask, shift, axis) == mask
    np.testing.assert_array_equal(labels[inner], mask[inner])


def test_colours_on_another_grid(tmp_path):
    mask = truth(5)
    pixels = np.concatenate(
        [rgb(mask, make_card(5).classes), np.full((*SHAPE, 1), 255, np.uint8)], 2
    )
    np.testing.assert_array_equal(labels_of(placed(tmp_path, pixels[::-1], SOUTH_UP)), mask)


def test_a_mask_that_lies_elsewhere_is_refused(tmp_path):
    far = Affine(0.5, 0, EAST + 500, 0, -0.5, NORTH)
    with pytest.raises(DataError, match=r"a\.tif lies elsewhere: it covers nothing of its image"):
        labels_of(placed(tmp_path, truth(5), far))


def test_a_mask_on_another_grid_without_a_crs_is_refused(tmp_path):
    half = Affine(0.25, 0, EAST, 0, -0.25, NORTH)
    with pytest.raises(DataError, match=r"another grid than its image, and the mask has no CRS"):
        labels_of(placed(tmp_path, truth(5), half, None))


def test_a_south_up_mask_of_an_image_that_does_not_say_where_it_lies_is_refused(tmp_path):
    pairs = placed(tmp_path, truth(5), SOUTH_UP)
    save(pairs[0].image.with_suffix(".png"), np.ones((*SHAPE, 3), np.uint8))
    pairs[0].image.unlink()
    with pytest.raises(DataError, match=r"mask a\.tif is stored south up"):
        labels_of(paired(tmp_path).pairs)


def test_a_mask_of_several_pages_is_refused(tmp_path: Path) -> None:
    """One page a class: the first alone would say that all is background."""
    classes = [LandClass(name, "#000000") for name in ("a", "b", "c")]
    ids = np.random.default_rng(0).integers(0, 3, (40, 50))
    path = tmp_path / "pages.tif"
    pages = np.stack([(ids == k).astype(np.uint8) for k in range(3)])
    tifffile.imwrite(path, pages, photometric="minisblack")
    with pytest.raises(DataError, match=r"mask pages\.tif has 3 pages"):
        MaskReader([path], classes)


def test_what_is_no_number_in_a_mask_is_not_known(tmp_path: Path) -> None:
    classes = [LandClass(name, "#000000") for name in ("a", "b", "c")]
    ids = np.random.default_rng(0).integers(0, 3, (40, 50)).astype(np.float32)
    ids[:10] = np.nan
    path = tmp_path / "mask.tif"
    tifffile.imwrite(path, ids)
    labels = MaskReader([path], classes).read(path, Grid(ids.shape))
    assert (labels[:10] == 255).all()
    np.testing.assert_array_equal(labels[10:], ids[10:])


def test_a_mask_that_claims_to_be_very_wide_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "mask.bmp"
    with (
        quiet_opening(),
        rasterio.open(path, "w", driver="BMP", width=100, height=120, count=1, dtype="uint8") as f,
    ):
        f.write(np.zeros((1, 120, 100), np.uint8))
    damaged = bytearray(path.read_bytes())
    damaged[18:22] = (67_109_014).to_bytes(4, "little")
    path.write_bytes(damaged)
    with pytest.raises(DataError) as caught:
        MaskReader([path], [LandClass(name, "#000000") for name in ("a", "b")])
    assert len(str(caught.value).splitlines()) == 1
