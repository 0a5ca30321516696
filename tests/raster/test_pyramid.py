from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil

from builders import PLACE, write_image
from napari_disca.core.errors import RasterError
from napari_disca.core.events import Progress, finish
from napari_disca.raster import ArrayRaster, Scaling, open_raster, value_scale
from napari_disca.raster import pyramid as pyramid_module
from napari_disca.raster.pyramid import ImagePyramid

RNG = np.random.default_rng(0)


def smooth(bands: int, height: int, width: int, dtype: Any = np.uint8) -> np.ndarray:
    rows, cols = np.ogrid[:height, :width]
    planes = [127 + 100 * np.sin(rows / (90 + 7 * b)) * np.cos(cols / 130) for b in range(bands)]
    return np.stack(planes).astype(dtype)


def write(path: Path, array: np.ndarray, **profile: Any) -> Path:
    options = {"tiled": True, "compress": "deflate", "zlevel": 1}
    return write_image(path, array, **PLACE, **options, **profile)


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, np.ndarray]:
    """A file without overviews that counts as large."""
    monkeypatch.setattr(pyramid_module, "_SMALL", 1 << 20)
    monkeypatch.setattr(pyramid_module, "_COARSEST", 256)
    monkeypatch.setattr(pyramid_module, "_STRIP", 1 << 20)
    array = smooth(3, 3001, 2003)
    return write(tmp_path / "large.tif", array), np.moveaxis(array, 0, -1)


def test_levels_halve_until_they_are_small(tmp_path: Path) -> None:
    array = np.moveaxis(smooth(3, 3000, 3000), 0, -1)
    shown = ImagePyramid(ArrayRaster(array), cache=tmp_path)
    assert [level.shape for level in shown.levels] == [
        (3000, 3000, 3),
        (1500, 1500, 3),
        (750, 750, 3),
    ]
    assert shown.complete
    assert shown.rgb
    assert isinstance(shown.levels[-1], np.ndarray)
    assert {level.dtype for level in shown.levels} == {np.dtype(np.uint8)}
    assert {level.ndim for level in shown.levels} == {3}
    assert shown.levels[0].size == 27_000_000
    np.testing.assert_array_equal(shown.levels[-1], array[::4, ::4])


def test_levels_slice_like_arrays(tmp_path: Path) -> None:
    array = np.moveaxis(smooth(3, 1100, 1300), 0, -1)
    level = ImagePyramid(open_raster(write(tmp_path / "a.tif", np.moveaxis(array, -1, 0)))).levels[
        0
    ]
    for index in (
        np.s_[5],
        np.s_[-1],
        np.s_[5:20],
        np.s_[5:20, 7:9],
        np.s_[5, 7],
        np.s_[5, 7:30],
        np.s_[5:30, -3],
        np.s_[5:30:4, 100:7:-3],
        np.s_[..., 1],
        np.s_[3:9, ..., 0],
        np.s_[3:9, 4, 2],
        np.s_[np.int64(3), np.int64(8)],
        np.s_[4:4, :5],
        np.s_[1000:5000, 1200:],
    ):
        np.testing.assert_array_equal(level[index], array[index], err_msg=str(index))
    np.testing.assert_array_equal(np.asarray(level), array)
    with pytest.raises(IndexError):
        level[1100]
    with pytest.raises(TypeError):
        level[[1, 2]]


