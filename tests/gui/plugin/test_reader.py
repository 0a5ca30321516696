"""What the command line reads, napari's *Open* reads too."""

from __future__ import annotations

from pathlib import Path

import npe2
import numpy as np
import pytest
from affine import Affine

import napari_disca
from builders import write_image
from napari_disca.gui.plugin.reader import get_reader
from napari_disca.gui.toolkit.formats import RASTER_SUFFIXES, VECTOR_SUFFIXES

GRID = Affine(0.5, 0, 5e5, 0, -0.5, 5e6)


@pytest.mark.parametrize(
    ("suffix", "driver", "options"),
    [
        (".img", "HFA", {}),
        (".dat", "ENVI", {}),
        (".gpkg", "GPKG", {"TILE_FORMAT": "PNG"}),
        (".jp2", "JP2OpenJPEG", {"QUALITY": "100", "REVERSIBLE": "YES"}),
        (".bil", "ENVI", {"INTERLEAVE": "bil"}),
    ],
)
def test_pixels_and_place(suffix, driver, options, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (3, 64, 80)).astype(np.uint8)
    path = tmp_path / f"Scene{suffix.upper() if driver == 'HFA' else suffix}"
    write_image(path, pixels, driver=driver, crs="EPSG:32633", transform=GRID, **options)
    ((data, keywords, kind),) = get_reader(str(path))(str(path))
    about = keywords["metadata"]["napari_disca"]
    assert kind == "image"
    assert about["transform"] == tuple(GRID)[:6]
    shown = np.asarray(data[0] if keywords["multiscale"] else data)[:64, :80, :3]
    np.testing.assert_array_equal(shown, pixels.transpose(1, 2, 0))


def test_the_manifest_says_the_same():
    manifest = npe2.PluginManifest.from_file(Path(napari_disca.__file__).with_name("napari.yaml"))
    (reader,) = manifest.contributions.readers
    suffixes = (*RASTER_SUFFIXES, *VECTOR_SUFFIXES)
    expected = {f"*{s}" for s in suffixes} | {f"*{s.upper()}" for s in suffixes}
    assert set(reader.filename_patterns) == expected


@pytest.mark.parametrize("suffix", [".pt", ".ts", ".torchscript", ".safetensors"])
def test_dropping_a_network_on_the_window_does_nothing(suffix):
    from napari_disca.gui.plugin.reader import get_reader

    assert get_reader(f"network{suffix}") is None
