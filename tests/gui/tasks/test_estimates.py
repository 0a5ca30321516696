"""How long work will take, from what this machine took for the like before."""

from __future__ import annotations

import json

import pytest

from napari_disca.core.events import Progress
from napari_disca.gui.tasks import estimates
from napari_disca.gui.toolkit.state_file import wait_until_written


@pytest.fixture
def times(opened):
    return opened.panel.presenter._estimates


def test_work_is_measured_and_told_beforehand(opened, times, tmp_path, qtbot):
    panel, control = opened.panel, opened.control
    refine = panel.refine_panel
    key = times._key
    assert times.segment() > 0
    assert times.adapt() is None
    opened.viewer.layers["Clicks"].add((40, 50))
    opened.idle()
    refine.buttons["adapt"].click()
    opened.idle()
    qtbot.waitUntil(lambda: times.adapt() is not None, timeout=20_000)
    panel.files.session_files.save_labels("disca", tmp_path / "mine.tif")
    opened.idle()
    qtbot.waitUntil(lambda: times.save() is not None, timeout=20_000)
    wait_until_written()
    saved = json.loads(estimates._FILE.path.read_text())
    assert set(saved) == {key("segment"), key("learn"), key("redo"), "save"}
    # What is long is told: 9 tiles at 20 s, and an adaptation of 30 s before them.
    tiles = len(control.session.tiling)
    times._rates |= {key("segment"): 20.0, key("learn"): 30.0, key("redo"): 20.0, "save": 500.0}
    control.undo()
    opened.idle()
    minutes = round((30 + 20 * tiles) / 60)
    assert f"not adapted yet (about {minutes}\N{NO-BREAK SPACE}min)" in refine.stage.text()
    assert (
        f"About {minutes}\N{NO-BREAK SPACE}min on this machine" in refine.buttons["adapt"].toolTip()
    )
    assert "About 39\N{NO-BREAK SPACE}s on this machine" in refine.buttons["save_labels"].toolTip()
    assert "on this machine" not in refine.buttons["undo"].toolTip()
    control.close()
    minutes = round(20 * tiles / 60)
    qtbot.waitUntil(
        lambda: f"first map (about {minutes}\N{NO-BREAK SPACE}min)" in refine.status.text()
    )


def test_what_is_left_is_told_from_the_beginning(times, opened):
    refine = opened.panel.refine_panel
    key, tiles = times._key, len(opened.control.session.tiling)
    times._rates |= {key("segment"): 20.0, key("redo"): 10.0, key("learn"): 30.0, "save": 500.0}
    times._what = "segment"
    refine.show_progress(Progress("updating the map", 0, 30))
    assert refine.stage.text().endswith("· about 10\N{NO-BREAK SPACE}min left")
    times._what, times._began = "learn", estimates.time.monotonic()
    assert times.left(Progress("adapting", 0, 5), None) == pytest.approx(30 + 10 * tiles, abs=1)
    # Once it was measured, that counts, and the map is still to come.
    assert times.left(Progress("adapting", 4, 5), 3.0) == pytest.approx(3 + 10 * tiles)
    times._what = "save"
    assert times.left(Progress("saving", 1, 2), None) == pytest.approx(times.save() / 2)
    times._what = ""
    assert times.left(Progress("updating the map", 0, 5), None) is None


@pytest.mark.parametrize("text", ["", "[1]", '{"save": -1, "a": "b"}', '{"save": 1e9}'])
def test_a_damaged_file_tells_nothing(text):
    estimates._FILE.path.parent.mkdir(parents=True, exist_ok=True)
    estimates._FILE.path.write_text(text)
    assert estimates._read() == {}
