from __future__ import annotations

import gc
import threading
from dataclasses import replace

import numpy as np
import pytest
import rasterio
import torch
from cachetools import LRUCache

from builders import make_network, set_tiles
from napari_disca.annotations.areas import Area
from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.core.errors import ClickError, RecipeError
from napari_disca.core.events import Patch, Progress, finish
from napari_disca.core.tiling import Tiling, Window
from napari_disca.exports import write_geotiff
from napari_disca.inference.features import FeatureCache
from napari_disca.inference.predict import Predictor
from napari_disca.networks import fingerprint, load_network
from napari_disca.networks.compute import Compute
from napari_disca.networks.linknet import LinkNet
from napari_disca.raster import open_raster, quiet_opening
from napari_disca.raster.arrays import ArrayRaster
from napari_disca.recipes import Disca
from napari_disca.scenes import Scene
from napari_disca.session.session import MAPS, AdaptationRun, Session
from sessions import assert_equal_to_from_scratch, drawn, from_scratch, run

QUICK = Disca(passes=2, rate=3e-3, crop_size=64)


pytestmark = pytest.mark.usefixtures("small_tiles")


@pytest.fixture
def session(picture, compute):
    return Session(open_raster(picture), make_network(), compute=compute)


def test_maps_before_and_after_segmenting(session):
    assert session.map_state.up_to_date("initial") == 0.0
    run(session, session.predict())
    assert [session.map_state.up_to_date(name) for name in MAPS] == [1.0, 1.0, 1.0]
    np.testing.assert_array_equal(drawn(session, "initial"), drawn(session, "disca"))


def test_uncertainty_follows_clicks_undo_and_recall(session):
    assert not session.uncertainty["disca"].any()
    run(session, session.predict())
    before = {name: session.uncertainty[name].copy() for name in MAPS}
    assert before["disca"].all(), "every cell is known"
    session.document.click(20, 20, 2)
    run(session, session.refine())
    assert (session.uncertainty["disca"] != before["disca"]).any()
    assert_equal_to_from_scratch(session)
    after = session.uncertainty["disca"].copy()
    session.document.undo()
    session.paint_cached(10.0)
    assert not session.map_state.stale("disca")
    for name in MAPS:
        np.testing.assert_array_equal(session.uncertainty[name], before[name], err_msg=name)
    session.document.redo()
    run(session, session.refine())
    np.testing.assert_array_equal(session.uncertainty["disca"], after)


def test_what_is_locked_is_sure_and_what_has_no_data_is_unknown(picture, compute):
    masked = picture.copy()
    masked[:, :32] = 255
    session = Session(ArrayRaster(masked, nodata=255), make_network(), compute=compute)
    run(session, session.predict())
    unlocked = session.uncertainty["disir"].copy()
    assert not unlocked[:, :2].any()
    assert (unlocked[:, 2:] > 1).all()
    (lock,) = session.document.lock(Area.rectangle(Window(16, 48, 24, 32)))
    run(session, session.refine())
    locked = session.uncertainty["disir"]
    assert (locked[1:2, 3:5] == 1).all(), "wholly locked"
    assert (locked[2:3, 3:5] == 1).all(), "half locked"
    elsewhere = np.ones(unlocked.shape, dtype=bool)
    elsewhere[1:3, 3:5] = False
    np.testing.assert_array_equal(locked[elsewhere], unlocked[elsewhere])
    np.testing.assert_array_equal(session.uncertainty["initial"], unlocked)
    session.document.unlock(lock)
    run(session, session.refine())
    np.testing.assert_array_equal(session.uncertainty["disir"], unlocked)


def test_a_click_changes_disir_near_it_and_initial_nowhere(session):
    run(session, session.predict())
    before = drawn(session, "initial")
    session.document.click(20, 20, 2)
    assert {tile.index for tile in session.map_state.stale("disir")} == {0}
    assert not session.map_state.stale("initial")
    run(session, session.refine())
    np.testing.assert_array_equal(drawn(session, "initial"), before)
    assert_equal_to_from_scratch(session)


