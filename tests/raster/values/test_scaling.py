"""The same scene in many storages gives the same map, whatever a few pixels say."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from builders import write_image
from field_scene import Field
from napari_disca.core.errors import CardError
from napari_disca.core.tiling import Window
from napari_disca.inference.network_view import NetworkView
from napari_disca.raster import Scaling, ValueScale, open_raster, quiet_opening
from napari_disca.raster.pyramid import ImagePyramid
from napari_disca.session.journal.journal_format import Header
from napari_disca.session.restore import header_of
from napari_disca.session.session import Session

#: Shares of clouds, which saturate the sensor.
CLOUDS = (0.0, 0.003, 0.03, 0.3)
HOLE = (slice(0, 154), slice(0, 128))
KNOWN = np.ones((256, 256), dtype=np.bool_)
KNOWN[HOLE] = False
Store = Callable[[NDArray[np.float64]], NDArray[Any]]

#: Storage -> how brightness from 0 to 1 is stored (1 is a white cloud), and a fill value.
STORAGES: dict[str, tuple[Store, float | None]] = {
    "uint8": (lambda x: np.rint(x * 255).astype(np.uint8), 0),
    "8 bits in 16": (lambda x: np.rint(x * 255).astype(np.uint16), 65535),
    "8 bits times 257": (lambda x: (np.rint(x * 255) * 257).astype(np.uint16), 0),
    "10 bits": (lambda x: np.rint(x * 1023).astype(np.uint16), 65535),
    "11 bits": (lambda x: np.rint(x * 2047).astype(np.int16), -9999),
    "12 bits": (lambda x: np.rint(x * 4095).astype(np.uint16), 0),
    "reflectance x 10 000": (lambda x: _reflectance(x, 10_000).astype(np.int16), -32768),
    "Landsat C2": (lambda x: np.rint((_reflectance(x) + 0.2) / 2.75e-5).astype(np.uint16), 0),
    "float 0 to 1": (lambda x: x.astype(np.float32), -3.4e38),
    "reflectance 0 to 0.35": (lambda x: _reflectance(x).astype(np.float32), -9999),
    "percent": (lambda x: (x * 100).astype(np.float32), 1e20),
    "linear decibel": (lambda x: (x * 30 - 25).astype(np.float32), -9999),
    "int8": (lambda x: (np.rint(x * 255) - 128).astype(np.int8), None),
}


def _reflectance(x: NDArray[np.float64], one: float = 1.0) -> NDArray[np.float64]:
    """Ground reflects up to 0.35, a cloud all."""
    return np.where(x >= 1, 1.0, np.minimum(x, 0.99) * 0.35) * one


def stored(image: NDArray[np.uint8], store: Store, cloud: float, fill: float | None) -> Any:
    """A scene in a storage, with clouds on some pixels and a hole on 30 %."""
    x = np.moveaxis(image, -1, 0) / 255.0
    rng = np.random.default_rng(1)
    x[:, rng.random(x.shape[1:]) < cloud / 2] = 1.0  # half of them scattered,
    side = round((cloud / 2 * x[0].size) ** 0.5)
    x[:, 200 : 200 + side, 150 : 150 + side] = 1.0  # half of them in one place
    values = store(x)
    if fill is not None:
        values[:, HOLE[0], HOLE[1]] = np.asarray(fill).astype(values.dtype)
    return values


@pytest.fixture(scope="session")
def of_bytes(field: Field) -> dict[float, float]:
    """What the map of the 8-bit scene agrees, per share of clouds."""
    byte = STORAGES["uint8"][0]
    return {
        cloud: field.agreement(field.predict(stored(field.image, byte, cloud, None))[0])
        for cloud in CLOUDS
    }


@pytest.fixture(scope="session")
def beside_a_hole(field: Field) -> float:
    """What the map of the 8-bit scene agrees beside a hole that is declared."""
    byte = np.moveaxis(field.image, -1, 0).astype(np.float32)
    byte[:, HOLE[0], HOLE[1]] = np.nan
    return field.agreement(field.predict(byte, scaling=Scaling("range", 0, 255))[0], KNOWN)


@pytest.mark.parametrize("name", STORAGES)
def test_the_map_is_the_same_in_every_storage(
    field: Field, of_bytes: dict[float, float], name: str
) -> None:
    assert of_bytes[0.0] > 0.75
    for cloud in CLOUDS:
        labels, view = field.predict(stored(field.image, STORAGES[name][0], cloud, None))
        assert field.agreement(labels) == pytest.approx(of_bytes[cloud], abs=0.02), (
            cloud,
            view.scale.text,
        )


@pytest.mark.parametrize("name", [name for name, (_, fill) in STORAGES.items() if fill is not None])
def test_a_fill_value_that_is_not_declared_decides_nothing(
    field: Field, beside_a_hole: float, name: str
) -> None:
    store, fill = STORAGES[name]
    labels, view = field.predict(stored(field.image, store, 0.0, fill))
    assert ((labels == 255) == ~KNOWN).all(), view.scale.text
    assert field.agreement(labels, KNOWN) == pytest.approx(beside_a_hole, abs=0.02)
    assert f"{fill:.6g} on 30 % of the pixels taken for no data" in view.scale.text
    # Clouds beside the hole are neither taken for it, nor do they hide it.
    clouded = open_raster(stored(field.image, store, 0.03, fill))
    view = NetworkView(clouded, field.network.card)
    assert (view.image_valid(Window.whole(clouded.shape)) == KNOWN).all(), view.scale.text


def tif(path: Path, pixels: NDArray[Any], *, scale: Any = None, **profile: Any) -> Path:
    """A TIFF of `(bands, h, w)` pixels, with scale and offset of its bands."""
    write_image(path, pixels, **profile)
    if scale is not None:
        with quiet_opening(), rasterio.open(path, "r+") as file:
            file.scales, file.offsets = zip(*scale, strict=True)
    return path


def test_a_photograph_of_bytes_is_divided_by_255(field: Field) -> None:
    view = NetworkView(open_raster(field.image), field.network.card)
    expected = np.moveaxis(field.image, -1, 0).astype(np.float32) * np.float32(1 / 255)
    np.testing.assert_array_equal(view.read(Window.whole(view.shape)), expected)
    assert view.scale.text == "values / 255"


def test_scale_and_offset_of_the_file_are_used(field: Field, tmp_path: Path) -> None:
    """Landsat's numbers, and bands that have different ones."""
    x = np.moveaxis(field.image, -1, 0) / 255.0 * 0.35
    landsat = np.rint((x + 0.2) / 2.75e-5).astype(np.uint16)
    mixed = np.stack([x[0] * 20_000, x[1] * 10_000, x[2] * 5_000 + 300]).astype(np.uint16)
    expected = field.agreement(field.predict(field.image)[0])
    for pixels, scale in (
        (landsat, [(2.75e-5, -0.2)] * 3),
        (mixed, [(1 / 20_000, 0.0), (1e-4, 0.0), (1 / 5_000, -0.06)]),
    ):
        labels, view = field.predict(tif(tmp_path / f"{len(set(scale))}.tif", pixels, scale=scale))
        assert field.agreement(labels) == pytest.approx(expected, abs=0.02)
        assert "as the file says" in view.scale.text or "file's scale" in view.scale.text


