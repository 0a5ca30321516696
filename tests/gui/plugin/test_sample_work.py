"""The demo opens with clicks and an adaptation, and goes on with them the next time."""

from __future__ import annotations

import pytest

from builders import make_card, make_network
from napari_disca.annotations.clicks import Clicks
from napari_disca.core.events import finish
from napari_disca.gui.plugin import sample_work, samples
from napari_disca.gui.plugin.reader import get_reader
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.predict import Predictor
from napari_disca.inference.tiles import tiling_for
from napari_disca.networks import LandClass, load_network, save_network
from napari_disca.networks.compute import Compute
from napari_disca.raster import open_raster
from napari_disca.scenes import Scene, write_scene


@pytest.fixture
def sample(panel, tmp_path, monkeypatch):
    """The panel with a small scene, and a network that has its classes."""
    scene = Scene((140, 150), seed=1, ground_resolution=1.0)
    path = tmp_path / "sample.tif"
    finish(write_scene(scene, path))
    colours = ("#d95f02", "#e6d3a3", "#7570b3", "#1b9e3e", "#2c7fb8")
    classes = tuple(LandClass(*pair) for pair in zip(scene.classes, colours, strict=True))
    card = make_card(5, name="five", classes=classes, ground_resolution=1.0)
    weights = save_network(make_network(card), tmp_path / "five.safetensors", half=False)
    monkeypatch.setattr(sample_work, "CLICKS", ((20, 30, "land"), (70, 90, "water")))
    ((data, keywords, _),) = get_reader(str(path))(str(path))
    panel.viewer.add_image(data, **keywords)
    panel.image_panel.choose_network(str(weights))
    return panel


def begun(panel, qtbot):
    control = panel.control

    def done():
        session = control.session
        return session is not None and session.document.adapted is not None and not control.busy

    qtbot.waitUntil(done, timeout=120_000)
    return control.session


def test_the_sample_opens_with_clicks_and_an_adaptation(sample, qtbot, monkeypatch):
    sample_work.begin_sample(sample)
    session = begun(sample, qtbot)
    assert [(c.row, c.col, c.label) for c in session.document.clicks] == [(20, 30, 1), (70, 90, 4)]
    assert [step.kind for step in session.document.history] == ["", "clicks", "clicks", "adapt"]
    assert session.document.journal is not None
    assert session.map_state.up_to_date("disca") == 1.0
    assert not sample.ripple_panel.isHidden()
    # What the user does next starts no second adaptation, and the next time it goes on from here.
    session.document.click(100, 100, 0)
    qtbot.waitUntil(lambda: not sample.control.busy, timeout=120_000)
    assert sum(step.kind == "adapt" for step in session.document.history) == 1
    gone = []
    monkeypatch.setattr(type(sample.opening), "go_on", lambda _, journal: gone.append(journal))
    monkeypatch.setattr(sample_work, "_is_open", lambda path: False)
    sample_work.begin_sample(sample)
    assert gone == [session.document.journal.path]


@pytest.mark.parametrize("then", ["nothing", "another click", "an undo"])
def test_a_demo_that_was_closed_too_early_adapts_the_next_time(sample, qtbot, monkeypatch, then):
    control, adapt = sample.control, sample_work._adapt_once_drawn
    monkeypatch.setattr(sample_work, "_adapt_once_drawn", lambda panel: None)
    sample_work.begin_sample(sample)
    qtbot.waitUntil(
        lambda: (
            control.session is not None
            and not control.busy
            and control.session.map_state.up_to_date("disir") == 1.0
        ),
        timeout=120_000,
    )
    session = control.session
    assert [step.kind for step in session.document.history] == ["", "clicks", "clicks"]
    if then == "another click":
        session.document.click(100, 100, 0)
    elif then == "an undo":
        session.document.undo()
    qtbot.waitUntil(lambda: not control.busy, timeout=120_000)
    control.close()
    monkeypatch.setattr(sample_work, "_adapt_once_drawn", adapt)
    sample_work.begin_sample(sample)
    if then == "nothing":
        again = begun(sample, qtbot)
        assert [step.kind for step in again.document.history] == ["", "clicks", "clicks", "adapt"]
        return
    qtbot.waitUntil(lambda: control.session is not None, timeout=120_000)
    qtbot.waitUntil(
        lambda: not control.busy and control.session.map_state.up_to_date("disir") == 1.0,
        timeout=120_000,
    )
    assert control.session.document.adapted is None  # somebody has begun to work on it


def test_a_network_of_other_classes_gets_no_clicks(panel, scene, qtbot):
    ((data, keywords, _),) = get_reader(str(scene))(str(scene))
    panel.viewer.add_image(data, **keywords)
    sample_work.begin_sample(panel)
    control = panel.control
    qtbot.waitUntil(lambda: control.session is not None and not control.busy, timeout=120_000)
    assert len(control.session.document.clicks) == 0
    assert control.session.map_state.up_to_date("disir") == 1.0


def test_the_sample_is_clicked_where_the_shipped_network_is_wrong():
    scene = Scene((samples.SIDE, samples.SIDE), seed=0, region="temperate", ground_resolution=1.0)
    picture, truth = scene.render()
    network = load_network("landcover-5")
    names = [land.name for land in network.card.classes]
    predictor = Predictor(
        network,
        NetworkView(open_raster(picture), network.card, factor=1.0),
        Compute.choose("cpu", "float32"),
    )
    tiling = tiling_for(predictor._view)
    for row, col, name in sample_work.CLICKS:
        assert names[truth[row, col]] == name
        tile = tiling.tile_at((row, col))
        window, labels = predictor.labels(tile, Clicks())
        said = labels[row - window.top, col - window.left]
        assert names[said] != name, (row, col)