def test_incremental_equals_from_scratch_through_a_whole_story(session):
    run(session, session.predict())
    session.document.click(0, 0, 1)
    run(session, session.refine())
    middle = session.document.click(70, 80, 2)
    session.document.click(143, 159, 0)
    run(session, session.refine())
    assert_equal_to_from_scratch(session)
    run(session, session.adapt(QUICK))
    assert_equal_to_from_scratch(session)
    moved = session.document.move(middle, 30, 120)
    run(session, session.refine())
    assert_equal_to_from_scratch(session)
    session.document.relabel(moved, 0)
    session.document.remove(session.document.clicks.items[0])
    run(session, session.refine())
    assert_equal_to_from_scratch(session)
    session.document.undo()
    run(session, session.refine())
    assert_equal_to_from_scratch(session)
    session.document.reset_network()
    run(session, session.refine())
    np.testing.assert_array_equal(drawn(session, "disca"), drawn(session, "disir"))
    assert_equal_to_from_scratch(session)


def test_undo_and_redo_bring_back_clicks_and_weights_together(session):
    run(session, session.predict())
    session.document.click(30, 40, 1)
    run(session, session.adapt(QUICK))
    adapted, disca = session.document.adapted, drawn(session, "disca")
    session.document.click(100, 100, 2)
    assert session.document.undo() == "class 2 click"
    assert session.document.undo().startswith("adapt")
    assert session.document.adapted is None
    assert len(session.document.clicks) == 1
    assert session.document.redo().startswith("adapt")
    assert session.document.adapted is adapted
    run(session, session.refine())
    np.testing.assert_array_equal(drawn(session, "disca"), disca)
    session.document.undo()
    session.document.undo()
    assert not session.document.clicks
    assert session.document.undo() is None
    assert not session.document.can_undo
    assert session.document.can_redo
    session.document.click(1, 1, 0)
    assert not session.document.can_redo, "a new step forgets what was taken back"


def test_undo_needs_no_network_for_what_was_drawn_before(session, monkeypatch):
    run(session, session.predict())
    session.document.click(20, 20, 2)
    run(session, session.refine())
    guided = drawn(session, "disir")
    session.document.undo()

    def refuse(*args):
        raise AssertionError("the network was asked again")

    monkeypatch.setattr("napari_disca.inference.predict.Predictor.batch", refuse)
    run(session, session.refine())
    np.testing.assert_array_equal(drawn(session, "disir"), drawn(session, "initial"))
    session.document.redo()
    run(session, session.refine())
    np.testing.assert_array_equal(drawn(session, "disir"), guided)


def test_what_is_known_is_recalled_at_once(session):
    run(session, session.predict())
    session.document.click(20, 20, 2)
    run(session, session.refine())
    run(session, session.adapt(QUICK))
    adapted = {name: drawn(session, name) for name in MAPS}
    session.document.undo()
    session.paint_cached()
    np.testing.assert_array_equal(drawn(session, "disca"), drawn(session, "disir"))
    session.document.redo()
    session.viewport.window = Window(0, 0, 10, 10)
    session.paint_cached()
    assert session.map_state.stale("disca", Window(100, 100, 10, 10))
    assert not session.map_state.stale("disca", session.viewport.window)
    run(session, session.refine())
    for name, labels in adapted.items():
        np.testing.assert_array_equal(drawn(session, name), labels)
    assert_equal_to_from_scratch(session)


@pytest.mark.parametrize("events", range(0, 12, 2))
def test_a_job_does_not_take_what_was_recalled_for_what_it_knew(session, events):
    """The recent tiles forget, and a job that began before sees other pixels."""
    run(session, session.predict())
    session.document.click(20, 20, 2)
    run(session, session.adapt(QUICK))
    disca = drawn(session, "disca")
    session.document.click(100, 100, 1)
    job = session.adapt(replace(QUICK, rate=1e-2))
    for _ in range(events):
        session.handle(next(job))
    session.document.go(1)
    session.paint_cached()
    session._renderer.recent.forget()
    finish(job)  # a window would let it end, and take no more of it
    session.document.go(2)
    run(session, session.refine())
    np.testing.assert_array_equal(drawn(session, "disca"), disca)
    assert_equal_to_from_scratch(session)


def test_a_job_knows_the_clicks_of_the_moment_it_was_asked_for(session):
    run(session, session.predict())
    session.document.click(20, 20, 2)
    job = session.refine()
    session.document.click(100, 100, 1)
    run(session, job)
    assert session.map_state.stale("disir"), "the second click came after the verb"
    run(session, session.refine())
    assert_equal_to_from_scratch(session)


