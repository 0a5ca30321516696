"""One scene and one network for all tests of this folder."""

from __future__ import annotations

import pytest

from field_scene import Field
from napari_disca.networks import load_network
from napari_disca.scenes import Scene

SIDE = 256


@pytest.fixture(scope="session")
def field() -> Field:
    image, truth = Scene((SIDE, SIDE), seed=2, region="arid", ground_resolution=1.0).render()
    return Field(image, truth, load_network("landcover-5"))
