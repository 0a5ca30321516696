from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp

from builders import make_card
from napari_disca.core.errors import ExportError, RasterError
from napari_disca.core.events import Progress, finish
from napari_disca.core.tiling import Window
from napari_disca.exports import read_map_classes, write_geotiff
from napari_disca.networks import LandClass
from napari_disca.raster import ArrayRaster, open_raster, quiet_opening

CLASSES = make_card(5).classes
UTM = CRS.from_epsg(32633)
GRIDS = {
    "projected": (UTM, Affine(0.3, 0, 500_000.1, 0, -0.3, 5_000_000.7)),
    "degrees": (CRS.from_epsg(4326), Affine(1e-5, 0, 10.1, 0, -1e-5, 50.2)),
    "rotated": (UTM, Affine(1.6, 1.2, 5e5, 1.2, -1.6, 5e6)),
    "south up": (UTM, Affine(2, 0, 5e5, 0, 2, 5e6)),
    "transform only": (None, Affine(2, 0, 5e5, 0, -2, 5e6)),
    "none": (None, None),
}


class Painted:
    """Labels that remember what was asked of them, and can fail."""

    def __init__(self, shape: tuple[int, int], classes: int = 5, fail_after: int = 10**9) -> None:
        rng = np.random.default_rng(0)
        self.whole = rng.integers(0, classes, shape).astype(np.uint8)
        self.whole[rng.random(shape) < 0.1] = 255
        self.shape = shape
        self.asked: list[Window] = []
        self.fail_after = fail_after

    def read(self, window: Window) -> np.ndarray:
        if len(self.asked) == self.fail_after:
            raise OSError(5, "Input/output error")
        self.asked.append(window)
        return self.whole[window.slices]


def make_raster(shape: tuple[int, int], grid: str = "projected") -> ArrayRaster:
    crs, transform = GRIDS[grid]
    return ArrayRaster(np.broadcast_to(np.uint8(0), shape), crs=crs, transform=transform)


def save(labels: Painted, path: Path, raster=None, classes=CLASSES) -> list[Progress]:
    events: list[Progress] = []
    raster = raster or make_raster(labels.shape)
    job = write_geotiff(labels, path, raster=raster, classes=classes)
    assert finish(job, events.append) == path
    return events


def files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("shape", [(1, 1), (37, 530), (600, 513)])
def test_what_rasterio_reads_back_is_what_was_painted(tmp_path, grid, shape):
    labels, raster = Painted(shape), make_raster(shape, grid)
    save(labels, tmp_path / "map.tif", raster)
    with quiet_opening(), rasterio.open(tmp_path / "map.tif") as file:
        np.testing.assert_array_equal(file.read(1), labels.whole)
        assert file.crs == raster.crs
        assert file.transform.almost_equals(raster.transform or Affine.identity(), precision=1e-9)
        assert file.nodata == 255
        assert file.count == 1
        assert file.dtypes == ("uint8",)
        assert file.block_shapes == [(512, 512)]
        assert file.compression.value == "DEFLATE"
        assert file.colorinterp == (ColorInterp.palette,)
        colours = file.colormap(1)
        assert [colours[i] for i in range(5)] == [(*c.rgb, 255) for c in CLASSES]
        assert colours[255][3] == 0
        assert file.descriptions == ("land cover",)
        assert file.tags()["CLASS_2"] == "class 2"
        np.testing.assert_array_equal(file.read_masks(1) == 0, labels.whole == 255)
    assert sorted(files(tmp_path)) == ["map.tif", "map.tif.aux.xml"]


def test_ground_control_points_are_kept(tmp_path):
    raster = make_raster((60, 70), "none")
    points = [
        GroundControlPoint(row, col, 10 + col / 1e4, 50 - row / 1e4)
        for row, col in ((0, 0), (0, 70), (60, 0), (60, 70))
    ]
    raster.gcps = (points, CRS.from_epsg(4326))
    save(Painted((60, 70)), tmp_path / "map.tif", raster)
    with quiet_opening(), rasterio.open(tmp_path / "map.tif") as file:
        found, crs = file.gcps
        assert crs == CRS.from_epsg(4326)
        assert [(p.row, p.col, p.x, p.y) for p in found] == [
            (p.row, p.col, p.x, p.y) for p in points
        ]