def test_a_state_that_moves_from_one_map_to_another_is_not_painted_over_on_the_way(session):
    """DISCA takes over what DISIR shows while DISIR takes another state."""
    run(session, session.predict())
    session.document.click(20, 20, 2)
    run(session, session.adapt(QUICK))
    guided = drawn(session, "disir")
    session.document.reset_network()
    session.document.click(25, 25, 1)
    job = session.refine()
    session.document.undo()
    run(session, job)
    run(session, session.refine())
    np.testing.assert_array_equal(drawn(session, "disir"), guided)
    np.testing.assert_array_equal(drawn(session, "disca"), guided)


@pytest.mark.parametrize("events", range(0, 14, 3))
def test_closing_a_job_anywhere_leaves_a_map_that_knows_what_it_shows(session, events):
    run(session, session.predict())
    session.document.click(100, 100, 1)
    job = session.adapt(QUICK)
    for _ in range(events):
        session.handle(next(job))
    job.close()
    # What it takes for finished is what a run from scratch gives, tile by tile.
    other = from_scratch(session)
    finished = 0
    for name in MAPS:
        stale = {tile.index for tile in session.map_state.stale(name)}
        whole = drawn(other, name)
        for tile in session.tiling:
            if tile.index not in stale:
                finished += 1
                window = session.network_view.image_window(tile.keep)
                np.testing.assert_array_equal(session.maps[name].read(window), whole[window.slices])
    assert finished >= len(session.tiling), "the initial map was computed before"
    run(session, session.refine())
    assert_equal_to_from_scratch(session)


def test_the_tiles_in_view_come_first(session):
    session.viewport.window = Window(120, 130, 20, 20)
    patches = [e for e in session.predict() if isinstance(e, Patch)]
    assert patches[0].tile == len(session.tiling) - 1
    assert {p.tile for p in patches} == set(range(len(session.tiling)))


def test_panning_reorders_what_is_left(session):
    session.viewport.window = Window(120, 130, 20, 20)
    job = session.predict()
    order = []
    for event in job:
        if isinstance(event, Patch) and event.tile not in order:
            order.append(event.tile)
            session.viewport.window = Window(0, 0, 20, 20)
    assert order[:2] == [len(session.tiling) - 1, 0]


def test_progress_counts_to_the_end(session):
    events = [e for e in session.predict() if isinstance(e, Progress)]
    assert (events[0].done, events[-1].done) == (0, len(session.tiling))
    assert {e.total for e in events} == {len(session.tiling)}


def test_the_network_received_is_never_changed(picture, compute):
    network = make_network()
    before = fingerprint(network)
    session = Session(open_raster(picture), network, compute=compute)
    session.document.click(5, 5, 0)
    run(session, session.adapt(QUICK))
    assert fingerprint(network) == before
    assert fingerprint(session.network) == before


def test_adapting_needs_a_click(session):
    with pytest.raises(RecipeError, match="click on some mistakes first"):
        session.adapt(QUICK)


@pytest.mark.parametrize("nonsense", [float("nan"), float("inf"), "a", None])
def test_numbers_that_are_none_are_refused_in_one_line(session, nonsense):
    click = session.document.click(10, 20, 1)
    history = session.document.history
    for wrong in ((nonsense, 5, 1), (5, nonsense, 1), (5, 5, nonsense)):
        with pytest.raises(ClickError) as caught:
            session.document.click(*wrong)
        assert len(str(caught.value)) < 1000
    with pytest.raises(ClickError):
        session.document.move(click, 3, nonsense)
    with pytest.raises(ClickError):
        session.document.relabel(click, nonsense)
    assert session.document.history == history


@pytest.mark.parametrize(
    ("row", "col", "label", "message"),
    [
        (-1, 0, 0, "outside the image"),
        (144, 0, 0, "outside the image"),
        (0, 160, 0, "outside the image"),
        (0, 0, 3, "classes are 0 to 2"),
        (0, 0, -1, "classes are 0 to 2"),
    ],
)
def test_impossible_clicks_change_nothing(session, row, col, label, message):
    with pytest.raises(ClickError, match=message):
        session.document.click(row, col, label)
    assert not session.document.clicks
    assert not session.document.can_undo


def test_clicks_that_are_not_there_cannot_be_removed_or_moved(session):
    ghost = Click(1, 1, 1)
    for verb in (
        lambda: session.document.remove(ghost),
        lambda: session.document.move(ghost, 2, 2),
    ):
        with pytest.raises(ClickError, match="no click of class 1"):
            verb()


def test_the_latest_click_on_a_pixel_wins(session):
    session.document.click(7, 7, 0)
    session.document.click(7, 7, 2)
    assert session.document.clicks == Clicks((Click(7, 7, 2),))


