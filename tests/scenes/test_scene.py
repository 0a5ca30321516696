"""Scenes: deterministic, seamless, georeferenced, believable, and written as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_disca.core.errors import ExportError
from napari_disca.core.events import Progress, finish
from napari_disca.core.tiling import Window
from napari_disca.scenes import LAND_COVER, REGIONS, Scene, write_scene
from napari_disca.scenes.canvas import Canvas
from napari_disca.scenes.noise import at_points, field
from napari_disca.scenes.plan import World
from napari_disca.scenes.regions import ATLAS, BUILDING, ROAD, VEGETATION, WATER
from napari_disca.scenes.render import BLOCK, _expose, _paint, block

#: Four blocks meet in it; small enough to stay in the cache of blocks.
SHAPE = (BLOCK + 200, BLOCK + 300)


@pytest.mark.parametrize("region", REGIONS)
@settings(max_examples=15, deadline=None)
@given(
    top=st.integers(0, SHAPE[0] - 1),
    left=st.integers(0, SHAPE[1] - 1),
    height=st.integers(0, 400),
    width=st.integers(0, 400),
)
def test_any_window_is_a_piece_of_the_whole(
    region: str, top: int, left: int, height: int, width: int
) -> None:
    scene = Scene(SHAPE, seed=3, region=region)
    window = Window(top, left, height, width) & Window.whole(SHAPE)
    image, labels = scene.render()
    np.testing.assert_array_equal(scene.image(window), image[window.slices])
    np.testing.assert_array_equal(scene.labels(window), labels[window.slices])


def test_pixels_do_not_depend_on_what_was_made_before() -> None:
    scene = Scene(SHAPE, seed=5)
    window = Window(BLOCK - 60, BLOCK - 60, 120, 120)
    before = scene.image(window)
    block.cache_clear()
    scene.image(Window(0, 0, 10, 10))
    np.testing.assert_array_equal(scene.image(window), before)


def test_larger_scene_contains_the_smaller_and_costs_only_its_window() -> None:
    small, huge = Scene((300, 200), seed=4), Scene((2_000_000, 1_000_000), seed=4)
    np.testing.assert_array_equal(huge.image(Window(0, 0, 300, 200)), small.image())
    far = huge.labels(Window(1_999_900, 999_900, 100, 100))
    assert far.shape == (100, 100)


@pytest.mark.parametrize("region", REGIONS)
def test_blocks_join_without_a_seam(region: str) -> None:
    """A canvas over the corner of four blocks shows what the four blocks show."""
    scene, half = Scene(SHAPE, region=region), 60
    window = Window(BLOCK - half, BLOCK - half, 2 * half, 2 * half)
    canvas = Canvas(World(0, region), window.top, window.left, window.shape, 0.3)
    _paint(canvas)
    inner = slice(8, -8)
    same = canvas.labels[inner, inner] == scene.labels(window)[inner, inner]
    assert same.mean() > 0.999  # single-precision rounding moves a border pixel at most
    picture = _expose(canvas, np.random.default_rng(0)).astype(np.float32)
    error = np.abs(picture - scene.image(window))[inner, inner]
    assert error.mean() < 1.5 * ATLAS[region].light.noise  # two pictures, two noises
    seam = slice(half - 8 - 2, half - 8 + 2)
    assert error[:, seam].mean() < 1.15 * error.mean()
    assert error[seam].mean() < 1.15 * error.mean()


def test_seeds_and_regions_are_different_places() -> None:
    scenes = [Scene((256, 256), seed=s, region=r) for r in REGIONS for s in (1, 2)]
    images = [scene.image().astype(np.int16) for scene in scenes]
    for i, one in enumerate(images):
        for other in images[i + 1 :]:
            assert np.abs(one - other).mean() > 8


@pytest.mark.parametrize("region", REGIONS)
def test_first_scene_shows_every_class(region: str) -> None:
    labels = Scene(region=region).labels()
    share = np.bincount(labels.ravel(), minlength=len(LAND_COVER)) / labels.size
    assert len(share) == len(LAND_COVER)  # and no 255
    assert share.min() > 0.02
    assert share[BUILDING] > 0.06
    assert share[ROAD] > 0.08


@pytest.mark.parametrize("region", REGIONS)
def test_picture_agrees_with_the_map(region: str) -> None:
    image, labels = Scene(region=region).render()
    mean = [image[labels == index].mean(axis=0) for index in range(len(LAND_COVER))]
    green = mean[VEGETATION]
    assert green[1] > green[2] + 10
    assert green[1] > green[0] - 8
    assert mean[WATER][2] > mean[WATER][0]  # water is blue or green, not red
    assert mean[WATER].mean() < mean[BUILDING].mean() - 15
    asphalt = mean[ROAD]
    assert np.ptp(asphalt) < 30  # grey
    assert 25 < image.std() < 75
    clipped = ((image == 0) | (image == 255)).mean()
    assert clipped < 0.01


def test_regions_look_different() -> None:
    temperate, arid = (Scene(region=name).image().mean(axis=(0, 1)) for name in REGIONS)
    assert np.abs(temperate - arid).max() > 40
    sun = [ATLAS[name].light.shadow for name in REGIONS]
    assert (sun[0] * sun[1].conjugate()).real < 0.3 * abs(sun[0]) * abs(sun[1])


@pytest.mark.parametrize("region", REGIONS)
def test_roads_are_a_network(region: str) -> None:
    """Most of the road pixels of a large scene hang together."""
    from scipy import ndimage

    labels = Scene((1000, 1000), region=region, ground_resolution=1.0).labels()
    pieces, count = ndimage.label(labels == ROAD, structure=np.ones((3, 3)))
    sizes = np.bincount(pieces.ravel())[1:]
    assert count >= 1
    assert sizes.max() > 0.7 * sizes.sum()


def test_shadows_fall_away_from_the_sun() -> None:
    """Ground beside a building is darker where its shadow falls than on the sunny side."""
    scene = Scene(region="arid")
    image, labels = scene.render()
    brightness = image.mean(axis=2)
    shadow = ATLAS["arid"].light.shadow * 6 / scene.ground_resolution  # 6 m high
    rows, cols = np.nonzero(labels == BUILDING)
    keep = np.random.default_rng(0).choice(len(rows), 4000, replace=False)

    def beside(sign: int) -> float:
        r = rows[keep] + round(sign * shadow.imag)
        c = cols[keep] + round(sign * shadow.real)
        inside = (r >= 0) & (r < 1024) & (c >= 0) & (c < 1024)
        r, c = r[inside], c[inside]
        ground = labels[r, c] == 1
        return float(brightness[r[ground], c[ground]].mean())

    assert beside(1) < beside(-1) - 15


@pytest.mark.parametrize("ground_resolution", [0.1, 0.5, 1.0])
def test_ground_resolution_zooms_the_same_place(ground_resolution: float) -> None:
    side = 90.0
    scene = Scene((round(side / ground_resolution),) * 2, ground_resolution=ground_resolution)
    reference = Scene((300, 300), ground_resolution=0.3)
    assert scene.transform.a == ground_resolution
    labels, expected = scene.labels(), reference.labels()
    rows = (np.arange(labels.shape[0]) + 0.5) * ground_resolution / 0.3
    at = np.clip(rows.astype(int), 0, 299)
    assert (labels == expected[np.ix_(at, at)]).mean() > 0.9


@pytest.mark.parametrize(("region", "epsg"), [("temperate", 32631), ("arid", 32640)])
def test_georeference(region: str, epsg: int) -> None:
    scene = Scene((100, 100), region=region)
    assert scene.crs.to_epsg() == epsg
    assert scene.crs.is_projected
    assert (scene.transform.a, scene.transform.e) == (0.3, -0.3)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"region": "lunar"}, "temperate, arid"),
        ({"shape": (0, 5)}, "height and a width"),
        ({"seed": -1}, "0 or more"),
        ({"ground_resolution": 0.0}, "0.05 to 5"),
    ],
)
def test_impossible_scenes_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Scene(**wrong)  # type: ignore[arg-type]


def test_window_outside_is_refused() -> None:
    with pytest.raises(ValueError, match="not inside"):
        Scene((100, 100)).image(Window(50, 50, 60, 10))


@given(
    x=st.floats(-5000, 5000), y=st.floats(-5000, 5000), period=st.sampled_from([2.0, 37.0, 400.0])
)
@settings(max_examples=50, deadline=None)
def test_field_on_a_grid_is_the_field_at_points(x: float, y: float, period: float) -> None:
    xs, ys = x + np.arange(5) * 0.7, y + np.arange(4) * 0.7
    grid = field(ys, xs, period, 99)
    points = at_points(xs[None, :] + 1j * ys[:, None], period, 99)
    np.testing.assert_allclose(grid, points, atol=1e-4)


def test_field_has_unit_variance() -> None:
    places = np.arange(600.0)
    values = field(places, places, 3.0, 1)
    assert abs(values.mean()) < 0.05
    assert abs(values.std() - 1) < 0.08


@pytest.mark.parametrize("region", REGIONS)
def test_plan_and_world_are_inverse(region: str) -> None:
    world = World(2, region)
    places = np.linspace(-3000, 3000, 40)
    x, y = world.to_plan(places, places)
    back = world.to_world((x + 1j * y).astype(np.complex128))
    assert np.abs(back - (places[None, :] + 1j * places[:, None])).max() < 0.05


# --------------------------------------------------------------------- files


@pytest.mark.parametrize("region", REGIONS)
def test_written_files_are_the_scene(region: str, tmp_path: Path) -> None:
    scene = Scene((BLOCK + 40, 300), seed=2, region=region)
    picture, reference = tmp_path / "a" / "image.tif", tmp_path / "labels.tif"
    events: list[Progress] = []
    paths = finish(write_scene(scene, picture, reference, overviews=True), events.append)
    assert paths == (picture, reference)
    assert sorted(p.name for p in tmp_path.rglob("*.tif")) == ["image.tif", "labels.tif"]
    assert events[0].done == 0
    assert events[-1].done == events[-1].total
    with rasterio.open(picture) as file:
        np.testing.assert_array_equal(file.read().transpose(1, 2, 0), scene.image())
        assert file.crs == scene.crs
        assert file.transform == scene.transform
        assert file.block_shapes[0] == (512, 512)
        assert file.overviews(1)
    with rasterio.open(reference) as file:
        np.testing.assert_array_equal(file.read(1), scene.labels())
        assert file.nodata == 255
        for index, land in enumerate(LAND_COVER):
            assert file.colormap(1)[index][:3] == land.rgb
            assert file.tags(1)[f"class_{index}"] == land.name
        # Reduced labels are chosen, not averaged: no class appears that is not there.
        half = file.read(1, out_shape=(scene.shape[0] // 2, scene.shape[1] // 2))
        assert set(np.unique(half)) <= set(np.unique(scene.labels()))


def test_closed_job_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    path.write_bytes(b"old")
    job = write_scene(Scene((BLOCK * 2, 64)), path)
    next(job)
    next(job)
    job.close()
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["image.tif"]


def test_unwritable_place_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ExportError, match="cannot write"):
        finish(write_scene(Scene((32, 32)), tmp_path / "file" / "image.tif"))


def test_same_name_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot both be"):
        write_scene(Scene((32, 32)), tmp_path / "a.tif", tmp_path / "a.tif")


def test_odd_tiles_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="multiple of 16"):
        write_scene(Scene((32, 32)), tmp_path / "a.tif", block=100)
