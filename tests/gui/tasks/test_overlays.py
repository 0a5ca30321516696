"""Vectors over the image, in the window."""

from __future__ import annotations

import json

import numpy as np
import pytest
from napari.layers import Vectors
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent
from rasterio.crs import CRS
from rasterio.warp import transform

from napari_disca.gui.tasks.overlays import frame_of, overlays_of
from napari_disca.gui.viewer.layers.overlay_layer import overlay_of

pytest.importorskip("pyogrio")


def line(frame, pixels, epsg=4326):
    """A line between pixels of an image, in another CRS."""
    places = [frame.position(row - 0.5, col - 0.5) for row, col in pixels]
    xs, ys = transform(frame.crs, f"EPSG:{epsg}", *zip(*places, strict=True))
    return {"type": "LineString", "coordinates": [list(p) for p in zip(xs, ys, strict=True)]}


def geojson(path, shapes, **members):
    features = [
        {"type": "Feature", "properties": {"name": f"road {k}", "lanes": k}, "geometry": shape}
        for k, shape in enumerate(shapes)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", **members, "features": features}))
    return path


@pytest.fixture
def notifications(monkeypatch):
    said: list[str] = []
    monkeypatch.setattr("napari_disca.gui.tasks.overlays.show_info", said.append)
    monkeypatch.setattr("napari_disca.gui.toolkit.error_messages.show_error", said.append)
    return said


def vectors(viewer):
    return [layer for layer in viewer.layers if isinstance(layer, Vectors)]


def drop(viewer, path):
    """Drop a file on the window, as a file manager does."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    window = viewer.window._qt_viewer
    event = QDropEvent(
        QPointF(50, 50),
        Qt.DropAction.CopyAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    window.dropEvent(event)


def test_a_dropped_file_lies_where_it_belongs(opened, notifications, qtbot, tmp_path):
    viewer, layers = opened.viewer, opened.control.layers
    frame = frame_of(layers.image)
    before = viewer.layers.selection.active
    clicks = len(opened.control.session.document.clicks)
    roads = geojson(
        tmp_path / "roads.geojson",
        [line(frame, [(20, 20), (20, 200), (250, 200)]), None, line(frame, [(900, 0), (900, 9)])],
    )
    drop(viewer, roads)
    qtbot.waitUntil(lambda: bool(vectors(viewer)), timeout=60_000)
    (layer,) = vectors(viewer)
    assert notifications == [
        "roads.geojson: 1 of 3 features lie on scene; converted from longitude and latitude to the "
        "image's CRS. They are only shown: they are no clicks and do not change the map"
    ]

    # In pixels, whose centres are integers, and over the image in the world.
    overlay = overlay_of(layer)
    drawn, complete = overlay.lines.in_view((-1e9, -1e9), (1e9, 1e9), 1.0)
    assert complete
    np.testing.assert_allclose(drawn[0, 0], (19.5, 19.5), atol=0.05)
    np.testing.assert_allclose(drawn.sum(axis=1)[-1], (249.5, 199.5), atol=0.05)
    np.testing.assert_allclose(
        layer.data_to_world((3.0, 4.0)), layers.image.data_to_world((3.0, 4.0))
    )
    # Nobody edits it by accident, and the next click is still a click.
    assert not layer.editable
    assert viewer.layers.selection.active is before
    assert len(opened.control.session.document.clicks) == clicks
    names = [other.name for other in viewer.layers]
    assert names.index("roads") < names.index("Clicks")
    assert names.index("roads") > max(viewer.layers.index(m) for m in layers.maps.values())

    # What is known of it is told under the pointer, near the line only.
    cursor = opened.panel.viewer_controls.cursor
    on_it = cursor.read(layers.image.data_to_world((20.0, 100.0)))
    assert on_it.overlay == "roads: name road 0, lanes 0"
    assert on_it.line.startswith("roads: name road 0")
    assert not cursor.read(layers.image.data_to_world((120.0, 100.0))).overlay
    layer.visible = False
    assert not cursor.read(layers.image.data_to_world((20.0, 100.0))).overlay

    # It goes with its image.
    viewer.layers.remove(layers.image)
    qtbot.waitUntil(lambda: not vectors(viewer), timeout=10_000)


def test_lines_are_as_wide_on_screen_at_any_zoom(panel, scene, notifications, qtbot, tmp_path):
    viewer = panel.viewer
    (image,) = viewer.open(str(scene), plugin="napari-disca")
    frame = frame_of(image)
    polygon = line(frame, [(100, 100), (100, 140), (140, 140), (100, 100)])
    shapes = [
        {"type": "Polygon", "coordinates": [polygon["coordinates"]]},
        {"type": "Point", "coordinates": line(frame, [(30, 40)])["coordinates"][0]},
    ]
    assert viewer.open(str(geojson(tmp_path / "a.geojson", shapes)), plugin="napari-disca") == []
    qtbot.waitUntil(lambda: bool(vectors(viewer)), timeout=60_000)
    (layer,) = vectors(viewer)
    assert len(layer.data) == 3 + 4  # the sign of the point has four sides
    color, width, zoom = layer.edge_color[0], layer.edge_width, viewer.scene.camera.zoom
    viewer.scene.camera.zoom = 8 * zoom
    viewer.scene.camera.center = image.data_to_world((120.0, 120.0))
    qtbot.waitUntil(lambda: layer.edge_width == pytest.approx(width / 8), timeout=10_000)
    assert len(layer.data) == 3  # the point is far out of view
    # Out of sight of all of them, and back: the colour is kept, also one that the user gave.
    layer.edge_color = "red"
    viewer.scene.camera.center = image.data_to_world((5.0, 250.0))
    qtbot.waitUntil(lambda: len(layer.data) == 1, timeout=10_000)
    viewer.scene.camera.center = image.data_to_world((120.0, 120.0))
    qtbot.waitUntil(lambda: len(layer.data) == 3, timeout=10_000)
    np.testing.assert_allclose(layer.edge_color, [(1, 0, 0, 1)] * 3)
    assert not np.allclose(color, (1, 0, 0, 1))
    assert not layer.editable

    # Inside a polygon its feature is told; where it is moved it is put back.
    cursor = panel.viewer_controls.cursor
    assert cursor.read(image.data_to_world((115.0, 130.0))).overlay == "a: name road 0, lanes 0"
    assert not cursor.read(image.data_to_world((130.0, 110.0))).overlay
    layer.translate = (500, 500)
    qtbot.waitUntil(
        lambda: np.allclose(layer.data_to_world((0, 0)), image.data_to_world((0, 0))),
        timeout=10_000,
    )


def test_a_file_waits_for_an_image(panel, scene, notifications, qtbot, tmp_path):
    from napari_disca.raster import open_raster
    from napari_disca.raster.georeference import Frame

    viewer = panel.viewer
    with open_raster(scene) as raster:
        frame = Frame.of(raster)
    path = geojson(tmp_path / "roads.geojson", [line(frame, [(20, 20), (20, 200)])])
    viewer.open(str(path), plugin="napari-disca")
    assert notifications == ["roads.geojson is shown over the image as soon as one is open"]
    assert not len(viewer.layers)
    viewer.open(str(scene), plugin="napari-disca")
    qtbot.waitUntil(lambda: bool(vectors(viewer)), timeout=60_000)


def test_the_button_lays_several_files_over_and_tells_what_is_wrong(
    panel, scene, notifications, qtbot, tmp_path, monkeypatch
):
    from pyogrio.raw import write

    viewer = panel.viewer
    (image,) = viewer.open(str(scene), plugin="napari-disca")
    frame = frame_of(image)
    geojson(tmp_path / "good.json", [line(frame, [(20, 20), (20, 200)])])
    (tmp_path / "bad.geojson").write_text('{"type": "Feature')
    coordinates = line(frame, [(50, 20), (50, 200)], 3857)["coordinates"]
    write(
        tmp_path / "plots.gpkg",
        np.array(
            [
                b"\x01"
                + np.array([2, len(coordinates)], "<u4").tobytes()
                + np.array(coordinates, "<f8").tobytes()
            ],
            dtype=object,
        ),
        [],
        [],
        geometry_type="LineString",
        crs="EPSG:3857",
        driver="GPKG",
    )
    chosen = [str(tmp_path / name) for name in ("bad.geojson", "plots.gpkg", "good.json")]
    monkeypatch.setattr(
        "napari_disca.gui.window.dialogs.QFileDialog.getOpenFileNames", lambda *_: (chosen, "")
    )
    panel.view_buttons["overlay"].click()
    qtbot.waitUntil(lambda: len(vectors(viewer)) == 2, timeout=60_000)
    assert {layer.name for layer in vectors(viewer)} == {"good", "plots"}
    colours = {tuple(layer.edge_color[0]) for layer in vectors(viewer)}
    assert len(colours) == 2
    (plots,) = (layer for layer in vectors(viewer) if layer.name == "plots")
    np.testing.assert_allclose(plots.data[0, 0], (49.5, 19.5), atol=0.05)
    assert any(words.startswith("bad.geojson: cannot be read") for words in notifications)
    assert any("converted from EPSG:3857" in words for words in notifications)


def test_an_image_without_georeference_says_so(panel, notifications, qtbot, tmp_path):
    viewer = panel.viewer
    image = viewer.add_image(np.zeros((60, 80, 3), np.uint8), rgb=True, name="photo")
    frame = frame_of(image)
    assert frame.transform is None
    roads = {"type": "LineString", "coordinates": [[85.5, 27.6], [85.6, 27.7]]}
    overlays_of(viewer).open([geojson(tmp_path / "roads.geojson", [roads])])
    qtbot.waitUntil(lambda: bool(notifications), timeout=60_000)
    assert "roads.geojson: " in notifications[0]
    assert "the image has no georeference" in notifications[0]
    assert not vectors(viewer)


def test_many_lines_are_read_aside_and_drawn_no_finer_than_the_screen(
    panel, scene, notifications, qtbot, tmp_path
):
    viewer = panel.viewer
    (image,) = viewer.open(str(scene), plugin="napari-disca")
    frame = frame_of(image)
    rng = np.random.default_rng(0)
    x, y = frame.bounds[0], frame.bounds[3]
    starts = rng.random((3000, 2)) * (260, -300) + (x, y)
    steps = np.cumsum(rng.normal(size=(3000, 30, 2)) / 20, axis=1)
    shapes = [
        {"type": "LineString", "coordinates": np.round(start + walk, 3).tolist()}
        for start, walk in zip(starts, steps, strict=True)
    ]
    crs = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{_code(frame.crs)}"}}
    overlays_of(viewer).open([geojson(tmp_path / "many.geojson", shapes, crs=crs)])
    qtbot.waitUntil(lambda: bool(vectors(viewer)), timeout=60_000)
    (layer,) = vectors(viewer)
    lines = overlay_of(layer).lines
    viewer.reset_view()
    qtbot.wait(1)
    overlay_of(layer).draw()
    assert 1000 <= len(layer.data) <= 20_000 < lines.layer.segments().size
    # Zoomed in, every corner is there.
    viewer.scene.camera.zoom *= 30
    qtbot.waitUntil(lambda: len(layer.data) < 3000, timeout=10_000)
    assert overlay_of(layer).complete


def _code(crs: CRS) -> str:
    return crs.to_authority()[1]