def test_signals_tell_what_changed(session):
    seen = []
    session.document.clicks_changed.connect(lambda clicks: seen.append(("clicks", len(clicks))))
    session.document.adapted_changed.connect(
        lambda adapted: seen.append(("adapted", adapted is not None))
    )
    session.document.click(9, 9, 1)
    run(session, session.adapt(QUICK))
    session.document.undo()
    session.document.undo()
    assert seen == [("clicks", 1), ("adapted", True), ("adapted", False), ("clicks", 0)]


def test_adapting_tells_what_it_did(session):
    session.document.click(9, 9, 1)
    events = []
    result = finish(session.adapt(QUICK), lambda e: (events.append(e), session.handle(e)))
    assert result.clicks == 1
    assert "1 clicks" in result.note or "of 1 " in result.note
    adapted = [e for e in events if isinstance(e, AdaptationRun)]
    assert len(adapted) == 1
    first_patch = next(i for i, e in enumerate(events) if isinstance(e, Patch))
    assert events.index(adapted[0]) < first_patch


def test_the_same_seed_gives_the_same_map(picture, compute):
    maps = []
    for _ in range(2):
        session = Session(open_raster(picture), make_network(), compute=compute, seed=4)
        session.document.click(50, 60, 1)
        session.document.click(100, 60, 0)
        run(session, session.adapt(QUICK))
        maps.append(drawn(session, "disca"))
    np.testing.assert_array_equal(*maps)


def test_authors_plugin_goes_on_from_the_adapted_weights(session):
    recipe = Disca(
        parameters="all", optimiser="sgd", rate=1e-4, passes=1, start="current", anchor="guided"
    )
    session.document.click(50, 60, 1)
    run(session, session.adapt(recipe))
    first = session.document.adapted.weights
    run(session, session.adapt(recipe))
    assert session.document.adapted.weights != first


def test_the_history_keeps_what_changed_rather_than_networks(session):
    session.document.click(20, 20, 2)
    for rate in (1e-3, 2e-3, 3e-3):
        run(session, session.adapt(Disca(passes=1, rate=rate, crop_size=64)))
    runs = [step.adapted for step in session.document.history if step.adapted is not None]
    assert len({adapted.weights for adapted in runs}) == 3
    assert all(adapted.adaptation.network is None for adapted in runs)
    whole = sum(tensor.numel() for tensor in session.network.state_dict().values())
    assert all(sum(t.numel() for t in a.changed.tensors.values()) < whole / 100 for a in runs)


# Viewport first, batches, reading ahead


def test_clicked_tiles_come_before_stale_ones_in_view(session):
    run(session, session.predict())
    session.document.click(50, 60, 1)
    run(session, session.adapt(QUICK))
    session.document.reset_network()
    session.viewport.window = Window(120, 130, 20, 20)
    session.document.click(5, 5, 2)
    touched = {tile.index for tile in session.map_state.stale("disir")}
    patches = [e for e in session.refine() if isinstance(e, Patch)]
    order = list(dict.fromkeys(patch.tile for patch in patches))
    assert set(order[: len(touched)]) == touched
    assert len(order) == len(session.tiling), "DISCA is stale everywhere"
    assert order[len(touched)] == len(session.tiling) - 1, "then the one in view"


@pytest.mark.parametrize("batch", [2, 3])
def test_batches_change_nothing_about_a_tile(picture, compute, batch):
    """Filled up to the same size always, whoever keeps a tile company."""
    session = Session(open_raster(picture), make_network(), compute=replace(compute, batch=batch))
    run(session, session.predict())
    session.document.click(0, 0, 1)
    run(session, session.refine())
    session.document.click(70, 80, 2)
    run(session, session.adapt(QUICK))
    session.document.click(143, 159, 0)
    run(session, session.refine())
    assert_equal_to_from_scratch(session)


def test_closing_a_job_ends_its_reading_thread(session):
    job = session.predict()
    next(job)
    next(job)
    job.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("napari-disca-read")]


def test_a_predictor_that_another_thread_lets_go_of_meanwhile(session):
    """A job and the thread that reads ahead of it ask for predictors at once."""
    session.document.click(30, 40, 1)
    run(session, session.adapt(QUICK))
    renderer, looked, gone = session._renderer, threading.Event(), threading.Event()

    class Slow(LRUCache):
        def __getitem__(self, name):  # it is there, as `get` has seen
            if threading.current_thread() is threading.main_thread():
                looked.set()
                gone.wait(1)  # what must not happen does, if nothing keeps it from it
            return super().__getitem__(name)

    def other():
        assert looked.wait(30)
        finish(renderer.ready(session.document.adapted))
        gone.set()

    renderer._predictors = Slow(1)
    first = finish(renderer.ready(None))
    looked.clear()
    thread = threading.Thread(target=other)
    thread.start()
    assert renderer._predictor(renderer.networks.name(None)) is first
    thread.join(30)
    assert list(renderer._predictors) == [renderer.networks.name(session.document.adapted)]