@pytest.mark.parametrize("bits", [8, 16, 12])
def test_where_0_is_white_values_are_inverted_and_it_is_said(
    field: Field, tmp_path: Path, bits: int
) -> None:
    top = 2**bits - 1
    grey = np.rint(field.image.mean(axis=2) / 255 * top)
    kind = np.uint8 if bits == 8 else np.uint16
    options = {"nbits": bits} if bits == 12 else {}
    white = tif(
        tmp_path / "a.tif", (top - grey)[None].astype(kind), photometric="MINISWHITE", **options
    )
    upright, _ = field.predict(tif(tmp_path / "b.tif", grey[None].astype(kind), **options))
    labels, view = field.predict(white)
    assert (labels == upright).mean() > 0.999
    assert "MinIsWhite" in view.describe()


@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_where_the_least_is_white_signed_and_real_numbers_are_inverted(
    field: Field, tmp_path: Path, kind: type
) -> None:
    grey = field.image.mean(axis=2)[None] * 14
    upright, _ = field.predict(grey.astype(np.int16))
    values = (-grey).astype(kind)
    white, view = field.predict(tif(tmp_path / "a.tif", values, photometric="MINISWHITE"))
    assert field.agreement(white) == pytest.approx(field.agreement(upright), abs=0.02)
    assert "MinIsWhite" in view.describe()


def test_hot_pixels_do_not_decide(field: Field) -> None:
    byte = np.moveaxis(field.image, -1, 0)
    hot = byte.astype(np.uint16) * 8
    rng = np.random.default_rng(3)
    hot[:, rng.random(hot.shape[1:]) < 0.001] = 65535
    assert field.agreement(field.predict(hot)[0]) == pytest.approx(
        field.agreement(field.predict(byte)[0]), abs=0.02
    )


