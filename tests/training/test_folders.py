from __future__ import annotations

import gc
import tempfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
import tifffile

from builders import make_card, write_image
from napari_disca.annotations.simulated_annotator import IGNORE
from napari_disca.core.errors import DataError, RasterError
from napari_disca.core.events import Progress, finish
from napari_disca.core.tiling import Window
from napari_disca.inference.network_view import NetworkView
from napari_disca.networks import Scaling
from napari_disca.raster import open_raster
from napari_disca.raster.values.scaling import HIGHEST
from napari_disca.training.folders import statistics, training_set
from napari_disca.training.pairing import Pair, hold_out, pairs

CARD = make_card(3)


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def write(folder, name, image, mask, *, metres=None, nodata=None):
    """One pair; with a resolution in UTM, else as a plain TIFF."""
    for part, pixels in (("imgs", image), ("gts", mask)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        path = folder / part / f"{name}.tif"
        if metres is None and nodata is None:
            tifffile.imwrite(path, pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack")
            continue
        bands = pixels.transpose(2, 0, 1) if pixels.ndim == 3 else pixels[None]
        side = metres or 1
        write_image(
            path, bands, nodata=nodata if part == "imgs" else None, crs="EPSG:32737",
            transform=rasterio.Affine(side, 0, 500000, 0, -side, 9000000),
        )  # fmt: skip
    return folder


def noise(shape, seed=0, low=1, high=255):
    return np.random.default_rng(seed).integers(low, high, (*shape, 3)).astype(np.uint8)


def blocks(shape, seed=0, classes=3, size=8):
    coarse = np.random.default_rng(seed).integers(
        0, classes, (-(-shape[0] // size), -(-shape[1] // size))
    )
    full = np.kron(coarse, np.ones((size, size)))
    return np.ascontiguousarray(full[: shape[0], : shape[1]]).astype(np.uint8)


# ---------------------------------------------------------------- pairs


def test_equal_names_belong_together_whatever_their_suffixes(tmp_path):
    images = touch(tmp_path / "x", "b.jpg", "a.TIF", "test_only.png", "a.tif.aux.xml", ".a.png")
    masks = touch(tmp_path / "y", "a.png", "b.tiff", "no_image.png", "readme.txt")
    assert pairs(images, masks) == [
        Pair("a", images / "a.TIF", masks / "a.png"),
        Pair("b", images / "b.jpg", masks / "b.tiff"),
    ]


@pytest.mark.parametrize("names", [("imgs", "gts"), ("images", "masks")])
def test_one_folder_with_both(tmp_path, names):
    for name in names:
        touch(tmp_path / name, "a.tif")
    assert pairs(tmp_path) == [
        Pair("a", tmp_path / names[0] / "a.tif", tmp_path / names[1] / "a.tif")
    ]


def test_folders_that_do_not_do_are_refused(tmp_path):
    images, masks = touch(tmp_path / "x", "a.png"), touch(tmp_path / "y", "b.png")
    with pytest.raises(DataError, match=r"none of the 1 images .* has a mask of the same name"):
        pairs(images, masks)
    with pytest.raises(DataError, match="has no folders imgs and gts, nor images and masks"):
        pairs(tmp_path)
    with pytest.raises(DataError, match="missing is not a folder"):
        pairs(images, tmp_path / "missing")
    touch(images, "a.jpg")
    with pytest.raises(DataError, match=r"holds both a\.jpg and a\.png"):
        pairs(images, masks)


def test_hold_out_by_any_part_of_the_name(tmp_path):
    names = ("tile1_part1", "tile2_part1", "tile2_part2", "zanzibar_1")
    found = [Pair(n, tmp_path / n, tmp_path / n) for n in names]
    trained, held_out = hold_out(found, ["tile2", "zanzibar_1"])
    assert [p.name for p in trained] == ["tile1_part1"]
    assert [p.name for p in held_out] == ["tile2_part1", "tile2_part2", "zanzibar_1"]
    assert hold_out(found, []) == (found, [])
    for slip in ("tile9", ""):
        with pytest.raises(DataError, match=f"contains '{slip}', so it cannot be held out"):
            hold_out(found, [slip])


def test_real_folders(shared):
    found = pairs(shared / "satellite_landcover")
    assert len(found) == 63
    assert all(p.image.stem == p.mask.stem == p.name for p in found)


# ---------------------------------------------------------------- the training set


def test_pixels_and_labels_as_they_are_where_nothing_is_resampled(tmp_path):
    image, mask = noise((70, 90)), blocks((70, 90))
    mask[:5] = IGNORE
    write(tmp_path, "a", image, mask)
    events = []
    card, (item,) = finish(training_set(pairs(tmp_path), CARD), events.append)
    np.testing.assert_array_equal(item.image, image)
    np.testing.assert_array_equal(item.labels, mask)
    assert item.image.dtype == item.labels.dtype == np.uint8
    assert [e for e in events if isinstance(e, Progress)][-1] == Progress("reading images", 1, 1)
    np.testing.assert_allclose(card.mean, image.mean(axis=(0, 1)) / 255, atol=1e-4)
    np.testing.assert_allclose(card.std, image.std(axis=(0, 1)) / 255, atol=1e-4)
    assert (card.classes, card.name) == (CARD.classes, CARD.name)


def test_pixels_are_those_the_network_will_read(tmp_path):
    """16-bit, resampled, larger than a block: the same as `NetworkView`, within rounding."""
    image = noise((700, 2300)).astype(np.uint16) * 257
    mask = blocks((700, 2300), size=20)
    write(tmp_path, "a", image, mask, metres=0.5)
    wanted = make_card(3, ground_resolution=1.0)
    card, (item,) = finish(training_set(pairs(tmp_path), wanted))
    assert item.image.shape == (350, 1150, 3)
    with open_raster(tmp_path / "imgs" / "a.tif") as raster:
        network_view = NetworkView(raster, card)
        seen = network_view.read(Window(0, 0, 350, 1150)).transpose(1, 2, 0)
    assert np.abs(item.image / 255 - seen).max() <= 0.5 / 255 + 1e-6
    # Labels: the image pixel under the centre of the network pixel, which is between two here.
    np.testing.assert_array_equal(item.labels, mask[1::2, 1::2])


@pytest.mark.parametrize("shape", [(60, 80), (1100, 1200)])
def test_values_end_where_those_end_that_the_network_reads(tmp_path, shape):
    """Stretched between two numbers, a white roof would be above 1 and a shadow below 0."""
    rng = np.random.default_rng(0)
    image = rng.normal(3000, 300, (*shape, 3)).clip(1, 9000).astype(np.uint16)
    # The first block of 1024 rows and columns may lie within 0 ... 1.
    # Not of one value, which would be an undeclared border.
    image[-20:, -20:] = rng.integers(8000, 9000, (20, 20, 3))
    write(tmp_path, "a", image, blocks(shape))
    card, (item,) = finish(
        training_set(pairs(tmp_path), make_card(3, scaling=Scaling("range", 1000, 5000)))
    )
    with open_raster(tmp_path / "imgs" / "a.tif") as raster:
        seen = NetworkView(raster, card).read(Window(0, 0, *shape)).transpose(1, 2, 0)
    assert seen.max() == HIGHEST
    assert np.abs(item.image / 255 - seen).max() <= 0.5 / 255 + 1e-6


def test_statistics_are_those_that_a_pretrained_encoder_asks_for(tmp_path):
    write(tmp_path, "a", noise((40, 40)), blocks((40, 40)))
    card, _ = finish(training_set(pairs(tmp_path), make_card(3, architecture="lite-unet")))
    assert card.mean == pytest.approx((127 / 255,) * 3, abs=1e-6)
    assert card.std == pytest.approx((128 / 255,) * 3, abs=1e-6)


@pytest.mark.parametrize("factor", [0.4, 1.7])
def test_labels_lie_where_the_pixels_do(tmp_path, factor):
    """An image that shows its labels still does after resampling by any factor."""
    mask = blocks((120, 150), size=30)
    image = (np.eye(3)[mask] * 255).astype(np.uint8)
    write(tmp_path, "a", image, mask)
    _, (item,) = finish(training_set(pairs(tmp_path), CARD, factor=factor))
    assert item.labels.shape == (round(120 * factor), round(150 * factor))
    pure = item.image.max(axis=2) == 255
    assert pure.mean() > 0.7
    np.testing.assert_array_equal(item.image.argmax(axis=2)[pure], item.labels[pure])


def test_pixels_without_data_are_the_mean_and_not_known(tmp_path):
    image, mask = noise((64, 64), low=100, high=200), blocks((64, 64))
    image[10:30, 20:40] = 0
    write(tmp_path, "a", image, mask, nodata=0)
    card, (item,) = finish(training_set(pairs(tmp_path), CARD))
    hole = np.zeros((64, 64), np.bool_)
    hole[10:30, 20:40] = True
    assert (item.labels[hole] == IGNORE).all()
    np.testing.assert_array_equal(item.labels[~hole], mask[~hole])
    # The final mean, which is of the pixels with data only.
    np.testing.assert_allclose(card.mean, image[~hole].mean(axis=0) / 255, atol=1e-4)
    expected = np.rint(np.array(card.mean) * 255)
    assert (np.abs(item.image[hole].astype(int) - expected) <= 1).all()


def test_what_is_too_large_for_memory_goes_to_files_that_vanish(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    for name in "ab":
        write(tmp_path, name, noise((50, 60), ord(name)), blocks((50, 60)))
    _, images = finish(training_set(pairs(tmp_path), CARD, memory=50 * 60 * 4))
    assert not isinstance(images[0].image, np.memmap)
    assert isinstance(images[1].image, np.memmap)
    np.testing.assert_array_equal(images[1].image, noise((50, 60), ord("b")))
    np.testing.assert_array_equal(images[1].labels, blocks((50, 60)))
    assert len(list((tmp_path / "temporary").iterdir())) == 2
    del images
    gc.collect()
    assert not list((tmp_path / "temporary").iterdir())


def test_masks_of_0_and_255_and_two_classes(tmp_path):
    for name in "ab":
        mask = blocks((40, 40), ord(name), classes=2) * np.uint8(255)
        write(tmp_path, name, noise((40, 40)), mask)
    _, images = finish(training_set(pairs(tmp_path), make_card(2)))
    assert all(set(np.unique(i.labels)) == {0, 1} for i in images)
    np.testing.assert_array_equal(images[0].labels, blocks((40, 40), ord("a"), classes=2))


def test_what_does_not_fit_is_refused(tmp_path):
    with pytest.raises(DataError, match="no images to learn from"):
        finish(training_set([], CARD))
    folder = write(tmp_path / "size", "a", noise((40, 40)), blocks((30, 40)))
    with pytest.raises(DataError, match=r"mask a\.tif is 30 x 40 pixels, its image 40 x 40"):
        finish(training_set(pairs(folder), CARD))
    folder = write(tmp_path / "class", "a", noise((40, 40)), blocks((40, 40)) + np.uint8(5))
    with pytest.raises(DataError, match=r"mask a\.tif holds class 7, but the card's classes are 0"):
        finish(training_set(pairs(folder), CARD))
    folder = write(tmp_path / "bands", "a", noise((40, 40)), blocks((40, 40)))
    with pytest.raises(RasterError, match="bands 1, 2, 4 are not in"):
        finish(training_set(pairs(folder), CARD, bands=(1, 2, 4)))


def test_statistics_count_every_image_the_same(tmp_path):
    write(tmp_path, "large", np.full((600, 600, 3), 51, np.uint8), blocks((600, 600)))
    write(tmp_path, "small", np.full((20, 30, 3), 153, np.uint8), blocks((20, 30)))
    mean, std = statistics(pairs(tmp_path), CARD)
    assert mean == pytest.approx((0.4, 0.4, 0.4))
    assert std == pytest.approx((0.2, 0.2, 0.2))


def test_an_image_of_one_grey_has_a_deviation_that_divides(tmp_path):
    write(tmp_path, "a", np.full((40, 40, 3), 128, np.uint8), blocks((40, 40)))
    _, std = statistics(pairs(tmp_path), CARD)
    assert min(std) > 0
    with pytest.raises(DataError, match="not one image has data"):
        statistics([], CARD)
