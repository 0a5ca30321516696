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
    opened.control.session.click(40, 50, 1)
    opened.idle()
    assert len({line for line in opened.said if "does not exist any more" in line}) == 1
    assert len(opened.control.session.clicks) == 1
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


def test_a_full_disk_while_painting_stops_the_run_with_one_line(kept, monkeypatch):
    session = kept.control.session

    def full(*_: object) -> None:
        raise ExportError("no disk space for the map in /tmp: No space left on device; free some")

    with monkeypatch.context() as patch:
        patch.setattr(session.maps["disir"], "paint", full)
        session.click(40, 50, 1)
        kept.idle()
    assert [line for line in kept.said if "no disk space" in line] == [
        "no disk space for the map in /tmp: No space left on device; free some"
    ]
    kept.control.segment()
    kept.idle()
    assert session.map_state.up_to_date("disir") == 1


def test_what_a_job_has_to_say_is_said(kept):
    def job():
        yield Note("going on on the CPU")

    kept.control.submit(Task("map", kept.control.session, job))
    kept.idle()
    assert kept.said == ["going on on the CPU"]


def test_what_the_machine_lacks_is_one_line(kept, monkeypatch):
    errors = (
        (MemoryError(), "the memory is full"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), "the memory is full"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "memory is"),
        (OSError(28, "No space left on device", "/tmp/x"), "/tmp/x: No space left on device"),
    )
    for number, (error, line) in enumerate(errors):

        def fail(*_: object, error: Exception = error) -> None:
            raise error

        kept.said.clear()
        with monkeypatch.context() as patch:
            patch.setattr("napari_disca.inference.predict.Predictor.batch", fail)
            kept.control.session.click(140 + number, 50, 1)  # nobody has clicked there yet
            kept.idle()
        assert len(kept.said) == 1, line
        assert line in kept.said[0]
        kept.control.segment()
        kept.idle()
        assert kept.control.session.map_state.up_to_date("disir") == 1
