"""Clicks from elsewhere: which column says the class is asked where it is not plain."""

from __future__ import annotations

import pytest

from napari_disca.gui.window import dialogs, file_verbs


@pytest.fixture
def table(tmp_path):
    """Points with the land of two years; the scene has pixels of 1 m."""

    def write(raster, columns):
        path = tmp_path / "points.csv"
        rows = [",".join(["x", "y", *columns])]
        for row, col, values in (
            (20, 30, ("roof", "green", "1")),
            (40, 50, ("street", "roof", "2")),
        ):
            # By hand: affine's `*` is deprecated, and its `@` is younger than our lower bound.
            place = raster.transform
            x, y = place.c + place.a * (col + 0.5), place.f + place.e * (row + 0.5)
            rows.append(",".join([f"{x}", f"{y}", *values[: len(columns)]]))
        path.write_text("\n".join(rows) + "\n")
        return path

    return write


def load(opened, monkeypatch, path, answer):
    """Press *Load clicks…*; what was asked."""
    asked = []

    def item(_parent, _title, text, items, at, _editable):
        asked.append((text, items, items[at]))
        return (answer or items[at], answer != "")

    monkeypatch.setattr(file_verbs, "file_to_load", lambda *_: path)
    monkeypatch.setattr(dialogs.QInputDialog, "getItem", item)
    opened.panel.refine_panel.buttons["load_clicks"].click()
    opened.idle()
    return asked


def labels(opened):
    return [(c.row, c.col, c.label) for c in opened.control.session.document.clicks]


def test_the_column_is_asked_and_read(opened, monkeypatch, table):
    raster = opened.control.session.raster
    path = table(raster, ("before", "after", "code"))
    asked = load(opened, monkeypatch, path, "")
    assert labels(opened) == [], "who thinks better of it has loaded nothing"
    assert asked[0][0] == "Column of points.csv that holds the class, by name or by number:"
    assert {"before", "after", "code"} <= {*asked[0][1]}
    load(opened, monkeypatch, path, "after")
    assert labels(opened) == [(20, 30, 2), (40, 50, 0)]
    opened.panel.refine_panel.buttons["undo"].click()
    opened.idle()
    load(opened, monkeypatch, path, "code")
    assert labels(opened) == [(20, 30, 1), (40, 50, 2)]


def test_our_own_files_are_not_asked_about(opened, monkeypatch, tmp_path):
    opened.panel.arm(1)
    opened.viewer.layers["Clicks"].add((70, 80))
    opened.idle()
    opened.panel.files.session_files.save_clicks(tmp_path / "mine.geojson")
    opened.panel.refine_panel.buttons["undo"].click()
    opened.idle()
    assert load(opened, monkeypatch, tmp_path / "mine.geojson", "") == []
    assert labels(opened) == [(70, 80, 1)]
