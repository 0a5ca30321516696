"""A viewer with the panel, a GeoTIFF on disk, and a network that answers fast."""

from __future__ import annotations

import gc
from contextlib import contextmanager, suppress
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace

import napari.settings
import pytest
from npe2 import PluginManifest
from pytestqt.qtbot import QtBot

from builders import Tiny, make_card, make_network, set_tiles
from napari_disca.core.events import finish
from napari_disca.networks import ARCHITECTURES, LandClass, save_network
from napari_disca.scenes import Scene, write_scene
from reused_window import begin_anew, reused_viewer
from windows import show

#: Modules of `gui.tasks` that notify the user.
_NOTIFYING = (
    "tasks.control",
    "tasks.locking",
    "tasks.opening.image_opening",
    "tasks.session_files",
    "tasks.unreadable",
    "toolkit.error_messages",
    "toolkit.task_queue",
)


def _use_own_settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Napari keeps them beside its own.
    napari.settings._clear_plugin_settings_cache()
    monkeypatch.setattr(napari.settings, "_CFG_PATH", str(folder / "settings.yaml"))
    monkeypatch.setattr("napari_disca.gui.viewer.colours.class_colours._preferred", ["automatic"])
    # However slow the machine is, what was opened is there; `test_file_reading` is about the other.
    monkeypatch.setattr("napari_disca.gui.toolkit.file_reading.PATIENCE", 60.0)
    # The process that examines files, lest every window that closes ends it.
    monkeypatch.setattr("napari_disca.gui.tasks.control.end_probe", lambda: None)
    set_tiles(monkeypatch, 128, 16)


@pytest.fixture(autouse=True)
def _own_settings(tmp_path, monkeypatch):
    """Settings of a test stay in its folder."""
    _use_own_settings(tmp_path, monkeypatch)


@pytest.fixture(scope="session", autouse=True)
def _programs_are_no_garbage():
    """Keep Python from looking at all of torch and napari whenever garbage is collected.

    napari does that whenever a layer goes, because of a fault of drivers for Windows; here it does
    so only when a window goes.
    """
    import napari
    import napari._vispy.canvas
    import torch

    import napari_disca.gui.window.widget

    assert napari.Viewer
    assert torch.nn
    assert napari_disca.gui.window.widget.DiscaWidget
    gc.collect()
    gc.freeze()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(napari._vispy.canvas, "gc", SimpleNamespace(collect=lambda: 0))
        yield {"windows": 0}


@pytest.fixture(autouse=True)
def _nor_is_what_the_first_window_leaves(_programs_are_no_garbage, request):
    """Leave out, too, what napari and Qt import and register with the first window."""
    if "make_napari_viewer" in request.fixturenames:
        _programs_are_no_garbage["windows"] += 1
        if _programs_are_no_garbage["windows"] == 2:
            gc.collect()
            gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _manifests_are_read_once():
    """Give npe2 copies of the manifests that it found before, which it reads twice a window."""
    found = [*PluginManifest.discover()]

    def discover(paths=()):
        assert not paths
        return [result._replace(manifest=deepcopy(result.manifest)) for result in found]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PluginManifest, "discover", discover)
        yield