def test_near_infrared_does_not_darken_the_colours(field: Field) -> None:
    card = field.network.card
    names = ("red", "green", "blue", "nir")
    four = replace(card, bands=names, mean=(*card.mean, 0.5), std=(*card.std, 0.25))
    colours = np.moveaxis(field.image, -1, 0) / 255.0 * 0.3
    nir = np.full((1, *colours.shape[1:]), 0.6) + colours[:1] / 3
    pixels = np.concatenate([colours, nir]).astype(np.float32)
    view = NetworkView(open_raster(pixels), four)
    read = view.read(Window.whole(view.shape))
    assert np.percentile(read[:3], 90) == pytest.approx(0.75, abs=0.05)
    assert np.percentile(read[3], 90) < 1


def test_water_alone_stays_dark(field: Field) -> None:
    rng = np.random.default_rng(0)
    water = (0.02 + 0.01 * rng.random((3, 64, 64))).astype(np.float32)
    read = NetworkView(open_raster(water), field.network.card).read(Window(0, 0, 64, 64))
    assert read.max() < 0.2


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_a_third_of_clouds_changes_no_other_value(field: Field, noise: float) -> None:
    """Be they exactly saturated, or compressed or resampled since."""
    for name in ("reflectance x 10 000", "Landsat C2", "reflectance 0 to 0.35", "linear decibel"):
        store = STORAGES[name][0]
        clear = NetworkView(open_raster(stored(field.image, store, 0, None)), field.network.card)
        values = stored(field.image, store, 0.35, None)
        clouded = stored(field.image, lambda x: x, 0.35, None) >= 1
        grain = np.random.default_rng(0).normal(0, noise, values.shape)
        values = np.where(clouded, values * (1 - np.abs(grain)), values).astype(values.dtype)
        view = NetworkView(open_raster(values), field.network.card)
        np.testing.assert_allclose(view.scale.high, clear.scale.high, rtol=0.02, err_msg=name)


def test_saturated_clouds_are_no_fill_value(field: Field) -> None:
    """Saturated pixels are exact and extreme as well; they have data."""
    for name in ("8 bits in 16", "12 bits", "reflectance x 10 000", "percent", "Landsat C2"):
        raster = open_raster(stored(field.image, STORAGES[name][0], 0.1, None))
        view = NetworkView(raster, field.network.card)
        assert view.image_valid(Window.whole(raster.shape)).all(), name


@pytest.mark.parametrize("fill", [-1, -32768, 32767, 65535, -9999, 1e20, -3.4e38, 0])
def test_fill_values_in_one_band_only(field: Field, fill: float) -> None:
    """What one band lacks, the network cannot read."""
    pixels = np.moveaxis(field.image, -1, 0).astype(np.float32) * 40 + 1000
    pixels[1, :154, :128] = fill
    view = NetworkView(open_raster(pixels), field.network.card)
    np.testing.assert_array_equal(view.image_valid(Window(0, 0, 256, 256)), KNOWN)


def test_the_eye_sees_what_the_network_reads(field: Field) -> None:
    for name in ("12 bits", "reflectance 0 to 0.35", "Landsat C2", "int8"):
        raster = open_raster(stored(field.image, STORAGES[name][0], 0.003, None))
        view = NetworkView(raster, field.network.card)
        shown = np.asarray(ImagePyramid(raster).levels[0]) / 255
        read = np.moveaxis(view.read(Window.whole(view.shape)), 0, -1)
        np.testing.assert_allclose(shown, read, atol=0.0021)


def test_the_journal_keeps_the_numbers(field: Field) -> None:
    pixels = stored(field.image, STORAGES["reflectance 0 to 0.35"][0], 0.03, -9999)
    session = Session(open_raster(pixels), field.network, scaling=Scaling("range", 0.0, 0.4))
    written = json.loads(json.dumps(header_of(session, "landcover-5").to_json()))
    again = Header.from_json(written)
    assert again.scaling == session.network_view.scale
    other = Session(open_raster(pixels), field.network, scaling=again.scaling)
    window = Window(0, 0, 256, 256)
    np.testing.assert_array_equal(
        other.network_view.read(window), session.network_view.read(window)
    )
    assert other.network_view.scale.text == session.network_view.scale.text
    # A journal that does not say is one of before.
    del written["scaling"]
    assert Header.from_json(written).scaling is None


@pytest.mark.parametrize("text", ["", "bright", "range", "5:1", "a:b", "1:1", "nan:2"])
def test_a_scaling_that_is_none_is_one_clear_line(text: str) -> None:
    with pytest.raises(CardError) as caught:
        Scaling.parse(text)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"low": [0], "high": [0], "fill": [None], "text": ""},
        {"low": [0], "high": [1, 2], "fill": [None], "text": ""},
        {"low": ["0"], "high": [1], "fill": [None], "text": ""},
        {"low": [0], "high": [None], "fill": [None], "text": ""},
    ],
)
def test_a_damaged_scaling_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="scaling"):
        ValueScale.from_json(value)
