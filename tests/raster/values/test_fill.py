"""Several undeclared fill values in one image, and undeclared borders of 8 and 16 bits."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from field_scene import Field
from napari_disca.core.tiling import Window
from napari_disca.evaluation.raster_subset import RasterSubset
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.reading import Reading
from napari_disca.raster import ArrayRaster, ValueScale, open_raster
from napari_disca.session.journal.journal_format import Header
from napari_disca.session.restore import header_of
from napari_disca.session.session import Session

TOP, HOLE = (slice(0, 60), slice(0, 256)), (slice(100, 180), slice(90, 200))
WHOLE = Window(0, 0, 256, 256)


def scene(field: Field, factor: float, offset: float, kind: type) -> NDArray[Any]:
    return (np.moveaxis(field.image, -1, 0).astype(np.float64) * factor + offset).astype(kind)


@pytest.mark.parametrize(
    ("factor", "offset", "kind", "fills"),
    [
        (12, 300, np.int32, (-9999, 65535)),
        (12, 300, np.uint16, (0, 32767)),
        (12, 300, np.int16, (-32768, 32767)),
        (0.0012, 0.01, np.float32, (-9999, 1e20)),
        (0.0012, 0.01, np.float32, (-3.4e38, -9999)),
        (12, 300, np.int16, (-9999, 0)),
        (1, 0, np.float32, (-1, 65535)),
        (12, 4000, np.uint16, (0, 65535)),
    ],
)
def test_two_fill_values_in_one_image(
    field: Field, factor: float, offset: float, kind: type, fills: tuple[float, float]
) -> None:
    pixels = scene(field, factor, offset, kind)
    clean = NetworkView(open_raster(pixels.copy()), field.network.card)
    valid = np.ones((256, 256), dtype=np.bool_)
    for fill, where in zip(fills, (TOP, HOLE), strict=True):
        pixels[:, where[0], where[1]] = fill
        valid[where] = False
    view = NetworkView(open_raster(pixels), field.network.card)
    np.testing.assert_array_equal(view.image_valid(WHOLE), valid, view.scale.text)
    assert f"{fills[0]:.6g} and {fills[1]:.6g} on 37 % of the pixels" in view.scale.text
    # They decide nothing: the rest is scaled as without them.
    difference = np.abs(view.read(WHOLE) - clean.read(WHOLE))[:, valid]
    assert difference.max() < 0.12, (view.scale.text, clean.scale.text)


def test_three_fill_values_and_other_ones_in_another_band(field: Field) -> None:
    pixels = scene(field, 0.0012, 0.01, np.float32)
    pixels[0, :30], pixels[0, 30:60], pixels[0, 60:80] = -9999, -32768, 1e20
    pixels[2, 200:] = -1
    view = NetworkView(open_raster(pixels), field.network.card)
    valid = np.ones((256, 256), dtype=np.bool_)
    valid[:80], valid[200:] = False, False
    np.testing.assert_array_equal(view.image_valid(WHOLE), valid)
    assert "-32768, -9999, -1 and 1e+20 on" in view.scale.text


@pytest.mark.parametrize(
    ("factor", "kind", "black", "white"),
    [(1, np.uint8, 0, 255), (257, np.uint16, 0, 65535), (16, np.uint16, 0, 4080)],
)
def test_black_and_white_borders(
    field: Field, factor: float, kind: type, black: int, white: int
) -> None:
    """A rotated image: two corners are black, two are white."""
    pixels = scene(field, factor, 0, kind)
    down, across = np.mgrid[:256, :256]
    dark = (down + across < 90) | (down + across > 420)
    bright = (down - across > 170) | (across - down > 170)
    pixels[:, dark], pixels[:, bright] = black, white
    view = NetworkView(open_raster(pixels), field.network.card)
    np.testing.assert_array_equal(view.image_valid(WHOLE), ~(dark | bright), view.scale.text)
    assert f"{black} and {white} on " in view.scale.text


@pytest.mark.parametrize(
    ("factor", "kind", "white"),
    [(1, np.uint8, 255), (1, np.uint16, 255), (257, np.uint16, 65535), (39, np.int16, 10000)],
)
@pytest.mark.parametrize("bands", [1, 3, 4])
def test_a_white_border_is_no_data_and_white_roofs_are(
    field: Field, factor: float, kind: type, white: int, bands: int
) -> None:
    pixels = scene(field, factor, 0, kind)
    pixels = np.concatenate([pixels, pixels[:1]])[:bands]
    valid = np.ones((256, 256), dtype=np.bool_)
    pixels[:, :, :70], valid[:, :70] = white, False
    pixels[:, 100:130, 150:190] = white
    names = ("red", "green", "blue") if bands > 1 else ("gray",)
    raster = ArrayRaster(pixels, bands_axis="first")
    raster.color_interp = (*names, "undefined")[:bands]
    view = NetworkView(raster, field.network.card)
    np.testing.assert_array_equal(view.image_valid(WHOLE), valid, view.scale.text)
    assert f"{white} on 27 % of the pixels taken for no data" in view.scale.text
    assert f"({white} only at the image's edge)" in view.scale.text
    with_border = Reading(find_fill=False).view(raster, field.network.card)
    assert with_border.image_valid(WHOLE).all()
    assert f"{white} on 27 % of the pixels taken for data, as was chosen" in with_border.scale.text


@pytest.mark.parametrize("black", [None, 0])
@pytest.mark.parametrize(("factor", "kind", "white"), [(1, np.uint8, 255), (257, np.uint16, 65535)])
def test_white_blocks_inside_are_no_data(
    field: Field, factor: float, kind: type, white: int, black: int | None
) -> None:
    """Tiles that are missing, alone and beside a black border."""
    pixels = scene(field, factor, 0, kind)
    valid = np.ones((256, 256), dtype=np.bool_)
    for rows, cols in (((64, 128), (96, 192)), ((128, 160), (96, 128)), ((180, 220), (0, 64))):
        valid[rows[0] : rows[1], cols[0] : cols[1]] = False
    pixels[:, ~valid] = white
    if black is not None:
        pixels[:, :40], valid[:40] = black, False
    view = NetworkView(open_raster(pixels), field.network.card)
    np.testing.assert_array_equal(view.image_valid(WHOLE), valid, view.scale.text)
    assert f"({white} only in whole blocks)" in view.scale.text


def test_clouds_are_no_border(field: Field) -> None:
    """At an edge, over a corner with soft ends, over all of the image, or scattered."""
    rng = np.random.default_rng(4)
    down, across = np.mgrid[:256, :256]
    clear = scene(field, 1, 0, np.uint8)
    edge, scattered = clear.copy(), clear.copy()
    edge[:, np.hypot(down - 255, across - 130) < 70] = 255
    scattered[:, rng.random((256, 256)) < 0.4] = 255
    cloud = 420 - 2.2 * np.hypot(down, across) + 8 * rng.standard_normal((256, 256))
    soft = np.maximum(clear, cloud.clip(0, 255)).astype(np.uint8)
    assert (soft == 255).all(axis=0)[0, 0]
    disc = clear.copy()
    disc[:, np.hypot(down - 120, across - 130) < 50] = 255
    for pixels in (edge, scattered, soft, disc):
        view = NetworkView(open_raster(pixels), field.network.card)
        assert view.image_valid(WHOLE).all(), view.scale.text


def test_the_border_of_a_large_image(field: Field) -> None:
    """Of which small windows are looked at first."""
    pixels = np.tile(scene(field, 1, 0, np.uint8), (1, 17, 18))
    pixels[:, :, 3000:] = 255
    raster = ArrayRaster(pixels, bands_axis="first")
    view = NetworkView(raster, field.network.card)
    window = Window(2000, 2900, 64, 300)
    expected = np.broadcast_to(np.arange(2900, 3200) < 3000, (64, 300))
    np.testing.assert_array_equal(view.image_valid(window), expected)


def test_the_border_of_a_part_that_is_measured(field: Field) -> None:
    pixels = scene(field, 1, 0, np.uint8)
    pixels[:, :, :70] = 255
    pixels[:, 120:140, 100:130] = 255
    part = RasterSubset(ArrayRaster(pixels, bands_axis="first"), Window(64, 50, 96, 96))
    view = NetworkView(part, field.network.card)
    expected = np.broadcast_to(np.arange(50, 146) >= 70, (96, 96))
    np.testing.assert_array_equal(view.image_valid(Window(0, 0, 96, 96)), expected)


def test_values_that_are_given_are_no_data_and_no_others(field: Field) -> None:
    pixels = scene(field, 12, 300, np.int32)
    pixels[:, TOP[0]], pixels[:, HOLE[0], HOLE[1]] = -9999, 1234
    view = Reading(find_fill=(1234.0, 77777.0)).view(open_raster(pixels), field.network.card)
    missing = (pixels == 1234).any(axis=0)
    np.testing.assert_array_equal(view.image_valid(WHOLE), ~missing)
    assert "taken for no data" in view.scale.text
    assert Reading.of(view) == Reading(find_fill=(1234.0, 77777.0))


def test_the_journal_keeps_all_of_them(field: Field) -> None:
    pixels = scene(field, 1, 0, np.uint8).astype(np.int16)
    pixels[:, :40], pixels[0, 200:], pixels[2, 200:] = 255, -9999, -32768
    for find in (True, (255.0, -9999.0, -32768.0)):
        session = Session(open_raster(pixels), field.network, find_fill=find)
        written = json.loads(json.dumps(header_of(session, "landcover-5").to_json()))
        again = Header.from_json(written)
        assert again.scaling == session.network_view.scale
        assert again.scaling is not None
        assert again.scaling.find_fill == find
        other = Session(open_raster(pixels), field.network, scaling=again.scaling)
        expected = session.network_view.image_valid(WHOLE)
        assert 0.6 < expected.mean() < 0.65
        np.testing.assert_array_equal(other.network_view.image_valid(WHOLE), expected)


def test_a_journal_of_one_value_per_band_is_read() -> None:
    old = {"low": [0, 0], "high": [9, 9], "fill": [None, -9999], "text": "as before"}
    scale = ValueScale.from_json(old)
    pixels = np.full((2, 4, 4), -9999, np.int16)
    pixels[1, :2] = 5
    valid = np.ones((4, 4), dtype=np.bool_)
    scale.leave_out(pixels, valid, Window(0, 0, 4, 4), ArrayRaster(pixels, bands_axis="first"))
    assert valid[:2].all()
    assert not valid[2:].any()


@pytest.mark.parametrize(
    "change",
    [
        {"fill": [[None]]},
        {"fill": [["0"]]},
        {"fill": [[1e308]]},
        {"fill": [[10**400]]},
        {"low": [-(10**400)]},
        {"borders": [{"colour": [0], "shape": [9, 10**40], "grid": [3, 3], "cells": "eJw="}]},
        {"joint_fill": [[0, 0]]},
        {"joint_fill": 3},
        {"borders": [7]},
        {"borders": [{"colour": [0], "shape": [9, 9], "grid": [9, 999], "cells": ""}]},
        {"borders": [{"colour": [0], "shape": [9, 9], "grid": [3, 3], "cells": "%%"}]},
        {"borders": [{"colour": [0], "shape": [9, 9], "grid": [3, 3], "cells": "eJwDAAAAAAE="}]},
    ],
)
def test_damaged_fill_values_are_refused(change: dict[str, Any]) -> None:
    table = {"low": [0], "high": [1], "fill": [None], "text": "", **change}
    with pytest.raises(ValueError, match="scaling"):
        ValueScale.from_json(table)
