"""What many tests need: small images, small networks, and the real images where they are."""

from __future__ import annotations

import os

# Before torch: waiting OpenMP threads must not spin while another test needs the core.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "PYTEST_XDIST_WORKER" in os.environ:
    # As many processes as cores: threads of each would only wait for those of the other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import functools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import screens
from builders import make_network
from field_scene import Field
from napari_disca.networks import Network, autotune, load_network
from napari_disca.networks.compute import Compute
from napari_disca.scenes import Scene

#: Folders for what programs keep for a user; on Linux, elsewhere they have no effect.
USER_FOLDERS = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")
# Before napari is imported, which writes its icons to the user's cache.
_FOLDER = tempfile.mkdtemp(prefix="napari-disca-tests-")
for _name in USER_FOLDERS:
    os.environ[_name] = str(Path(_FOLDER, _name))

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_configure(config: pytest.Config) -> None:
    config.add_cleanup(functools.partial(shutil.rmtree, _FOLDER, ignore_errors=True))
    screens.use(config)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(screens.Screens(), "screens")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """As many processes as cores, two to four; one where files are named, since each has to import.

    Every process takes up to 2 GB.
    """
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None  # pytest-xdist reads it
    if not all(Path(argument).is_dir() for argument in config.args):
        return 0
    return max(2, min(4, os.cpu_count() or 1))


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # First those of no folder, among which are the longest, lest one process waits for another.
    items.sort(key=lambda item: item.path.parent != Path(__file__).parent)
    if not hasattr(config, "workerinput"):
        return
    one_screen = not screens.use(config)
    for item in items:
        names = {*getattr(item, "fixturenames", ())}
        if one_screen and screens.WINDOWS & names:
            item.add_marker(pytest.mark.xdist_group(screens.ONE_SCREEN))
        elif "reused" in names:  # a module's shared window is made by one process only
            item.add_marker(pytest.mark.xdist_group(str(item.path)))


@pytest.hookimpl(tryfirst=True)  # before the fixtures, which would end the process
def pytest_runtest_setup(item: pytest.Item) -> None:
    if screens.WINDOWS & {*getattr(item, "fixturenames", ())} and not screens.is_there():
        pytest.skip("there is no screen; install Xvfb or run under xvfb-run")


@pytest.fixture(autouse=True)
def _own_user_folders(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is remembered and cached is neither the user's nor another test's."""
    folder = Path(_FOLDER, "test")
    for name in USER_FOLDERS:
        monkeypatch.setenv(name, str(folder / name))
    yield
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def _bfloat16_is_measured_once() -> Iterator[None]:
    """Without a user's folder every test would measure it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(autotune, "bfloat16_speedup", functools.cache(autotune.bfloat16_speedup))
        yield


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
def field() -> Field:
    """A scene of 256 x 256 pixels, its truth, and the network that comes with the package."""
    image, truth = Scene((256, 256), seed=2, region="arid", ground_resolution=1.0).render()
    return Field(image, truth, load_network("landcover-5"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real images; tests that need it are skipped where it is missing."""
    if not SHARED.is_dir():
        pytest.skip("the real images are not in ../shared/data")
    return SHARED
