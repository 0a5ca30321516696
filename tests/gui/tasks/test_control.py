"""What goes wrong in the window: one line, and the panel lives."""

from __future__ import annotations

import numpy as np
import torch

from napari_disca.core.errors import ExportError
from napari_disca.core.events import Note
from napari_disca.gui.toolkit.task_queue import Task


def test_a_vanished_image_is_one_line_and_the_clicks_stay(opened):
    scene = opened.scene
    scene.rename(scene.with_name("elsewhere.tif"))
    opened.control.session.document.click(40, 50, 1)
    opened.idle()
    assert len({line for line in opened.said if "does not exist any more" in line}) == 1
    assert len(opened.control.session.document.clicks) == 1
    scene.with_name("elsewhere.tif").rename(scene)
    opened.control.segment()
    opened.idle()
    assert opened.control.session.map_state.up_to_date("disir") == 1


def test_a_viewer_goes_on_drawing_a_vanished_image(opened, monkeypatch):
    errors: list[str] = []
    monkeypatch.setattr("napari.utils.notifications.show_error", errors.append)
    layer = opened.control.layers.image
    opened.scene.unlink()
    for _ in range(3):
        layer.refresh()
    pyramid = layer.metadata["napari_disca"]["pyramid"]
    if not isinstance(pyramid.levels[0], np.ndarray):
        assert not np.asarray(pyramid.levels[0][:5, :5]).any()
        assert len(errors) == 1


def test_a_full_disk_while_painting_stops_the_run_with_one_line(reused, monkeypatch):
    session = reused.control.session

    def full(*_: object) -> None:
        raise ExportError("no disk space for the map in /tmp: No space left on device; free some")

    with monkeypatch.context() as patch:
        patch.setattr(session.maps["disir"], "paint", full)
        session.document.click(40, 50, 1)
        reused.idle()
    assert [line for line in reused.said if "no disk space" in line] == [
        "no disk space for the map in /tmp: No space left on device; free some"
    ]
    reused.control.segment()
    reused.idle()
    assert session.map_state.up_to_date("disir") == 1


def test_what_a_job_has_to_say_is_said(reused):
    def job():
        yield Note("going on on the CPU")

    reused.control.submit(Task("map", reused.control.session, job))
    reused.idle()
    assert reused.said == ["going on on the CPU"]


def test_what_the_machine_lacks_is_one_line(reused, monkeypatch):
    errors = (
        (MemoryError(), "the memory is full"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), "the memory is full"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "memory is"),
        (OSError(28, "No space left on device", "/tmp/x"), "/tmp/x: No space left on device"),
    )
    for number, (error, line) in enumerate(errors):

        def fail(*_: object, error: Exception = error) -> None:
            raise error

        reused.said.clear()
        with monkeypatch.context() as patch:
            patch.setattr("napari_disca.inference.predict.Predictor.batch", fail)
            reused.control.session.document.click(
                140 + number, 50, 1
            )  # nobody has clicked there yet
            reused.idle()
        assert len(reused.said) == 1, line
        assert line in reused.said[0]
        reused.control.segment()
        reused.idle()
        assert reused.control.session.map_state.up_to_date("disir") == 1
