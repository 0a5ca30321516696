"""Which band is which: colours, descriptions, sensors' names, wavelengths; stacks are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from builders import make_card, write_image
from napari_disca.core.errors import RasterError
from napari_disca.inference.network_view import NetworkView
from napari_disca.raster import open_raster, quiet_opening
from napari_disca.raster.bands import band_title

RGBN = ("red", "green", "blue", "nir")


def described(
    path: Path,
    names: list[str],
    tags: list[dict[str, str]] | None = None,
    kind: str = "uint8",
) -> Path:
    pixels = np.random.default_rng(0).integers(1, 255, (len(names), 20, 30)).astype(kind)
    write_image(path, pixels, names=names)
    if tags:
        with quiet_opening(), rasterio.open(path, "r+") as file:
            for band, about in enumerate(tags, start=1):
                file.update_tags(band, **about)
    return path


def bands_of(path: Path, names: tuple[str, ...]) -> tuple[int, ...]:
    card = make_card(bands=names, mean=(0.4,) * len(names), std=(0.25,) * len(names))
    return NetworkView(open_raster(path), card).bands


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["B02", "B03", "B04", "B08"], (3, 2, 1, 4)),
        (["B2", "B3", "B4", "B8", "B8A", "B11"], (3, 2, 1, 4)),
        (
            ["B4, central wavelength 665 nm", "B3 (560 nm)", "B2 (490 nm)", "B8 (842 nm)"],
            (1, 2, 3, 4),
        ),
        (["SR_B2", "SR_B3", "SR_B4", "SR_B5"], (3, 2, 1, 4)),
        (["SR_B1", "SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B7"], (3, 2, 1, 4)),
        (["B1", "B2", "B3", "B4", "B5", "B6", "B7"], (4, 3, 2, 5)),
        (["blue", "green", "red", "nir"], (3, 2, 1, 4)),
        (
            ["coastal_blue", "blue", "green_i", "green", "yellow", "red", "rededge", "nir"],
            (6, 4, 2, 8),
        ),
        (["Red", "Green", "Blue", "NIR"], (1, 2, 3, 4)),
        (["R", "G", "B", "N"], (1, 2, 3, 4)),
        (["Blue-475", "Green-560", "Red-668", "Red edge-717", "NIR-842"], (3, 2, 1, 5)),
        (
            ["Band 1 (0.49 um)", "Band 2 (0.56 um)", "Band 3 (0.665 um)", "x (0.84 um)"],
            (3, 2, 1, 4),
        ),
        (["Near infrared", "Red band", "Green band", "Blue band"], (2, 3, 4, 1)),
        (["Blau", "Grün", "Rot", "NIR"], (3, 2, 1, 4)),
        (["bleu", "vert", "rouge", "pir"], (3, 2, 1, 4)),
        (["B02", "B03", "B04", "B8A"], (3, 2, 1, 4)),
        ([f"sur_refl_b0{k}" for k in range(1, 8)], (1, 4, 3, 2)),
    ],
)
def test_bands_are_found_by_what_the_file_says(
    tmp_path: Path, names: list[str], expected: tuple[int, ...]
) -> None:
    path = described(tmp_path / "a.tif", names)
    assert bands_of(path, RGBN) == expected
    assert bands_of(path, RGBN[:3]) == expected[:3]


@pytest.mark.parametrize("names", [["blue", *[""] * 11], ["B01", "B02", "B3N", "B04"]])
def test_colours_of_which_nothing_is_said_are_not_guessed(tmp_path: Path, names: list[str]) -> None:
    path = described(tmp_path / "a.tif", names)
    with pytest.raises(RasterError, match=r"there is no .*choose the bands"):
        bands_of(path, RGBN[:3])


def test_names_of_which_no_colour_is_known_are_told(tmp_path: Path) -> None:
    """Radar, or heights: the network expects colours."""
    card = make_card(bands=RGBN[:3], mean=(0.4,) * 3, std=(0.25,) * 3)
    for names, notes in (
        (["VV", "VH", "VV/VH"], True),
        (["Band 1", "Layer_2", "3"], False),
        (["red", "green", "blue"], False),
        (["", "", ""], False),
    ):
        # Any three bands of 8 bits are red, green and blue to GDAL.
        path = described(tmp_path / f"{names[0][:2]}.tif", names, kind="uint16")
        line = NetworkView(open_raster(path), card).describe()
        assert ("its bands are called VV, VH, VV/VH, which tell no colour" in line) == notes


def test_wavelengths_in_tags(tmp_path: Path) -> None:
    for k, (key, values) in enumerate(
        {
            "wavelength": ["490", "560", "665", "842"],
            "CENTRAL_WAVELENGTH_UM": ["0.49", "0.56", "0.665", "0.842"],
        }.items()
    ):
        path = described(tmp_path / f"{k}.tif", [""] * 4, [{key: value} for value in values])
        assert bands_of(path, RGBN) == (3, 2, 1, 4)


@pytest.mark.parametrize(
    ("names", "tags", "titles"),
    [
        (["B02", "B04"], None, ["1: blue (B02)", "2: red (B04)"]),
        (["red", "NIR"], None, ["1: red", "2: nir"]),
        (["", "x"], [{"wavelength": "665"}, {}], ["1: red (665 nm)", "2: x"]),
        (["B4, central wavelength 665 nm", ""], None, None),
        (["Blue-475", "height\nabove sea"], None, ["1: blue (Blue-475)", "2: height above sea"]),
        (["y" * 99, ""], None, ["1: " + "y" * 57 + "...", "2"]),
    ],
)
def test_a_band_has_a_title(
    tmp_path: Path, names: list[str], tags: list[dict[str, str]] | None, titles: list[str] | None
) -> None:
    with open_raster(described(tmp_path / "a.tif", names, tags)) as raster:
        found = [band_title(raster, band) for band in (1, 2)]
    assert found == (titles or ["1: red (B4, central wavelength 665 nm)", "2"])


def test_a_band_that_is_not_there_is_not_replaced_by_another(tmp_path: Path) -> None:
    path = described(tmp_path / "a.tif", ["nir", "red", "green"])
    with pytest.raises(RasterError, match=r"nir, red, green.*there is no blue"):
        bands_of(path, RGBN[:3])


def test_a_stack_is_refused_and_one_plane_can_be_chosen() -> None:
    stack = np.random.default_rng(0).integers(0, 255, (7, 20, 30), dtype=np.uint8)
    with pytest.raises(RasterError, match=r"7 planes .*a stack of pictures, or bands"):
        NetworkView(open_raster(stack), make_card())
    view = NetworkView(open_raster(stack), make_card(), bands=(5,))
    assert view.bands == (5, 5, 5)
    many = make_card(bands=tuple(f"band {k}" for k in range(7)), mean=(0.4,) * 7, std=(0.25,) * 7)
    assert NetworkView(open_raster(stack), many).bands == tuple(range(1, 8))
