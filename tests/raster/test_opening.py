from __future__ import annotations

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
import rasterio
import tifffile
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning

from napari_disca.core.errors import RasterError
from napari_disca.core.tiling import Window
from napari_disca.raster import (
    ArrayRaster,
    GeoRaster,
    default_bands,
    fingerprint,
    open_raster,
    sample,
)

RNG = np.random.default_rng(0)
PLACED = {"crs": "EPSG:32631", "transform": Affine(0.5, 0, 500000, 0, -0.5, 5000000)}


def write(
    path: Path, pixels: np.ndarray, *, mask: Any = None, colormap: Any = None, **profile: Any
) -> Path:
    """Write ``(bands, h, w)`` as a GeoTIFF."""
    fields = {
        "driver": "GTiff",
        "count": pixels.shape[0],
        "height": pixels.shape[1],
        "width": pixels.shape[2],
        "dtype": pixels.dtype,
    }
    interp = profile.pop("colorinterp", None)
    gcps = profile.pop("gcps", None)
    if "transform" not in profile:
        profile = PLACED | profile
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        file = rasterio.open(path, "w", **(fields | profile))
    with file:
        file.write(pixels)
        if interp:
            file.colorinterp = interp
        if colormap:
            file.write_colormap(1, colormap)
        if mask is not None:
            file.write_mask(mask)
        if gcps:
            file.gcps = (gcps, file.crs)
    return path


@pytest.fixture
def pixels() -> np.ndarray:
    return RNG.integers(0, 255, (3, 60, 80), dtype=np.uint8)


def images(shared: Path) -> list[Path]:
    found = [p for p in sorted((shared / "geotiff").rglob("*")) if p.suffix != ".rst"]
    return [p for p in found if p.is_file()]


# --- real files ---------------------------------------------------------------------------