@pytest.mark.parametrize(
    "name",
    [
        "rasterio/RGB.byte.tif",
        "rasterio/test_esri_wkt.tif",
        "rasterio/rotated.tif",
        "riotiler/cog_gcps.tif",
        "riotiler/cog_hirise_mars.tif",
        "riotiler/inverted_lat.tif",
        "variants/no_crs_no_transform.tif",
        "variants/rotated_30deg.tif",
    ],
)
def test_the_grid_of_a_real_image_is_kept(tmp_path, shared, name):
    with open_raster(shared / "geotiff" / name) as raster:
        save(Painted(raster.shape), tmp_path / "map.tif", raster)
        with open_raster(tmp_path / "map.tif") as saved:
            assert saved.shape == raster.shape
            assert saved.crs == raster.crs
            assert saved.transform == raster.transform
            assert (saved.gcps is None) == (raster.gcps is None)


def test_gdal_finds_the_names_of_the_classes(tmp_path):
    save(
        Painted((20, 30)), tmp_path / "map.tif", classes=(*CLASSES[:4], LandClass("<&>", "#00ff7f"))
    )
    # rasterio does not show category names; GDAL copies them into a VRT.
    rasterio.shutil.copy(tmp_path / "map.tif", tmp_path / "map.vrt", driver="VRT")
    text = (tmp_path / "map.vrt").read_text(encoding="utf-8")
    categories = text[text.index("<CategoryNames>") : text.index("</CategoryNames>")]
    assert "<Category>class 0</Category>" in categories
    assert "<Category>&lt;&amp;&gt;</Category>" in categories
    assert categories.count("<Category>") == 5
    assert "<GDALRasterAttributeTable" in text
    assert "<F>&lt;&amp;&gt;</F>" in text


@settings(max_examples=25, deadline=None)
@given(
    names=st.lists(
        st.text(
            st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]),
            min_size=1,
            max_size=200,  # what a class may have
        ).filter(lambda name: name.strip() == name and name.isprintable()),
        min_size=1,
        max_size=4,
        unique=True,
    ),
    colours=st.lists(st.integers(0, 0xFFFFFF), min_size=4, max_size=4),
)
def test_the_legend_comes_back(tmp_path_factory, names, colours):
    path = tmp_path_factory.mktemp("legend") / "map.tif"
    classes = tuple(
        LandClass(name, f"#{colour:06x}") for name, colour in zip(names, colours, strict=False)
    )
    save(Painted((4, 6), len(classes)), path, classes=classes)
    assert read_map_classes(path) == classes


def test_a_name_with_control_characters_spoils_nothing(tmp_path):
    save(Painted((4, 6), 1), tmp_path / "map.tif", classes=[LandClass("a\x00b\nc", "#010203")])
    assert read_map_classes(tmp_path / "map.tif") == (LandClass("a b c", "#010203"),)
    rasterio.shutil.copy(tmp_path / "map.tif", tmp_path / "map.vrt", driver="VRT")
    assert "<Category>a b c</Category>" in (tmp_path / "map.vrt").read_text(encoding="utf-8")


def test_other_images_have_no_legend(tmp_path):
    for count, dtype in ((3, "uint8"), (1, "uint8"), (1, "uint16")):
        path = tmp_path / f"{count}{dtype}.tif"
        profile = {"driver": "GTiff", "height": 4, "width": 5, "transform": Affine.scale(2)}
        with rasterio.open(path, "w", count=count, dtype=dtype, **profile) as file:
            file.update_tags(CLASS_0="looks like ours, but has no palette")
        assert read_map_classes(path) == ()
    with pytest.raises(RasterError, match=r"nothing\.tif"):
        read_map_classes(tmp_path / "nothing.tif")
    (tmp_path / "text.tif").write_text("not a TIFF")
    with pytest.raises(RasterError, match=r"text\.tif"):
        read_map_classes(tmp_path / "text.tif")


def test_windows_in_windows_out(tmp_path):
    labels = Painted((700, 1100))
    events = save(labels, tmp_path / "map.tif")
    assert max(window.size for window in labels.asked) <= 512 * 512
    assert sum(window.size for window in labels.asked) == 700 * 1100
    assert [(e.stage, e.done, e.total) for e in events] == [("saving", i, 6) for i in range(7)]


