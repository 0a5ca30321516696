"""What tests with windows do again and again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_disca.core.tiling import Window
from napari_disca.gui.tasks.opening.layer_data import layer_data
from napari_disca.gui.viewer.keys.key_filter import main_window


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


def labels_of(session: Any, name: str) -> NDArray[np.uint8]:
    """All labels of a map of a session."""
    return session.maps[name].read(Window.whole(session.raster.shape))


def click(opened: Any, row: float, col: float, label: int) -> None:
    """Add a click of a class to a segmented scene, and wait for the answer."""
    opened.panel.arm(label)
    opened.viewer.layers["Clicks"].add((row, col))
    opened.idle()


def press(opened: Any, name: str, panel: str = "refine_panel") -> None:
    """Press a button that is on, and wait until all is done."""
    button = getattr(opened.panel, panel).buttons[name]
    assert button.isEnabled(), button.toolTip()
    button.click()
    opened.idle()