def test_every_real_file_opens_and_reads_or_says_why(shared: Path) -> None:
    damaged = []
    for path in images(shared):
        try:
            with open_raster(path) as raster:
                assert isinstance(raster, GeoRaster), path
                height, width = raster.shape
                window = Window.whole(raster.shape) & Window(height // 3, width // 3, 700, 300)
                array, valid = raster.read(window), raster.valid(window)
                assert array.shape == (raster.count, *window.shape)
                assert array.dtype == raster.dtype
                assert valid.shape == window.shape
                assert len(raster.color_interp) == raster.count
                small, valid = raster.overview(200)
                assert max(small.shape[1:]) <= 200
                assert valid.shape == small.shape[1:]
                if height * width < 1 << 24:
                    raster.read(Window.whole(raster.shape))
        except RasterError as error:
            damaged.append(f"{path.name}: {error}")
    assert len(damaged) == 1
    assert damaged[0].startswith("corrupt.tif: ")
    assert "\n" not in damaged[0]


def test_a_damaged_file_fails_clearly(shared: Path) -> None:
    with open_raster(shared / "geotiff/rasterio/corrupt.tif") as raster:
        with pytest.raises(RasterError, match=r"corrupt\.tif is damaged or cut short: .*tile 3"):
            raster.read(Window.whole(raster.shape))
        with pytest.raises(RasterError, match="damaged"):
            fingerprint(raster)


VARIANTS = (
    "bigtiff packbits planar_separate rgba_alpha_strip strip_1row_lzw strip_none "
    "tiled_deflate_pred2 zstd webp_lossless uint16_x257 float32_0_1 rotated_30deg"
)


@pytest.mark.parametrize("name", VARIANTS.split())
def test_variants_of_one_image_are_one_image(shared: Path, name: str) -> None:
    folder = shared / "geotiff/variants"
    window = Window(100, 200, 250, 333)
    with open_raster(folder / "strip_none.tif") as raster:
        expected = raster.read(window, (1, 2, 3))
    with open_raster(folder / f"{name}.tif") as raster:
        read = raster.read(window, (1, 2, 3)).astype(float)
    if name == "uint16_x257":
        read /= 257
    if name == "float32_0_1":
        read *= 255
    np.testing.assert_allclose(read, expected, atol=1e-3)


def test_palettes_are_read_as_colours(shared: Path) -> None:
    with open_raster(shared / "geotiff/variants/palette_64.tif") as raster:
        window = Window(10, 20, 30, 40)
        assert raster.color_interp == ("red", "green", "blue")
        assert (raster.count, raster.dtype) == (3, np.uint8)
        with rasterio.open(raster.path) as file:
            colours, indices = file.colormap(1), file.read(1)[window.slices]
        expected = np.array([[colours[i][:3] for i in row] for row in indices])
        np.testing.assert_array_equal(raster.read(window), np.moveaxis(expected, -1, 0))
        np.testing.assert_array_equal(raster.read(window, (3, 1))[1], expected[..., 0])
        # Reduced palettes must be colours of the palette, not means of its indices.
        reduced = raster.reduced(Window.whole(raster.shape), 4)
        allowed = {c[:3] for c in colours.values()}
        assert {tuple(c) for c in reduced.reshape(3, -1).T.tolist()} <= allowed


def test_a_large_sparse_file_opens_at_once(shared: Path) -> None:
    with open_raster(shared / "geotiff/large/zanzibar_sparse_nodata_bigtiff.tif") as raster:
        assert raster.shape == (37888, 8192)
        array, valid = sample(raster)
        assert array.shape[1:] == valid.shape
        assert 0.05 < valid.mean() < 0.3


def test_control_points_are_kept(shared: Path) -> None:
    with open_raster(shared / "geotiff/riotiler/cog_gcps.tif") as raster:
        assert raster.transform is None
        points, crs = raster.gcps
        assert len(points) == 210
        assert crs.to_epsg() == 4326


# --- what has data ------------------------------------------------------------------------


def test_nodata_counts_where_all_bands_have_it(tmp_path: Path, pixels: np.ndarray) -> None:
    pixels[pixels == 7] = 8
    pixels[:, :10, :10] = 7
    pixels[0, 20, 20] = 7
    with open_raster(write(tmp_path / "a.tif", pixels, nodata=7)) as raster:
        assert raster.nodata == 7
        valid = raster.valid(Window(0, 0, 30, 30))
    expected = np.ones((30, 30), dtype=bool)
    expected[:10, :10] = False
    np.testing.assert_array_equal(valid, expected)


def test_alpha_and_mask_say_where_there_is_data(tmp_path: Path, pixels: np.ndarray) -> None:
    alpha = np.full((1, 60, 80), 255, dtype=np.uint8)
    alpha[:, 30:] = 0
    alpha[:, 40, 3] = 1
    interp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    path = write(tmp_path / "a.tif", np.concatenate([pixels, alpha]), colorinterp=interp)
    masked = write(tmp_path / "m.tif", pixels, mask=alpha[0] > 0)
    for name in (path, masked):
        with open_raster(name) as raster:
            np.testing.assert_array_equal(raster.valid(Window(20, 0, 40, 80)), alpha[0, 20:] > 0)
            assert default_bands(raster, 3) == (1, 2, 3)


def test_numbers_that_are_none_are_not_data(tmp_path: Path) -> None:
    array = RNG.normal(size=(2, 20, 30)).astype(np.float32)
    array[0, 3, 4], array[1, 5, 6], array[1, 7, 8] = np.nan, np.inf, -np.inf
    expected = np.isfinite(array).all(axis=0)
    whole = Window(0, 0, 20, 30)
    with open_raster(write(tmp_path / "a.tif", array)) as raster:
        np.testing.assert_array_equal(raster.valid(whole), expected)
    np.testing.assert_array_equal(ArrayRaster(array).valid(whole), expected)


def test_transparent_palette_colours_are_not_data(tmp_path: Path) -> None:
    indices = RNG.integers(0, 3, (1, 20, 30), dtype=np.uint8)
    write(tmp_path / "a.tif", indices)
    path = tmp_path / "a.vrt"
    path.write_text("""<VRTDataset rasterXSize="30" rasterYSize="20">
      <VRTRasterBand dataType="Byte" band="1"><ColorInterp>Palette</ColorInterp>
        <ColorTable><Entry c1="9" c2="9" c3="9" c4="0"/><Entry c1="1" c2="2" c3="3" c4="255"/>
          <Entry c1="4" c2="5" c3="6" c4="255"/></ColorTable>
        <SimpleSource><SourceFilename relativeToVRT="1">a.tif</SourceFilename></SimpleSource>
      </VRTRasterBand></VRTDataset>""")
    with open_raster(path) as raster:
        assert raster.count == 3
        np.testing.assert_array_equal(raster.valid(Window(0, 0, 20, 30)), indices[0] != 0)


# --- georeference -------------------------------------------------------------------------


def test_georeference_is_kept_and_its_absence_too(tmp_path: Path, pixels: np.ndarray) -> None:
    with open_raster(write(tmp_path / "a.tif", pixels)) as raster:
        assert raster.crs.to_epsg() == 32631
        assert tuple(raster.transform) == tuple(PLACED["transform"])
    bare = tmp_path / "b.tif"
    tifffile.imwrite(bare, np.moveaxis(pixels, 0, -1))
    with open_raster(bare) as raster:
        assert isinstance(raster, GeoRaster)
        assert (raster.crs, raster.transform, raster.gcps) == (None, None, None)
    points = [
        GroundControlPoint(row, col, 500000 + col, 5000000 - row)
        for row, col in ((0, 0), (0, 80), (60, 0), (60, 80))
    ]
    path = write(tmp_path / "c.tif", pixels, transform=None, crs="EPSG:32631", gcps=points)
    with open_raster(path) as raster:
        assert raster.transform is None
        assert len(raster.gcps[0]) == 4


# --- what cannot be used ------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "https://example.org/a.tif",
        "s3://bucket/a.tif",
        "/vsicurl/http://example.org/a.tif",
        "/vsis3/bucket/a.tif",
        "file.tif\0",
        "missing.tif",
        ".",
        "zip+https://example.org/a.zip!a.tif",
    ],
)
def test_what_is_not_a_local_file_is_refused(source: str) -> None:
    with pytest.raises(RasterError) as caught:
        open_raster(source)
    assert "\n" not in str(caught.value)