def test_large_files_have_overviews_of_class_ids(tmp_path):
    labels = Painted((40, 4200))
    events = save(labels, tmp_path / "map.tif")
    assert {e.stage for e in events} == {"saving", "overviews"}
    with rasterio.open(tmp_path / "map.tif") as file:
        assert file.overviews(1) == [2, 4, 8, 16]
    with rasterio.open(tmp_path / "map.tif", overview_level=0) as file:
        np.testing.assert_array_equal(file.read(1), labels.whole[::2, ::2])
    save(Painted((40, 4096)), tmp_path / "small.tif")
    with rasterio.open(tmp_path / "small.tif") as file:
        assert file.overviews(1) == []


def test_an_almost_full_disk_gets_a_map_without_overviews(tmp_path, monkeypatch):
    free = shutil.disk_usage(tmp_path)._replace(free=80_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: free)
    labels = Painted((40, 4200))
    save(labels, tmp_path / "map.tif")
    with rasterio.open(tmp_path / "map.tif") as file:
        assert file.overviews(1) == []
        np.testing.assert_array_equal(file.read(1), labels.whole)


@pytest.mark.parametrize("old", [False, True], ids=["new", "over an old map"])
def test_closing_the_job_anywhere_leaves_no_trace(tmp_path, old):
    path = tmp_path / "map.tif"
    if old:
        save(Painted((8, 8), 2), path, classes=CLASSES[:2])
        (tmp_path / "map.tif.ovr").write_bytes(b"of the old map")
    before = files(tmp_path)
    labels = Painted((30, 4200))
    steps = 1 + len(save(labels, tmp_path.parent / f"{tmp_path.name}-whole.tif"))
    for step in range(steps):
        job = write_geotiff(labels, path, raster=make_raster(labels.shape), classes=CLASSES)
        for _ in range(step):
            next(job)
        job.close()
        assert files(tmp_path) == before
    save(labels, path)
    assert sorted(files(tmp_path)) == ["map.tif", "map.tif.aux.xml"]


def test_an_error_on_the_way_leaves_no_trace(tmp_path):
    path = tmp_path / "map.tif"
    save(Painted((8, 8)), path)
    before = files(tmp_path)
    with pytest.raises(ExportError, match=r"map\.tif: Input/output error"):
        save(Painted((600, 700), fail_after=2), path)
    with pytest.raises(ExportError, match="contain class 4, but there are only the classes 0 to 2"):
        save(Painted((600, 700)), path, classes=CLASSES[:3])
    assert files(tmp_path) == before


def test_a_full_disk_never_leaves_half_a_map(tmp_path):
    resource = pytest.importorskip("resource", reason="file size limits are POSIX's")
    labels = Painted((300, 1200))
    save(labels, tmp_path / "whole.tif")
    size = (tmp_path / "whole.tif").stat().st_size
    (tmp_path / "whole.tif").unlink()
    (tmp_path / "whole.tif.aux.xml").unlink()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # GDAL fails loudly while it writes, and silently while it closes the file.
    for part in (0.001, 0.2, 0.5, 0.6, 0.8, 0.9, 0.99, 1):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(size * part) - 1, limits[1]))
        try:
            with pytest.raises(ExportError, match=r"cannot write .*map\.tif"):
                save(labels, tmp_path / "map.tif")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert files(tmp_path) == {}


def test_the_image_itself_is_never_overwritten(tmp_path):
    image = tmp_path / "image.tif"
    save(Painted((20, 30)), image)
    before = image.read_bytes()
    (tmp_path / "link.tif").symlink_to(image)
    os.link(image, tmp_path / "same.tif")
    with open_raster(image) as raster:
        for name in ("image.tif", "link.tif", "same.tif"):
            with pytest.raises(ExportError, match=f"{name} is the image itself; choose another"):
                save(Painted((20, 30)), tmp_path / name, raster)
    assert image.read_bytes() == before


def test_requests_that_cannot_be(tmp_path):
    labels = Painted((20, 30))
    with pytest.raises(ExportError, match="20 x 30 pixels but the image is 30 x 20"):
        save(labels, tmp_path / "map.tif", make_raster((30, 20)))
    with pytest.raises(ExportError, match="1 to 255 classes, not 0"):
        save(labels, tmp_path / "map.tif", classes=())
    with pytest.raises(ExportError, match="is a folder"):
        save(labels, tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match=r"cannot write .*map\.tif"):
        save(labels, tmp_path / "file" / "map.tif")
    assert sorted(files(tmp_path)) == ["file"]
