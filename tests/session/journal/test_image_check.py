"""Work stays with its image as long as the pixels are the same, whatever becomes of the file."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest
import rasterio
import tifffile
from affine import Affine
from rasterio.enums import Resampling

from builders import PLACE, make_tiny_network, write_image
from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.core.errors import JournalError, RasterError
from napari_disca.core.tiling import Window
from napari_disca.raster import file_fingerprint, fingerprint, open_raster, quiet_opening
from napari_disca.session.journal.image_check import OtherImageError, georeference_changes
from napari_disca.session.journal.journal_format import read_journal
from napari_disca.session.journal.journal_paths import find_journals
from napari_disca.session.restore import begin, restored, resume
from napari_disca.session.session import Session

SHAPE = (300, 400)
CLICKS = Clicks((Click(20, 30, 2), Click(200, 310, 0)))


def write(path, pixels, **options):
    return write_image(path, pixels, **(PLACE | options))


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 255, (3, *SHAPE)).astype(np.uint8)


@pytest.fixture
def worked_on(tmp_path, pixels, compute):
    """An image on which somebody has clicked."""
    path = write(tmp_path / "image.tif", pixels)
    with open_raster(path) as raster:
        session = Session(raster, make_tiny_network(), compute=compute)
        begin(session, "")
        session.document.set_clicks(CLICKS, "clicks")
        session.close()
    return path


def add_overviews(path, pixels):
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4], Resampling.nearest)


def add_tags(path, pixels):
    with rasterio.open(path, "r+") as file:
        file.update_tags(SENSOR="a camera", TIFFTAG_DATETIME="2026:01:01 00:00:00")


def correct_crs(path, pixels):
    with rasterio.open(path, "r+") as file:
        file.crs = "EPSG:25833"


def move_it(path, pixels):
    with rasterio.open(path, "r+") as file:
        file.transform = Affine(0.5, 0, 500_100, 0, -0.5, 5e6)


def recompress(path, pixels):
    write(path, pixels, compress="zstd", tiled=True, blockxsize=128, blockysize=128)


def rearrange(path, pixels):
    write(path, pixels, interleave="band", bigtiff="yes", predictor=2, compress="lzw")


def copy_it(path, pixels):
    shutil.copy(path, path.with_suffix(".copy"))
    path.unlink()
    path.with_suffix(".copy").rename(path)


def touch_it(path, pixels):
    os.utime(path, (1, 1))


def no_georeference(path, pixels):
    write(path, pixels, crs=None, transform=Affine.identity())


SAME = [
    add_overviews, add_tags, correct_crs, move_it, recompress, rearrange, copy_it, touch_it,
    no_georeference,
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("change", SAME, ids=lambda change: change.__name__)
def test_the_journal_goes_on(change, worked_on, pixels, compute):
    change(worked_on, pixels)
    with open_raster(worked_on) as raster:
        (journal,) = find_journals(raster)
        session = resume(journal, raster, make_tiny_network(), compute=compute)
        assert session.document.clicks == CLICKS
        session.close()


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("change", SAME, ids=lambda change: change.__name__)
def test_it_does_not_end_the_session_that_has_the_file_open(change, worked_on, pixels):
    whole = Window.whole(SHAPE)
    with open_raster(worked_on) as raster:
        before = raster.read(whole)
        fingerprint(raster)  # as the journal asks
        change(worked_on, pixels)
        np.testing.assert_array_equal(raster.read(whole), before)
        np.testing.assert_array_equal(raster.read(Window(5, 6, 7, 8)), before[:, 5:12, 6:14])


def test_other_pixels_end_it(worked_on, pixels):
    with open_raster(worked_on) as raster:
        fingerprint(raster)
        write(worked_on, 255 - pixels)
        with pytest.raises(RasterError, match="has changed on the disk"):
            raster.read(Window(0, 0, 10, 10))


def test_what_changed_of_the_place_is_named(worked_on, pixels):
    correct_crs(worked_on, pixels)
    move_it(worked_on, pixels)
    with open_raster(worked_on) as raster:
        (journal,) = find_journals(raster)
        said = georeference_changes(read_journal(journal), raster)
    assert "its CRS was EPSG:32633 and is EPSG:25833" in said
    assert "its transform has changed" in said
    assert "clicks stay on their pixels" in said


def edited(pixels):
    other = pixels.copy()
    other[:, 100:200, 100:250] = 7
    return other


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (edited, r"pixels differ in \d+ of 36 places looked at"),
        (lambda p: 255 - p, "pixels differ in 36 of 36 places looked at"),
        (lambda p: p[:, :200], "it had 300 x 400 pixels, this has 200 x 400"),
        (lambda p: np.concatenate([p, p[:1]]), "it had 3 bands, this has 4"),
        (lambda p: p.astype(np.uint16), "its pixels were uint8, these are uint16"),
    ],
)
def test_what_changed_of_the_pixels_is_named(change, message, worked_on, pixels, compute):
    write(worked_on, change(pixels))
    with open_raster(worked_on) as raster:
        record = read_journal(find_journals(raster)[0])
        with pytest.raises(OtherImageError, match=message) as caught:
            restored(record, raster, make_tiny_network(), compute=compute)
        assert len(str(caught.value).splitlines()) == 1


def test_work_can_be_taken_over_knowingly(worked_on, pixels, compute):
    write(worked_on, edited(pixels))
    with open_raster(worked_on) as raster:
        (journal,) = find_journals(raster)
        old = journal.read_bytes()
        session = resume(journal, raster, make_tiny_network(), compute=compute, other_image=True)
        assert session.document.clicks == CLICKS
        assert journal.read_bytes() == old, "until something is done nothing is written"
        session.document.click(50, 60, 1)
        session.close()
        assert sorted(path.read_bytes() == old for path in find_journals(raster)) == [False, True]
        # From now on it is this image's.
        again = resume(journal, raster, make_tiny_network(), compute=compute)
        assert len(again.document.clicks) == 3
        again.close()


def test_clicks_are_not_taken_over_to_an_image_of_another_size(worked_on, pixels, compute):
    write(worked_on, pixels[:, :250])
    with open_raster(worked_on) as raster:
        record = read_journal(find_journals(raster)[0])
        with pytest.raises(JournalError, match="the clicks would lie elsewhere"):
            restored(record, raster, make_tiny_network(), compute=compute, other_image=True)


def test_a_journal_of_version_0_1_0_is_still_of_its_image(worked_on, pixels, compute):
    with open_raster(worked_on) as raster:
        (journal,) = find_journals(raster)
        lines = journal.read_text().splitlines()
        header = json.loads(lines[0])
        header["image"] = file_fingerprint(raster)
        del header["image_facts"]
        journal.write_text("\n".join([json.dumps(header), *lines[1:]]) + "\n")
        session = resume(journal, raster, make_tiny_network(), compute=compute)
        assert session.document.clicks == CLICKS
        session.close()
    write(worked_on, edited(pixels))
    with open_raster(worked_on) as raster:
        with pytest.raises(OtherImageError, match="the file is not as it was"):
            restored(read_journal(journal), raster, make_tiny_network(), compute=compute)
        found = restored(
            read_journal(journal), raster, make_tiny_network(), compute=compute, other_image=True
        )
        assert found.document.clicks == CLICKS


@pytest.mark.parametrize("change", ["touched", "tagged", "compressed", "copied"])
def test_pages_that_are_the_same_pixels_are_read_on(change, tmp_path, pixels):
    """Each page looked only at its file, and a touched file ended the session."""
    path = tmp_path / "pages.tif"
    tifffile.imwrite(path, pixels, photometric="minisblack")
    window = Window(20, 30, 50, 60)
    with open_raster(path) as raster:
        fingerprint(raster)
        if change == "tagged":
            with quiet_opening():
                add_tags(path, pixels)
        elif change == "compressed":
            tifffile.imwrite(path, pixels, photometric="minisblack", compression="zlib")
        else:
            {"touched": touch_it, "copied": copy_it}[change](path, pixels)
        np.testing.assert_array_equal(raster.read(window), pixels[:, 20:70, 30:90])
        assert raster.valid(window).all()


@pytest.mark.parametrize("replaced", [False, True])
@pytest.mark.parametrize("change", [touch_it, add_tags, copy_it, recompress, add_overviews])
def test_a_file_that_was_written_before_anybody_asked_who_it_is(change, replaced, tmp_path, pixels):
    """A synchroniser touches files at any moment, also just after they were opened."""
    path = tmp_path / "a.tif"
    write(path, pixels)
    window = Window(20, 30, 50, 60)
    with open_raster(path) as raster:
        if replaced:
            other = tmp_path / "b.tif"
            shutil.copy(path, other)
            change(other, pixels)
            other.replace(path)
        else:
            change(path, pixels)
        np.testing.assert_array_equal(raster.read(window), pixels[:, 20:70, 30:90])
        assert raster.valid(window).all()


@pytest.mark.parametrize("replaced", [False, True])
def test_other_pixels_are_refused_though_nobody_asked_who_it_was(replaced, tmp_path, pixels):
    path, other = tmp_path / "a.tif", tmp_path / "b.tif"
    write(path, pixels)
    with open_raster(path) as raster:
        write(other if replaced else path, pixels ^ 1)
        if replaced:
            other.replace(path)
        with pytest.raises(RasterError, match="has changed on the disk since it was opened"):
            raster.read(Window(0, 0, 9, 9))


def test_pages_with_other_pixels_are_refused(tmp_path, pixels):
    path = tmp_path / "pages.tif"
    tifffile.imwrite(path, pixels, photometric="minisblack")
    with open_raster(path) as raster:
        fingerprint(raster)
        pixels[1] ^= 1
        tifffile.imwrite(path, pixels, photometric="minisblack", compression="zlib")
        raster.read(Window(0, 0, 9, 9), (1,))  # whose page is as it was
        with pytest.raises(RasterError, match="has changed on the disk since it was opened"):
            raster.read(Window(0, 0, 9, 9), (2,))
