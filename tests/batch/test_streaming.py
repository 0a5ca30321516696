"""Maps made while they are written."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

from builders import PLACE, Tiny, make_card, make_network, make_tiny_network, set_tiles, write_image
from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.batch.streaming import GrowingMap, MapStream
from napari_disca.core.errors import ExportError, RasterError, RecipeError
from napari_disca.core.events import Patch, Progress, finish
from napari_disca.core.tiling import Window
from napari_disca.exports import read_made_with
from napari_disca.inference.network_view import NetworkView
from napari_disca.raster import open_raster
from napari_disca.recipes import recipe_named
from napari_disca.session.session import Session
from napari_disca.session.steps.class_table import ClassTable

#: 6 x 4 small tiles, 2 x 1 blocks of the file.
SHAPE = (530, 350)
TILES = 24
CLICKS = Clicks((Click(10, 20, 1), Click(360, 300, 2), Click(529, 349, 0)))


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    set_tiles(monkeypatch, 128, 16)


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Path:
    """A striped GeoTIFF with a corner that has no data."""
    rng = np.random.default_rng(3)
    coarse = rng.integers(1, 255, (3, 34, 22)).astype(np.uint8)
    pixels = np.kron(coarse, np.ones((1, 16, 16), np.uint8))[:, : SHAPE[0], : SHAPE[1]]
    pixels[:, :300, :250] = 0
    path = tmp_path_factory.mktemp("streaming") / "image.tif"
    return write_image(path, pixels, nodata=0, **PLACE)


def stream_of(image: Path, compute, clicks: Clicks = CLICKS, **options) -> MapStream:
    network = make_network()
    network_view = NetworkView(open_raster(image), network.card, **options)
    return MapStream(network_view, network, compute, clicks)


def labels_of(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read(1)


@pytest.mark.parametrize("factor", [1.0, 0.45, 1.3])
def test_the_map_is_the_sessions(image, compute, tmp_path, factor):
    stream = stream_of(image, compute, factor=factor)
    written = finish(stream.write(tmp_path / "map.tif", workers=2))
    with open_raster(image) as raster:
        session = Session(raster, make_network(), factor=factor, compute=compute)
        session.document.set_clicks(CLICKS)
        finish(session.refine(), session.handle)
        expected = session.maps["disir"].read(Window.whole(SHAPE))
    assert (expected == 255).any()
    assert len(np.unique(expected)) > 2
    np.testing.assert_array_equal(labels_of(written), expected)


def test_the_adapted_map_is_the_sessions(image, compute, tmp_path):
    recipe = recipe_named("held-out", passes=2, rate=1e-2, crop_size=64, adopt="full")
    stream = stream_of(image, compute)
    adapted, adaptation = finish(stream.adapt(recipe, seed=4))
    # The first lies where the image has no data, and says nothing.
    assert adaptation.clicks == len(CLICKS) - 1
    assert adapted.made_with != stream.made_with
    written = finish(adapted.write(tmp_path / "map.tif"))
    with open_raster(image) as raster:
        session = Session(raster, make_network(), compute=compute, seed=4)
        session.document.set_clicks(CLICKS)
        finish(session.adapt(recipe), session.handle)
        expected = session.maps["disca"].read(Window.whole(SHAPE))
        assert (expected != session.maps["disir"].read(Window.whole(SHAPE))).any()
    np.testing.assert_array_equal(labels_of(written), expected)


def test_nothing_is_learned_without_clicks(image, compute):
    with pytest.raises(RecipeError, match="no clicks"):
        finish(stream_of(image, compute, Clicks()).adapt(recipe_named("held-out")))


def test_the_file_is_the_same_whatever_the_number_of_threads(image, compute, tmp_path):
    written = [
        finish(stream_of(image, compute).write(tmp_path / f"{n}.tif", workers=n)) for n in (1, 2, 7)
    ]
    first, *others = (path.read_bytes() for path in written)
    assert all(other == first for other in others)


def test_the_images_pixels_are_read_by_the_threads(image, compute, monkeypatch):
    """The network's thread never waits for the file."""
    readers = set()
    stream = stream_of(image, compute)
    read, valid = stream.network_view.raster.read, stream.network_view.raster.valid

    def watched(method):
        def call(*arguments):
            readers.add(threading.current_thread().name)
            return method(*arguments)

        return call

    monkeypatch.setattr(stream.network_view.raster, "read", watched(read))
    monkeypatch.setattr(stream.network_view.raster, "valid", watched(valid))
    patches = list(stream.patches(workers=2))
    assert readers
    assert all(name.startswith("reading") for name in readers)
    assert [patch.tile for patch in patches] == list(range(TILES))


def test_reading_stays_a_few_runs_ahead(image, compute, monkeypatch):
    monkeypatch.setattr("napari_disca.batch.read_ahead._RUN_TILES", 1)
    stream = stream_of(image, compute)
    assert [len(run) for run in stream.runs] == [1] * TILES
    reads = []
    read = stream.network_view.raster.read
    monkeypatch.setattr(
        stream.network_view.raster, "read", lambda *a: (reads.append(a), read(*a))[1]
    )
    patches = stream.patches(workers=1)
    next(patches)
    assert len(reads) < 6 < TILES
    patches.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("reading")]