@pytest.fixture(scope="session", autouse=True)
def _shaders_are_compiled_once(tmp_path_factory):
    """Let Mesa, which draws where there is no graphics card, keep its shaders for all windows.

    It would keep them below ``XDG_CACHE_HOME``, thus in the folder of the first test, which goes
    with it; compiling them anew took 3 seconds for each window on screen.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MESA_SHADER_CACHE_DIR", str(tmp_path_factory.mktemp("shaders")))
        yield


def _write_scene(folder: Path) -> Path:
    path = folder / "scene.tif"
    finish(write_scene(Scene((300, 260), seed=1, ground_resolution=1.0), path))
    return path


@pytest.fixture
def scene(tmp_path) -> Path:
    """A georeferenced scene of 300 x 260 pixels."""
    return _write_scene(tmp_path)


@pytest.fixture(scope="module")
def architecture() -> str:
    """What `weights` is; a window that shows what clicks change elsewhere needs a real one."""
    return "tiny"


def _write_weights(folder: Path, architecture: str) -> Path:
    names = ("roof", "street", "green")
    classes = tuple(
        LandClass(name, colour)
        for name, colour in zip(names, ("#d95f02", "#7570b3", "#1b9e3e"), strict=True)
    )
    ARCHITECTURES["tiny"] = Tiny
    card = make_card(
        3, name="small", architecture=architecture, classes=classes, ground_resolution=1.0
    )
    return save_network(make_network(card), folder / "small.safetensors", half=False)


@pytest.fixture
def weights(tmp_path, architecture) -> Path:
    """A network of three classes for images of 1 m."""
    return _write_weights(tmp_path, architecture)


def _dock(viewer, weights: Path):
    from napari_disca.gui.window.widget import DiscaWidget

    widget = DiscaWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Correct a map")
    widget.image_panel.choose_network(str(weights))
    return widget


@contextmanager
def _closing(widget, qtbot):
    yield widget
    with suppress(RuntimeError):  # Qt has deleted it where a test has closed the window
        widget.control.close()
        qtbot.waitUntil(lambda: not widget.control.busy, timeout=30_000)


@pytest.fixture
def panel(make_napari_viewer, weights, qtbot):
    """The panel docked in a viewer, the small network chosen."""
    with _closing(_dock(make_napari_viewer(), weights), qtbot) as widget:
        yield widget


def _collect_notifications(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    for module in _NOTIFYING:
        for name in ("show_error", "show_warning", "show_info"):
            with suppress(AttributeError):  # not each of them says everything
                monkeypatch.setattr(f"napari_disca.gui.{module}.{name}", said.append)
    monkeypatch.setattr(
        "napari_disca.gui.toolkit.error_messages.tell_bug", lambda _error, line: said.append(line)
    )
    return said


def _segment(panel, scene: Path, qtbot, said: list[str]) -> SimpleNamespace:
    from napari_disca.gui.plugin.reader import get_reader

    ((data, keywords, _),) = get_reader(str(scene))(str(scene))
    panel.viewer.add_image(data, **keywords)
    panel.refine_panel.buttons["segment"].click()

    # A few passes show what twenty would; the recipe may have none.
    for row in panel.refine_panel._form:
        if row.name == "passes":
            row.value = 4

    def idle() -> None:
        qtbot.wait(1)
        qtbot.waitUntil(lambda: not panel.control.busy, timeout=60_000)

    idle()
    return SimpleNamespace(
        panel=panel, viewer=panel.viewer, control=panel.control, said=said, idle=idle, scene=scene
    )


@pytest.fixture
def opened(panel, scene, qtbot, monkeypatch):
    """A segmented scene; `said` collects notifications."""
    return _segment(panel, scene, qtbot, _collect_notifications(monkeypatch))


@pytest.fixture
def on_screen(opened, qtbot):
    """The segmented scene in a window of 1200 x 800 pixels that is on screen."""
    show(qtbot, opened.panel, 1200, 800)
    return opened


@pytest.fixture(scope="module")
def _reused_window(tmp_path_factory, request, qapp, architecture):
    folder = tmp_path_factory.mktemp("reused")
    qtbot = QtBot(request)
    with reused_viewer() as viewer, pytest.MonkeyPatch.context() as patch:
        _use_own_settings(folder, patch)
        said = _collect_notifications(patch)
        with _closing(_dock(viewer, _write_weights(folder, architecture)), qtbot) as widget:
            window = _segment(widget, _write_scene(folder), qtbot, said)
            uncertainty = window.control.session.uncertainty
            window.uncertainty = {name: values.copy() for name, values in uncertainty.items()}
            gc.collect()
            gc.freeze()
            yield window
            gc.unfreeze()
        del viewer, widget, window


@pytest.fixture
def reused(_reused_window):
    """`opened` of the whole module; what the test before has done is taken back."""
    begin_anew(_reused_window)
    return _reused_window


@pytest.fixture
def reused_on_screen(reused, qtbot):
    """`on_screen` of the whole module; what the test before has done is taken back."""
    show(qtbot, reused.panel, 1200, 800)
    return reused
