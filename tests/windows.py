"""What tests with windows do again and again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_disca.gui.plugin.reader import layer_data
from napari_disca.gui.viewer.key_filter import main_window


def add(panel: Any, path: Path) -> Any:
    """Add an image file to the viewer of a panel; its layer."""
    data, keywords, _ = layer_data(path)
    return panel.viewer.add_image(data, **keywords)


def idle(qtbot: Any, panel: Any) -> None:
    """Wait until a panel has nothing to do."""
    qtbot.wait(1)
    qtbot.waitUntil(lambda: not panel.control.busy, timeout=60_000)


def show(qtbot: Any, panel: Any, width: int, height: int) -> Any:
    """Put the window of a panel on screen; the window."""
    window = main_window(panel)
    window.resize(width, height)
    window.show()
    qtbot.waitExposed(window)
    return window


def background(widget: Any) -> tuple[float, float, float, float]:
    """Red, green, blue and opacity of a widget's background, 0 to 1."""
    return widget.grab().toImage().pixelColor(1, 1).getRgbF()