def test_a_newer_click_keeps_the_tiles_that_are_still_valid(session, monkeypatch):
    """Latest click wins, and nobody redoes what is finished."""
    run(session, session.predict())
    session.document.click(50, 60, 1)
    run(session, session.adapt(QUICK))
    session.document.reset_network()
    session.document.undo()
    session.document.undo()
    session.document.click(70, 60, 1)  # now DISCA is of other clicks and DISIR too
    asked = []
    original = Predictor.batch
    monkeypatch.setattr(
        Predictor,
        "batch",
        lambda self, tiles, fallback=None: (
            asked.extend(p.tile.index for p, _ in tiles) or original(self, tiles, fallback)
        ),
    )
    job = session.refine()
    finished = {}
    while len(finished) < 1:
        event = next(job)
        session.handle(event)
        if isinstance(event, Patch):
            finished[event.tile] = event.version
    session.document.click(140, 150, 2)
    job.close()
    again = session.refine()
    asked.clear()
    run(session, again)
    still_valid = {
        tile
        for tile, state in finished.items()
        if state == session.map_state.target("disir").version(tile)
    }
    assert still_valid
    assert not still_valid & set(asked)


# Features of an encoder that stays

DECODER = replace(QUICK, parameters="decoder")


@pytest.fixture
def encodings(monkeypatch):
    """Counts the drawing's passes through the encoder without clicks; learning makes some, too."""
    passes = []
    original = LinkNet.encode_clickless

    def spy(self, image):
        if torch.is_inference_mode_enabled():
            passes.append(len(image))
        return original(self, image)

    monkeypatch.setattr(LinkNet, "encode_clickless", spy)
    return passes


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("memory", [0, 512 << 20])
def test_cached_features_give_the_same_map_as_from_scratch(picture, encodings, precision, memory):
    session = Session(
        open_raster(picture),
        make_network(),
        compute=Compute.choose("cpu", precision),
        features=FeatureCache(memory=memory),
    )
    run(session, session.predict())
    session.document.click(0, 0, 1)
    run(session, session.adapt(DECODER, ("disca",)))
    first = len(encodings)
    assert first > 0, "tiles without clicks went through the encoder"
    session.document.click(10, 20, 0)
    run(session, session.adapt(replace(DECODER, passes=3), ("disca",)))
    again = len(encodings) - first
    run(session, session.refine())
    assert_equal_to_from_scratch(session)
    assert (again == 0) == (memory > 0), "the second time only the decoder runs"


def test_a_cache_on_disk_gives_the_same_map(picture, encodings, tmp_path):
    session = Session(
        open_raster(picture),
        make_network(),
        compute=Compute.choose("cpu", "float32"),
        features=FeatureCache(memory=1 << 20, disk=1 << 30, folder=tmp_path),
    )
    session.document.click(0, 0, 1)
    run(session, session.adapt(DECODER))
    first = len(encodings)
    assert first > 0
    assert list(tmp_path.rglob("*.safetensors"))
    run(session, session.adapt(replace(DECODER, passes=3)))
    assert len(encodings) == first
    assert_equal_to_from_scratch(session)


def test_recipes_that_change_the_encoder_do_not_pay_for_a_cache(session):
    session.document.click(0, 0, 1)
    run(session, session.adapt(QUICK))
    run(session, session.refine())
    assert not session._caches.features._in_memory


# Keeping maps


def test_kept_maps_are_taken_over_by_the_next_session(picture, compute, tmp_path):
    first = Session(open_raster(picture), make_network(), compute=compute, folder=tmp_path)
    run(first, first.predict())
    first.document.click(20, 20, 2)
    run(first, first.refine())
    expected = drawn(first, "disir")
    clicks = first.document.clicks
    first.close()
    again = Session(open_raster(picture), make_network(), compute=compute, folder=tmp_path)
    assert again.map_state.up_to_date("initial") == 1.0
    assert {tile.index for tile in again.map_state.stale("disir")} == {0}, (
        "the click is not there yet"
    )
    again.document.set_clicks(clicks)
    assert again.map_state.up_to_date("disir") == 1.0
    np.testing.assert_array_equal(drawn(again, "disir"), expected)