def test_a_vrt_must_not_lead_to_the_network(tmp_path: Path, pixels: np.ndarray) -> None:
    write(tmp_path / "a.tif", pixels)
    text = """<VRTDataset rasterXSize="80" rasterYSize="60">
      <VRTRasterBand dataType="Byte" band="1"><SimpleSource>
        <SourceFilename relativeToVRT="{}">{}</SourceFilename><SourceBand>2</SourceBand>
      </SimpleSource></VRTRasterBand></VRTDataset>"""
    path = tmp_path / "a.vrt"
    path.write_text(text.format(1, "a.tif"))
    with open_raster(path) as raster:
        np.testing.assert_array_equal(raster.read(Window(0, 0, 60, 80))[0], pixels[1])
    for source in ("/vsicurl/http://example.org/a.tif", "https://example.org/a.tif"):
        path.write_text(text.format(0, source))
        with pytest.raises(RasterError, match=r"a\.vrt refers to .*example\.org"):
            open_raster(path)


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "a.tif"
    text.write_text("not an image")
    with pytest.raises(RasterError, match=r"a\.tif cannot be opened as an image: not recog"):
        open_raster(text)
    with pytest.raises(RasterError, match="complex64"):
        open_raster(write(tmp_path / "c.tif", np.zeros((1, 4, 4), dtype=np.complex64)))
    for array in (
        np.zeros(5),
        np.zeros((2, 3, 4, 5)),
        np.zeros((0, 4)),
        np.zeros((4, 4), dtype=np.complex64),
        np.zeros((4, 4), dtype=bool),
        b"abc",
        [["a", "b"]],
        object(),
    ):
        with pytest.raises(RasterError):
            open_raster(array)


def test_windows_and_bands_outside_are_refused(tmp_path: Path, pixels: np.ndarray) -> None:
    for source in (write(tmp_path / "a.tif", pixels), pixels):
        with open_raster(source) as raster:
            for window in (Window(-1, 0, 5, 5), Window(0, 0, 61, 5), Window(0, 76, 5, 5)):
                with pytest.raises(RasterError, match="not inside"):
                    raster.read(window)
                with pytest.raises(RasterError, match="not inside"):
                    raster.valid(window)
            for bands in ((0,), (4,), ()):
                with pytest.raises(RasterError, match="bands 1 to 3"):
                    raster.read(Window(0, 0, 5, 5), bands)
            assert raster.read(Window(3, 3, 0, 4)).shape == (3, 0, 4)
            assert raster.valid(Window(3, 3, 0, 4)).shape == (0, 4)


