"""Journals in the window: kept from the first click, offered when an image comes back."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from types import SimpleNamespace

import numpy as np
import pytest

from napari_disca.core.errors import RasterError
from napari_disca.core.tiling import Window
from napari_disca.gui.tasks.opening.layer_data import layer_data
from napari_disca.gui.viewer.layers.map_titles import TITLES
from napari_disca.session import restore
from napari_disca.session.journal.journal_format import read_journal
from windows import click, labels_of, press


@pytest.fixture
def window(make_napari_viewer, weights, qtbot, collecting_notes):
    """Make another window with the scene of `opened`, nothing segmented yet."""
    from napari_disca.gui.window.widget import DiscaWidget

    made = []

    def make(scene):
        viewer = make_napari_viewer()
        panel = DiscaWidget(viewer)
        viewer.window.add_dock_widget(panel, name="Correct a map")
        panel.image_panel.choose_network(str(weights))
        data, keywords, _ = layer_data(scene)
        viewer.add_image(data, **keywords)
        for row in panel.refine_panel._form:  # the recipe may have none
            if row.name == "passes":
                row.value = 4
        made.append(panel)

        def idle():
            qtbot.wait(1)
            qtbot.waitUntil(lambda: not panel.control.busy, timeout=120_000)

        return SimpleNamespace(panel=panel, viewer=viewer, control=panel.control, idle=idle)

    yield make
    for panel in made:
        with suppress(RuntimeError):
            panel.control.close()
            qtbot.waitUntil(lambda panel=panel: not panel.control.busy, timeout=30_000)


@pytest.fixture
def collecting_notes(monkeypatch):
    notes = []
    for name in ("show_error", "show_warning", "show_info"):
        monkeypatch.setattr(
            f"napari_disca.gui.tasks.opening.journal_controller.{name}", notes.append
        )
    return notes


def journal_of(scene):
    return scene.with_name(scene.name + ".disca.jsonl")


def test_a_session_is_kept_from_its_first_click(opened):
    path = journal_of(opened.scene)
    assert not path.exists(), "to look at an image leaves nothing behind"
    click(opened, 40, 50, 1)
    press(opened, "adapt")
    record = read_journal(path)
    assert [event["do"] for event in record.events] == ["clicks", "adapt"]
    assert record.header.network_name == "small"
    assert record.header.image_name == "scene.tif"
    opened.panel.files.session_files.save_labels("disca", path.with_name("out.tif"))
    opened.idle()
    assert read_journal(path).events[-1]["do"] == "export"


def test_an_image_is_opened_where_it_was_left(opened, window, weights):
    click(opened, 40, 50, 1)
    click(opened, 200, 100, 2)
    press(opened, "adapt")
    session = opened.control.session
    maps = {name: labels_of(session, name) for name in session.maps}
    opened.control.close()

    later = window(opened.scene)
    banner = later.panel.resume_banner
    assert banner.isVisibleTo(later.panel)
    assert banner.text.text().startswith(
        "Continue where you left off (2 clicks, 1 adaptation, today "
    )
    assert later.control.session is None, "nobody has to answer first"
    banner.go_on.click()
    later.idle()
    again = later.control.session
    assert not banner.isVisibleTo(later.panel)
    assert again.document.clicks == session.document.clicks
    assert len(later.viewer.layers["Clicks"].data) == 2
    for name, labels in maps.items():
        np.testing.assert_array_equal(labels_of(again, name), labels)
    assert later.panel.history_panel.list.count() == 4
    press(later, "undo")
    assert again.document.adapted is None
    click(later, 10, 10, 0)
    assert len(read_journal(journal_of(opened.scene)).events) == 5


def test_starting_anew_keeps_what_was_done_under_a_number(opened, window):
    click(opened, 40, 50, 1)
    opened.control.close()
    later = window(opened.scene)
    assert later.panel.resume_banner.isVisibleTo(later.panel)
    later.panel.resume_banner.start_over.click()
    assert not later.panel.resume_banner.isVisibleTo(later.panel)
    press(later, "segment")
    assert not later.control.session.document.clicks
    assert len(read_journal(journal_of(opened.scene)).events) == 1, "nothing was done yet"
    click(later, 10, 10, 0)
    first = opened.scene.with_name("scene.tif.disca.1.jsonl")
    assert read_journal(first).events[0]["add"] == [[40, 50, 1]]
    assert read_journal(journal_of(opened.scene)).events[0]["add"] == [[10, 10, 0]]
    later.control.close()
    last = window(opened.scene)
    assert "(1 click, today" in last.panel.resume_banner.text.text()
    assert len(last.panel.resume_banner._menu.actions()) == 1, "the earlier one can be had, too"
    last.panel.resume_banner._menu.actions()[0].trigger()
    last.idle()
    assert [c.pixel for c in last.control.session.document.clicks] == [(40, 50)]


def test_clicking_without_an_answer_is_starting_anew(opened, window):
    click(opened, 40, 50, 1)
    opened.control.close()
    later = window(opened.scene)
    press(later, "segment")
    assert later.panel.resume_banner.isVisibleTo(later.panel)
    click(later, 10, 10, 0)
    assert not later.panel.resume_banner.isVisibleTo(later.panel)
    assert opened.scene.with_name("scene.tif.disca.1.jsonl").exists()


def test_looking_at_the_map_first_does_not_lose_the_offer(opened, window):
    click(opened, 40, 50, 1)
    opened.control.close()
    later = window(opened.scene)
    press(later, "segment")
    later.panel.resume_banner.go_on.click()
    later.idle()
    assert len(later.control.session.document.clicks) == 1
    assert not opened.scene.with_name("scene.tif.disca.1.jsonl").exists()


def test_going_on_does_not_hold_up_the_window(opened, window, qtbot, monkeypatch):
    click(opened, 40, 50, 1)
    opened.control.close()
    later = window(opened.scene)
    panel, banner = later.panel, later.panel.resume_banner
    may_go, threads = threading.Event(), []
    resume = restore.resume

    def slow(*arguments, **keywords):
        threads.append(threading.current_thread())
        assert may_go.wait(30)
        return resume(*arguments, **keywords)

    monkeypatch.setattr("napari_disca.session.restore.resume", slow)
    banner.go_on.click()
    qtbot.waitUntil(lambda: len(threads) == 1)
    assert threads[0] is not threading.current_thread()
    assert not banner.isVisibleTo(panel)
    assert "Loading the network" in panel.refine_panel.status.text()
    # Whoever does not wait is offered it again, once its journal is let go of.
    press(later, "cancel")
    may_go.set()
    qtbot.waitUntil(lambda: banner.isVisibleTo(panel), timeout=30_000)
    assert banner.text.text().startswith("Continue where you left off (1 click")
    assert later.control.session is None
    # What is asked for meanwhile is done with the session that comes.
    may_go.clear()
    banner.go_on.click()
    panel.arm(2)
    may_go.set()
    later.idle()
    assert len(later.control.session.document.clicks) == 1
    assert later.control.layers.label == 2


@pytest.mark.parametrize("begun", [True, False])
def test_a_panel_that_is_closed_meanwhile_opens_nothing_again(
    begun, opened, window, qtbot, monkeypatch
):
    from napari_disca.gui.tasks.opening.session_opening import _AT_WORK

    click(opened, 40, 50, 1)
    opened.control.close()
    later = window(opened.scene)
    at_work, may_go, resume = threading.Event(), threading.Event(), restore.resume

    def slow(*arguments, **keywords):
        at_work.set()
        assert may_go.wait(30)
        return resume(*arguments, **keywords)

    monkeypatch.setattr("napari_disca.session.restore.resume", slow)
    later.panel.resume_banner.go_on.click()
    if begun:
        assert at_work.wait(30)
    raster = later.control.chosen
    later.panel.shut_down()
    may_go.set()
    qtbot.waitUntil(lambda: not _AT_WORK, timeout=30_000)
    assert later.control.session is None
    assert later.control.chosen is raster
    with pytest.raises(RasterError, match="was closed"):
        raster.read(Window(0, 0, 1, 1))
    # Nobody holds the journal.
    again = window(opened.scene)
    assert again.panel.resume_banner.text.text().startswith("Continue where you left off (1 click")


def test_a_second_window_is_told_and_works_on_a_copy(opened, window, collecting_notes):
    click(opened, 40, 50, 1)
    second = window(opened.scene)
    text = second.panel.resume_banner.text.text()
    assert f"in another window (process {os.getpid()} on" in text
    assert second.panel.resume_banner.go_on.text() == "Work on a copy"
    second.panel.resume_banner.go_on.click()
    second.idle()
    assert len(second.control.session.document.clicks) == 1
    click(second, 10, 10, 0)
    click(opened, 200, 100, 2)
    assert [c.pixel for c in opened.control.session.document.clicks] == [(40, 50), (200, 100)]
    copy = opened.scene.with_name("scene.tif.disca.1.jsonl")
    assert len(read_journal(journal_of(opened.scene)).events) == 2
    assert read_journal(copy).events[-1]["add"] == [[10, 10, 0]]
    assert any(copy.name in line for line in collecting_notes)


@pytest.mark.parametrize("damage", ["nonsense\n{}\n", '{"do": "dance"}\n'])
def test_a_damaged_journal_is_gone_on_with_as_far_as_it_is_good(opened, window, damage):
    click(opened, 40, 50, 1)
    opened.control.close()
    path = journal_of(opened.scene)
    path.write_text(path.read_text() + damage)
    damaged = path.read_bytes()
    later = window(opened.scene)
    banner = later.panel.resume_banner
    if "dance" in damage:  # that is found when it is done again
        banner.go_on.click()
        later.idle()
    assert banner.text.text().startswith("Line 3 of scene.tif.disca.jsonl")
    assert "before that line (1 click, today" in banner.text.text()
    assert path.read_bytes() == damaged
    banner.go_on.click()
    later.idle()
    assert not banner.isVisibleTo(later.panel)
    assert len(later.control.session.document.clicks) == 1
    click(later, 10, 10, 0)
    assert opened.scene.with_name("scene.tif.disca.1.jsonl").read_bytes() == damaged
    assert len(read_journal(path).events) == 2
    later.control.close()
    last = window(opened.scene)
    assert "(2 clicks, today" in last.panel.resume_banner.text.text()
    assert len(last.panel.resume_banner._menu.actions()) == 1


def test_a_journal_damaged_from_its_beginning_is_told_and_stays(opened, window):
    click(opened, 40, 50, 1)
    opened.control.close()
    path = journal_of(opened.scene)
    path.write_text("nonsense\n" + path.read_text())
    later = window(opened.scene)
    assert "line 1 of scene.tif.disca.jsonl is damaged" in later.panel.resume_banner.text.text()
    assert not later.panel.resume_banner.go_on.isVisibleTo(later.panel)
    later.panel.resume_banner.start_over.click()
    press(later, "segment")
    click(later, 10, 10, 0)
    assert "nonsense" in opened.scene.with_name("scene.tif.disca.1.jsonl").read_text()


def test_a_journal_of_another_network_is_gone_on_with_that(opened, window, weights, tmp_path):
    from napari_disca.networks import load_network, save_network

    click(opened, 40, 50, 1)
    opened.control.close()
    other = load_network(weights)
    for parameter in other.parameters():
        parameter.data *= 1.01
    save_network(other, tmp_path / "other.safetensors", half=False)
    later = window(opened.scene)
    later.panel.image_panel.choose_network(str(tmp_path / "other.safetensors"))
    later.panel.resume_banner.go_on.click()
    later.idle()
    assert later.panel.image_panel.weights() == str(weights)
    assert later.panel.opening.session() is later.control.session
    assert len(later.control.session.document.clicks) == 1


def test_an_image_left_for_another_comes_back_with_its_history(opened):
    click(opened, 40, 50, 1)
    press(opened, "adapt")
    session = opened.control.session
    rng = np.random.default_rng(0)
    opened.viewer.add_image(rng.integers(0, 255, (90, 80, 3), dtype=np.uint8), name="other")
    images = opened.panel.image_panel.images
    images.setCurrentIndex(images.findText("other"))
    press(opened, "segment")
    images.setCurrentIndex(images.findText("scene"))
    assert not opened.panel.resume_banner.isVisibleTo(opened.panel)
    press(opened, "segment")
    again = opened.control.session
    assert again is not session
    assert [step.title for step in again.document.history] == [
        step.title for step in session.document.history
    ]
    np.testing.assert_array_equal(labels_of(again, "disca"), labels_of(session, "disca"))


def test_a_journal_that_cannot_be_written_is_told(opened, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(
            "napari_disca.session.journal.journal.os.fsync",
            lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")),
        )
        click(opened, 10, 10, 1)
        opened.control.session.document.journal.wait()
    opened.idle()
    assert any("No space left on device" in line for line in opened.said)
    click(opened, 20, 20, 1)
    assert len(read_journal(journal_of(opened.scene)).events) == 2


def test_a_click_waits_for_no_disk(opened, monkeypatch):
    threads, real = [], os.fsync

    def noted(descriptor):
        threads.append(threading.current_thread())
        return real(descriptor)

    monkeypatch.setattr("os.fsync", noted)
    click(opened, 10, 10, 1)
    press(opened, "undo")
    opened.control.session.document.journal.wait()
    assert threads
    assert threading.main_thread() not in threads


def test_no_step_of_the_work_waits_for_the_disk(panel, scene, qtbot, tmp_path, monkeypatch):
    """From the image that is opened to the files that are saved."""
    from napari_disca.gui.toolkit.state_file import wait_until_written

    threads, real = [], os.fsync

    def noted(descriptor):
        threads.append(threading.current_thread())
        return real(descriptor)

    def idle():
        qtbot.wait(1)
        qtbot.waitUntil(lambda: not panel.control.busy, timeout=60_000)

    monkeypatch.setattr("os.fsync", noted)
    panel.start_panel.open_files([str(scene)])
    panel.segment()
    idle()
    panel.arm(1)
    panel.viewer.layers["Clicks"].add((40, 50))
    idle()
    panel.refine_panel.buttons["adapt"].click()
    idle()
    files = panel.files.session_files
    files.save_labels("disca", tmp_path / "map.tif")
    idle()
    for save, name in (
        (files.save_clicks, "clicks.gpkg"),
        (files.save_areas, "areas.geojson"),
        (files.save_strokes, "strokes.gpkg"),
        (files.save_review, "review.geojson"),
        (files.save_classes, "classes.qml"),
    ):
        save(tmp_path / name)
        assert (tmp_path / name).exists()
    panel.viewer.layers[TITLES["disca"]].save(str(tmp_path / "layer.tif"))
    panel.hints.lines["Map"].close_button.click()
    panel.control.session.document.journal.wait()
    wait_until_written()
    assert len(threads) > 10
    assert threading.main_thread() not in threads