@pytest.mark.parametrize("what", ["another network", "another image", "no goodbye"])
def test_kept_maps_of_something_else_are_not_believed(picture, compute, tmp_path, what):
    first = Session(open_raster(picture), make_network(), compute=compute, folder=tmp_path)
    run(first, first.predict())
    if what == "no goodbye":
        del first  # as if the program were killed
        gc.collect()
    else:
        first.close()
    other = picture[::-1].copy() if what == "another image" else picture
    network = make_network(seed=1 if what == "another network" else 0)
    again = Session(open_raster(other), network, compute=compute, folder=tmp_path)
    assert again.map_state.up_to_date("initial") == 0.0
    run(again, again.predict())
    fresh_one = Session(open_raster(other), network, compute=compute)
    run(fresh_one, fresh_one.predict())
    np.testing.assert_array_equal(drawn(again, "initial"), drawn(fresh_one, "initial"))


# Precision


def test_bfloat16_changes_few_pixels_of_a_scene():
    """What is said about precision, on the bundled network."""
    scene = Scene((700, 900), seed=5, ground_resolution=1.0).image()
    maps = []
    for precision in ("float32", "bfloat16"):
        session = Session(
            open_raster(scene),
            load_network("landcover-5"),
            factor=1.0,
            compute=Compute.choose("cpu", precision),
        )
        run(session, session.predict())
        maps.append(drawn(session, "initial"))
    assert (maps[0] != maps[1]).mean() <= 0.005


def test_what_is_stale_in_a_window_is_what_is_stale_and_in_it(compute):
    picture = np.zeros((300, 260, 3), dtype=np.uint8)
    for factor in (1.0, 0.6, 1.7):
        session = Session(open_raster(picture), make_network(), compute=compute, factor=factor)
        for tile in list(session.tiling)[::3]:
            session._maps.versions.put("disir", tile.index, session.weights)
        stale = session.map_state.stale("disir")
        for window in (Window(0, 0, 1, 1), Window(100, 90, 40, 150), Window(0, 0, 300, 260)):
            inside = [t for t in stale if session.network_view.image_window(t.keep) & window]
            assert list(session.map_state.stale("disir", window)) == inside


def test_a_view_of_very_many_tiles_stops_no_window(compute, monkeypatch):
    """Zoomed out, a mosaic has all its tiles in view; a click asks which of them are stale."""
    set_tiles(monkeypatch, 8, 0)
    picture = np.broadcast_to(np.uint8(7), (800, 800, 3))
    session = Session(open_raster(picture), make_network(), compute=compute, find_fill=False)
    whole = session.viewport.window = Window.whole(picture.shape[:2])
    for name in MAPS:
        for tile in range(len(session.tiling)):
            session._maps.versions.put(name, tile, "earlier")
    made, original = [], Tiling.__getitem__

    def noted(tiling, index):
        made.append(index)
        return original(tiling, index)

    monkeypatch.setattr(Tiling, "__getitem__", noted)
    assert session.map_state.stale("disir", whole)
    assert len(session.map_state.stale("disir", whole)) == len(session.tiling) == 10_000
    assert made == []
    session.paint_cached(0)
    assert len(made) <= 1
    assert session.map_state.stale("disir", Window(0, 0, 9, 9))[-1].keep == Window(8, 8, 8, 8)
    assert len(session.map_state.stale("disir")[:3]) == 3


# Saving


@pytest.mark.parametrize("begun", [True, False])
def test_a_map_is_saved_as_it_was_though_the_session_goes_on(session, tmp_path, begun):
    """Undo and clicks paint the map while it is being written."""
    run(session, session.predict())
    session.document.click(20, 20, 2)
    session.document.click(140, 150, 1)
    run(session, session.refine())
    expected = drawn(session, "disir")
    job = write_geotiff(
        session.maps["disir"],
        tmp_path / "map.tif",
        raster=session.raster,
        classes=session.document.classes,
    )
    if begun:
        next(job)
    session.document.undo()
    session.paint_cached(10.0)
    session.document.click(60, 70, 0)
    run(session, session.refine())
    assert (drawn(session, "disir") != expected).any()
    path = finish(job)
    with quiet_opening(), rasterio.open(path) as file:
        np.testing.assert_array_equal(file.read(1), expected)
