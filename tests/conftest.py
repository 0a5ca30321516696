"""What many tests need: small images, small networks, and the real images where they are."""

from __future__ import annotations

import os

# Before torch: waiting OpenMP threads must not spin while another test needs the core.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from pathlib import Path

import numpy as np
import pytest

from builders import make_network
from napari_disca.networks import Network
from napari_disca.networks.compute import Compute

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def network() -> Network:
    return make_network()


@pytest.fixture
def compute() -> Compute:
    return Compute.choose("cpu", "float32")


@pytest.fixture
def image() -> np.ndarray:
    """A colourful image of 150 x 200 pixels."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (10, 13, 3)).astype(np.uint8)
    return np.ascontiguousarray(np.kron(coarse, np.ones((16, 16, 1), np.uint8))[:150, :200])


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real images; tests that need it are skipped where it is missing."""
    if not SHARED.is_dir():
        pytest.skip("the real images are not in ../shared/data")
    return SHARED