def test_a_closed_file_says_so(tmp_path: Path, pixels: np.ndarray) -> None:
    raster = open_raster(write(tmp_path / "a.tif", pixels))
    raster.close()
    raster.close()
    with pytest.raises(RasterError, match="closed"):
        raster.read(Window(0, 0, 2, 2))


def test_tifffile_takes_over_what_gdal_cannot_read(
    tmp_path: Path, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_disca.raster.gdal.local_files._local_drivers", lambda: ["PNG"])
    planar, mixed = tmp_path / "p.tif", tmp_path / "m.tif"
    tifffile.imwrite(planar, pixels, photometric="rgb", planarconfig="separate")
    tifffile.imwrite(mixed, np.moveaxis(pixels, 0, -1), photometric="rgb")
    for path in (planar, mixed):
        with open_raster(path) as raster:
            assert isinstance(raster, ArrayRaster)
            window = Window(3, 4, 20, 30)
            np.testing.assert_array_equal(raster.read(window), pixels[(..., *window.slices)])
    broken = tmp_path / "b.tif"
    broken.write_bytes(planar.read_bytes()[:100])
    with pytest.raises(RasterError, match=r"b\.tif cannot be opened"):
        open_raster(broken)


def test_pages_of_one_size_are_bands(tmp_path: Path) -> None:
    array = RNG.integers(0, 255, (5, 20, 30), dtype=np.uint8)
    stack, album = tmp_path / "s.tif", tmp_path / "a.tif"
    tifffile.imwrite(stack, array, photometric="minisblack")
    with open_raster(stack) as raster:
        np.testing.assert_array_equal(raster.read(Window(0, 0, 20, 30)), array)
    with tifffile.TiffWriter(album) as file:
        file.write(array[0])
        file.write(array[1, :7, :9])
    with open_raster(album) as raster:
        np.testing.assert_array_equal(raster.read(Window(0, 0, 20, 30)), array[:1])


# --- threads ------------------------------------------------------------------------------


def test_threads_read_at_the_same_time(tmp_path: Path) -> None:
    array = RNG.integers(0, 60000, (3, 300, 400), dtype=np.uint16)
    path = write(tmp_path / "a.tif", array, compress="deflate", tiled=True, nodata=0)
    windows = [Window(r, c, 70, 90) for r in range(0, 230, 23) for c in range(0, 310, 31)]
    with open_raster(path) as raster, ThreadPoolExecutor(4) as pool:
        gate = threading.Barrier(4)
        list(pool.map(lambda _: gate.wait(), range(4)))
        for window, read in zip(windows, pool.map(raster.read, windows), strict=True):
            np.testing.assert_array_equal(read, array[(slice(None), *window.slices)])
    assert not raster._handles._idle


# --- arrays -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "expected", "count"),
    [
        ((20, 30), (20, 30), 1),
        ((20, 30, 3), (20, 30), 3),
        ((3, 20, 30), (20, 30), 3),
        ((8, 20, 30), (20, 30), 8),
        ((20, 30, 8), (20, 30), 8),
        ((1, 30, 3), (1, 30), 3),
        ((1, 20, 30), (20, 30), 1),
        ((1, 7), (1, 7), 1),
    ],
)
def test_shapes_of_arrays(shape: tuple[int, ...], expected: tuple[int, int], count: int) -> None:
    raster = open_raster(np.zeros(shape, dtype=np.uint8))
    assert (raster.shape, raster.count) == (expected, count)
    assert raster.read(Window.whole(expected)).shape == (count, *expected)


@settings(deadline=None)
@given(st.integers(0, 19), st.integers(0, 29), st.integers(0, 20), st.integers(0, 30))
def test_array_windows_are_slices(top: int, left: int, height: int, width: int) -> None:
    array = np.arange(20 * 30 * 3).reshape(20, 30, 3)
    window = Window(top, left, height, width) & Window(0, 0, 20, 30)
    read = open_raster(array).read(window, (3, 1))
    np.testing.assert_array_equal(read, np.moveaxis(array[window.slices], -1, 0)[[2, 0]])


