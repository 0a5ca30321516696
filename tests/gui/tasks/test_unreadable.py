"""Tiles that cannot be read are told of once, and tried again."""

from __future__ import annotations

from napari_disca.core.errors import RasterError
from windows import click

# -------------------------------------------------------------------- trouble


def test_a_bad_tile_is_told_once_and_tried_again(opened, monkeypatch):
    session = opened.control.session
    real, broken = session.raster.read, [True]

    def failing(window, bands=None):
        if broken[0] and window.top == 0 and window.left == 0:
            raise RasterError("scene.tif is damaged")
        return real(window, bands)

    monkeypatch.setattr(session.raster, "read", failing)
    click(opened, 10, 10, 1)
    assert session.unreadable
    assert 0 < session.map_state.up_to_date("disir") < 1
    assert [line for line in opened.said if "could not be computed" in line] == opened.said
    assert opened.control.unreadable.timer.isActive()
    opened.control.read_again()
    opened.idle()
    assert len(opened.said) == 1, "once is enough"
    broken[0] = False
    opened.control.read_again()
    opened.idle()
    assert session.map_state.up_to_date("disir") == 1.0
    assert not opened.control.unreadable.timer.isActive()