def test_a_run_that_is_too_large_is_read_tile_by_tile(image, compute, tmp_path, monkeypatch):
    expected = labels_of(finish(stream_of(image, compute).write(tmp_path / "a.tif")))
    monkeypatch.setattr("napari_disca.batch.read_ahead._RUN_BYTES", 1000)
    stream = stream_of(image, compute)
    assert all(len(run) == 1 for run in stream.runs)
    np.testing.assert_array_equal(labels_of(finish(stream.write(tmp_path / "b.tif"))), expected)


def test_closing_the_job_leaves_no_file_and_no_thread(image, compute, tmp_path):
    job = stream_of(image, compute).write(tmp_path / "map.tif", workers=2)
    events = [next(job) for _ in range(3)]
    assert events == [Progress("predicting", done, TILES) for done in range(3)]
    job.close()
    assert list(tmp_path.iterdir()) == []
    assert not [t for t in threading.enumerate() if t.name.startswith("reading")]


def test_a_damaged_image_leaves_no_file(image, compute, tmp_path):
    cut = tmp_path / "cut.tif"
    cut.write_bytes(image.read_bytes()[: image.stat().st_size // 2])
    with pytest.raises(RasterError, match="damaged"):
        finish(stream_of(cut, compute).write(tmp_path / "map.tif", workers=2))
    assert list(tmp_path.iterdir()) == [cut]


# -------------------------------------------------------------------- what a file was made with


def test_a_map_knows_what_it_was_made_with(image, compute, tmp_path):
    stream = stream_of(image, compute)
    written = finish(stream.write(tmp_path / "map.tif"))
    assert read_made_with(written) == stream.made_with
    assert stream_of(image, compute).made_with == stream.made_with
    # As `predict` makes it, and as a cluster does, which is told of no table.
    said = ClassTable.of(stream.network.card.classes)
    assert replace(stream, classes=said).made_with == stream.made_with
    assert replace(stream, classes=said.renamed(0, "another")).made_with != stream.made_with
    written.write_bytes(written.read_bytes()[:-2000])
    assert read_made_with(written) == ""
    assert read_made_with(image) == ""
    assert read_made_with(tmp_path / "none.tif") == ""


def test_another_input_makes_another_fingerprint(image, compute, tmp_path):
    first = stream_of(image, compute)
    other = make_network(make_card(), seed=1)
    changed = [
        stream_of(image, compute, Clicks()),
        stream_of(image, compute, bands=(3, 2, 1)),
        stream_of(image, compute, factor=0.5),
        MapStream(first.network_view, other, compute, CLICKS),
    ]
    touched = tmp_path / image.name
    touched.write_bytes(image.read_bytes())
    changed.append(stream_of(touched, compute))
    prints = {stream.made_with for stream in [first, *changed]}
    assert len(prints) == 1 + len(changed)


# -------------------------------------------------------------------- growing maps


def patch(top: int, left: int, bottom: int, right: int, label: int) -> Patch:
    window = Window.from_bounds(top, left, bottom, right)
    return Patch("stream", window, np.full(window.shape, label, np.uint8))


def test_a_growing_map_holds_only_the_rows_that_are_asked_for():
    pieces = [patch(0, 0, 5, 4, 0), patch(0, 4, 5, 8, 1), patch(5, 0, 9, 8, 2)]
    labels = GrowingMap((9, 8), iter(pieces))
    assert list(labels.grow(3)) == []
    assert labels.read(Window(0, 0, 3, 8)).tolist() == [[0] * 4 + [1] * 4] * 3
    list(labels.grow(6))
    assert labels.read(Window(3, 0, 3, 8)).tolist() == [[0] * 4 + [1] * 4] * 2 + [[2] * 8]
    list(labels.grow(9))
    with pytest.raises(AssertionError, match="not among the rows"):
        labels.read(Window(4, 0, 2, 8))


def test_labels_that_do_not_fit_the_classes_are_refused(image, compute, tmp_path):
    from napari_disca.exports import write_geotiff

    stream = stream_of(image, compute)
    labels = GrowingMap(SHAPE, iter([patch(0, 0, *SHAPE, 7)]))
    with pytest.raises(ExportError, match="class 7"):
        finish(
            write_geotiff(
                labels,
                tmp_path / "map.tif",
                raster=stream.network_view.raster,
                classes=stream.network_view.card.classes,
            )
        )


@pytest.mark.parametrize("limit", [1, 128 << 20])
@pytest.mark.parametrize("batch", [1, 8])
def test_the_network_is_given_full_batches(compute, monkeypatch, batch, limit):
    """A pass is filled with zeros to the batch: one of one tile costs a GPU as much as a full one.

    Tiles are of 16 forms here: at the image's borders, and before the last ones, they are cut
    differently.
    """
    monkeypatch.setattr("napari_disca.batch.batches._WAITING_BYTES", limit)
    network = make_tiny_network()
    pixels = np.random.default_rng(0).integers(0, 255, (1000, 1100, 3)).astype(np.uint8)
    network_view = NetworkView(open_raster(pixels), network.card)
    stream = MapStream(network_view, network, compute)
    expected = list(stream.patches())
    passes = []
    original = Tiny.encode

    def spy(self, images, guidance):
        passes.append(len(images))
        return original(self, images, guidance)

    monkeypatch.setattr(Tiny, "encode", spy)
    batched = list(replace(stream, compute=replace(compute, batch=batch)).patches(workers=2))
    assert set(passes) == {batch}
    assert len(passes) <= (len(expected) // batch + 16 if limit > 1 else len(expected))
    for one, other in zip(expected, batched, strict=True):
        assert one.window == other.window
        assert (one.labels != other.labels).mean() < 0.01, "rounding may differ with the batch"