def test_a_large_file_is_prepared_once(large: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    path, array = large
    cache = tmp_path / "cache"
    with open_raster(path) as raster:
        shown = ImagePyramid(raster, cache=cache)
        assert not shown.complete
        assert [level.shape[:2] for level in shown.levels] == [
            (3001, 2003),
            (1501, 1002),
            (751, 501),
            (376, 251),
            (188, 126),
        ]
        coarsest = shown.levels[-1]
        assert not coarsest.any()
        np.testing.assert_array_equal(shown.levels[0][2990:, 1990:], array[2990:, 1990:])
        events: list[Progress] = []
        assert finish(shown.build(), events.append) is None
        assert len(events) > 3
        assert events[-1].done == events[-1].total == len(events)
        assert shown.complete
        assert shown.levels[-1] is coarsest
        for level in shown.levels[1:]:
            factor = round(3001 / level.shape[0])
            # The middle of what each pixel averages.
            rows = np.minimum(np.arange(level.shape[0]) * factor + factor // 2, 3000)
            cols = np.minimum(np.arange(level.shape[1]) * factor + factor // 2, 2002)
            expected = array[np.ix_(rows, cols)].astype(int)
            assert np.abs(np.asarray(level).astype(int) - expected).max() < 14
        built = [np.array(level) for level in shown.levels[1:]]
        assert finish(shown.build()) is None
    with open_raster(path) as raster:
        again = ImagePyramid(raster, cache=cache)
        assert again.complete
        for level, expected in zip(again.levels[1:], built, strict=True):
            np.testing.assert_array_equal(np.asarray(level), expected)
    assert len(list(cache.iterdir())) == 1


def test_an_interrupted_preparation_leaves_nothing(
    large: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    with open_raster(large[0]) as raster:
        shown = ImagePyramid(raster, cache=cache)
        job = shown.build()
        next(job)
        job.close()
        assert not shown.complete
        assert shown.levels[-1].any()
        assert not cache.exists()
        finish(shown.build())
        assert shown.complete
        assert shown.levels[-1].all()


def test_broken_and_unwritable_caches_are_forgotten(
    large: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    with open_raster(large[0]) as raster:
        finish(ImagePyramid(raster, cache=cache).build())
        (file,) = cache.iterdir()
        for content in (b"", b"{}", file.read_bytes()[:-1], b"\xff" * 9000):
            file.write_bytes(content)
            assert not ImagePyramid(raster, cache=cache).complete
        blocked = tmp_path / "file"
        blocked.write_text("")
        shown = ImagePyramid(raster, cache=blocked)
        finish(shown.build())
        assert shown.complete
        assert shown.levels[-1].all()


def test_the_cache_keeps_the_newest_below_its_limit(
    large: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    with open_raster(large[0]) as raster:
        finish(ImagePyramid(raster, cache=cache).build())
        (first,) = cache.iterdir()
        limit = int(1.5 * first.stat().st_size)
        finish(ImagePyramid(raster, (3, 2, 1), cache, limit).build())
        (second,) = cache.iterdir()
        assert second != first
        finish(ImagePyramid(raster, (2, 2, 1), cache, 1000).build())
        assert list(cache.iterdir()) == [second]


def test_overviews_make_a_large_file_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyramid_module, "_SMALL", 1 << 20)
    path = write(tmp_path / "a.tif", smooth(1, 2100, 1500, np.uint16))
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4], rasterio.enums.Resampling.average)
    with open_raster(path) as raster:
        shown = ImagePyramid(raster, cache=tmp_path / "cache")
        assert shown.complete
        assert shown.levels[-1].any()
        assert shown.levels[-1].shape == (525, 375)
    assert not (tmp_path / "cache").exists()


def test_one_band_keeps_its_type_and_gets_limits(tmp_path: Path) -> None:
    array = smooth(1, 300, 400, np.float32) * 10
    array[0, :50] = -9999
    with open_raster(write(tmp_path / "a.tif", array, nodata=-9999)) as raster:
        shown = ImagePyramid(raster)
        assert not shown.rgb
        assert shown.levels[0].shape == (300, 400)
        assert shown.levels[0].dtype == np.float32
        low, high = shown.contrast_limits
        with open_raster(tmp_path / "a.tif") as again:
            scale = value_scale(again, (1,), Scaling())
        assert (low, high) == (*scale.low, *scale.high)
        assert low <= np.percentile(array[:, 50:], 1) < np.percentile(array[:, 50:], 90) < high


def test_sixteen_bit_colours_are_shown_as_a_network_reads_them(tmp_path: Path) -> None:
    array = smooth(3, 300, 400, np.uint16) * 5 + 1000
    shown = ImagePyramid(ArrayRaster(array))
    assert shown.rgb
    assert shown.contrast_limits == (0.0, 255.0)
    scale = value_scale(ArrayRaster(array), (1, 2, 3), Scaling(), ("red", "green", "blue"))
    expected = scale(array)[1] * 255
    np.testing.assert_allclose(np.asarray(shown.levels[0])[..., 1], expected, atol=0.51)


def test_constant_and_empty_images_are_shown() -> None:
    for array in (
        np.zeros((3, 9, 9), np.uint16),
        np.full((9, 9), np.nan),
        np.full((3, 9, 9), np.nan),
    ):
        shown = ImagePyramid(ArrayRaster(array))
        low, high = shown.contrast_limits
        assert low < high
        np.asarray(shown.levels[0])


def test_bands_to_show() -> None:
    array = smooth(5, 50, 60)
    assert ImagePyramid(ArrayRaster(array)).bands == (1, 2, 3)
    assert ImagePyramid(ArrayRaster(array[:2])).bands == (1,)
    shown = ImagePyramid(ArrayRaster(array), (5, 3, 1))
    np.testing.assert_array_equal(shown.levels[0][..., 0], array[4])
    for bands in ((1, 2), (6,), (0, 1, 2), ()):
        with pytest.raises(RasterError, match="one or three of bands 1 to 5"):
            ImagePyramid(ArrayRaster(array), bands)


@pytest.mark.parametrize(
    "name",
    [
        "geotiff/large/riotiler_cog_world.tif",
        "geotiff/large/riotiler_cog_cmap.tif",
        "geotiff/large/zanzibar_sparse_nodata_bigtiff.tif",
        "geotiff/variants/palette_64.tif",
        "geotiff/variants/uint16_x257.tif",
        "geotiff/rasterio/389225main_sw_1965_1024.jpg",
        "drone_buildings/images/kampala_0.tif",
    ],
)
def test_real_images_open_fast(shared: Path, name: str, tmp_path: Path) -> None:
    with open_raster(shared / name) as raster:
        shown = ImagePyramid(raster, cache=tmp_path)
        assert shown.complete == ("zanzibar" not in name)
        assert max(shown.levels[-1].shape) <= 1024
        for level in shown.levels:
            height, width = level.shape[:2]
            part = level[height // 2 : height // 2 + 50, width // 2 : width // 2 + 60]
            assert part.shape[:2] == (min(50, height - height // 2), min(60, width - width // 2))
            assert part.dtype == level.dtype


def test_a_jpeg_is_decoded_once(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path, *_) = sorted((shared / "satellite_landcover/images").glob("tile8*.jpg"))
    with open_raster(path) as raster:
        shown = ImagePyramid(raster)
        expected = np.moveaxis(raster.read(_whole(raster)), 0, -1)
        monkeypatch.setattr(raster, "read", None)
        np.testing.assert_array_equal(np.asarray(shown.levels[0]), expected)


def _whole(raster: Any) -> Any:
    from napari_disca.core.tiling import Window

    return Window.whole(raster.shape)


def test_a_damaged_file_says_so(shared: Path) -> None:
    with (
        open_raster(shared / "geotiff/rasterio/corrupt.tif") as raster,
        pytest.raises(RasterError, match="damaged"),
    ):
        np.asarray(ImagePyramid(raster).levels[0])


def mosaic(folder: Path, array: np.ndarray) -> Path:
    """A folder of pieces and a VRT that puts them together."""
    bands, height, width = array.shape
    cuts = [(0, height // 2), (height // 2, height)], [(0, width // 3), (width // 3, width)]
    sources: dict[int, list[str]] = {band: [] for band in range(1, bands + 1)}
    for i, (top, bottom) in enumerate(cuts[0]):
        for j, (left, right) in enumerate(cuts[1]):
            name = f"piece_{i}_{j}.tif"
            write(folder / name, np.ascontiguousarray(array[:, top:bottom, left:right]))
            for band, parts in sources.items():
                size = f'xSize="{right - left}" ySize="{bottom - top}"'
                parts.append(
                    f'<SimpleSource><SourceFilename relativeToVRT="1">{name}</SourceFilename>'
                    f'<SourceBand>{band}</SourceBand><SrcRect xOff="0" yOff="0" {size}/>'
                    f'<DstRect xOff="{left}" yOff="{top}" {size}/></SimpleSource>'
                )
    colours = ("Red", "Green", "Blue")
    text = "".join(
        f'<VRTRasterBand dataType="Byte" band="{band}"><ColorInterp>{colours[band - 1]}'
        f"</ColorInterp>{''.join(parts)}</VRTRasterBand>"
        for band, parts in sources.items()
    )
    path = folder / "mosaic.vrt"
    path.write_text(f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}">{text}</VRTDataset>')
    return path


@pytest.mark.parametrize("form", ["striped", "jpeg", "bigtiff", "cog", "vrt", "mosaic"])
def test_large_files_of_every_form_show_something_at_once(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyramid_module, "_SMALL", 1 << 20)
    monkeypatch.setattr(pyramid_module, "_COARSEST", 256)
    monkeypatch.setattr(pyramid_module, "_STRIP", 1 << 19)
    array = smooth(3, 2001, 1603)
    path = tmp_path / "a.tif"
    options = {
        "striped": {"compress": "lzw"},
        "jpeg": {"compress": "jpeg", "photometric": "ycbcr", "tiled": True},
        "bigtiff": {"compress": "deflate", "tiled": True, "BIGTIFF": "YES"},
        "cog": {"driver": "COG", "compress": "deflate", "blocksize": 256},
        "vrt": {"compress": "deflate", "tiled": True},
        "mosaic": {},
    }[form]
    if form == "mosaic":
        path = mosaic(tmp_path, array)
    else:
        write_image(path, array, **PLACE, **options)
    if form == "vrt":
        path = tmp_path / "a.vrt"
        rasterio.shutil.copy(tmp_path / "a.tif", path, driver="VRT")
    with open_raster(path) as raster:
        shown = ImagePyramid(raster, cache=tmp_path / "cache")
        assert shown.complete == (form == "cog"), "a COG brings its overviews along"
        seen = np.moveaxis(shown.levels[0][700:1300, 500:1000], -1, 0)
        tolerance = 12 if form == "jpeg" else 0
        expected = array[:, 700:1300, 500:1000].astype(int)
        assert np.abs(seen.astype(int) - expected).max() <= tolerance
        job = shown.build()
        first = next(job, None)
        if form == "cog":
            assert first is None
        else:
            assert first is not None
            assert first.done < first.total / 2, "a part is there before the rest"
            assert shown.levels[-1][0].any()
            assert not shown.levels[-1][1:].any(), "nothing waits for a thick strip"
        finish(job)
        assert shown.complete
        assert all(np.asarray(level).any() for level in shown.levels)