def test_lazy_arrays_are_read_by_window() -> None:
    array = RNG.integers(0, 255, (3, 50, 60), dtype=np.uint8)
    raster = open_raster(dask.array.from_array(array, chunks=(1, 16, 16)))
    window = Window(5, 6, 20, 30)
    np.testing.assert_array_equal(raster.read(window), array[(slice(None), *window.slices)])
    assert raster.overview(20)[0].shape == (3, 17, 20)
    assert raster.overviews == ()


def test_reduced_sides_are_rounded_up(tmp_path: Path) -> None:
    flat = np.full((3, 61, 83), 90, dtype=np.uint8)
    for source in (flat, write(tmp_path / "a.tif", flat)):
        with open_raster(source) as raster:
            reduced = raster.reduced(Window(0, 8, 61, 75), 8)
            assert reduced.shape == (3, 8, 10)
            assert (reduced == 90).all()


def test_one_pixel_wide_images_work(tmp_path: Path) -> None:
    for shape in ((3, 1, 50), (3, 50, 1), (1, 1, 1)):
        array = RNG.integers(0, 255, shape, dtype=np.uint8)
        with open_raster(write(tmp_path / "a.tif", array)) as raster:
            np.testing.assert_array_equal(raster.read(Window.whole(raster.shape)), array)
            assert raster.overview(10)[1].all()
            assert len(fingerprint(raster)) == 32


# --- choosing bands, fingerprints ---------------------------------------------------------


def bands_of(tmp_path: Path, interp: list[str], names: tuple[str, ...], wanted: int = 3) -> Any:
    array = np.zeros((len(interp), 8, 8), dtype=np.uint8)
    kinds = [ColorInterp[name] for name in interp]
    with open_raster(write(tmp_path / "a.tif", array, colorinterp=kinds)) as raster:
        return default_bands(raster, wanted, names)


RGB = ("red", "green", "blue")


def test_colours_are_found_by_name(tmp_path: Path) -> None:
    assert bands_of(tmp_path, ["blue", "green", "red", "undefined"], RGB) == (3, 2, 1)
    assert bands_of(tmp_path, ["alpha", "red", "green", "blue"], RGB) == (2, 3, 4)
    assert bands_of(tmp_path, ["gray", "undefined", "undefined"], RGB) == (1, 2, 3)
    four = (*RGB, "height")
    assert bands_of(tmp_path, ["undefined", "blue", "green", "red"], four, 4) == (4, 3, 2, 1)
    assert bands_of(tmp_path, ["gray", "alpha"], RGB) == (1, 1, 1)
    assert bands_of(tmp_path, ["gray"], ("pan",), 1) == (1,)


def test_too_few_bands_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RasterError, match=r"has 2 bands, the network reads 3 \(red, green, blue"):
        bands_of(tmp_path, ["gray", "undefined", "alpha"], RGB)


def test_fingerprints_follow_the_content_not_the_name(tmp_path: Path, pixels: np.ndarray) -> None:
    first = write(tmp_path / "a.tif", pixels)
    second = tmp_path / "b.tif"
    second.write_bytes(first.read_bytes())
    changed = pixels.copy()
    changed[1, 30, 40] += 1
    third = write(tmp_path / "c.tif", changed)
    moved = write(tmp_path / "d.tif", pixels, transform=Affine(0.5, 0, 500001, 0, -0.5, 5000000))
    names = []
    for path in (first, second, third, moved):
        with open_raster(path) as raster:
            names.append(fingerprint(raster))
    assert names[0] == names[1] == names[3]  # where it lies does not make it another image
    assert len(set(names)) == 2
    assert fingerprint(ArrayRaster(pixels)) != fingerprint(ArrayRaster(changed))


def test_a_sample_of_a_large_image_reads_little() -> None:
    class Counting(ArrayRaster):
        values = 0

        def read(self, window: Window, bands: Any = None) -> Any:
            self.values += window.size
            return super().read(window, bands)

    image = dask.array.zeros((6000, 6000), chunks=1000, dtype=np.uint16)
    raster = Counting(image, nodata=None)
    array, valid = sample(raster)
    assert array.shape == (1, *valid.shape)
    assert 0 < raster.values <= 1 << 20
