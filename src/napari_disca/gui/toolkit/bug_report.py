"""Report of a bug, which the user can copy from the message about it."""

from __future__ import annotations

import platform
import traceback
from importlib import metadata

from napari.utils.notifications import (
    Notification,
    NotificationSeverity,
    notification_manager,
)
from qtpy import API_NAME, QT_VERSION
from qtpy.QtWidgets import QApplication

_PACKAGES = ("napari-disca", "napari", "torch", "numpy", "rasterio", "npe2")


def report(error: BaseException) -> str:
    """Return versions, system and traceback as text: no pixels, but perhaps names of files."""
    lines = [f"{name} {_version(name)}" for name in _PACKAGES]
    lines += [f"{API_NAME}, Qt {QT_VERSION}", f"Python {platform.python_version()}"]
    lines += [platform.platform(), ""]
    return "\n".join(lines) + "\n" + "".join(traceback.format_exception(error))


def tell_bug(error: BaseException, line: str) -> None:
    """Show a bug in one line, and offer to copy the report."""

    def copy(_dialog: object = None) -> None:
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(report(error))

    notification_manager.dispatch(
        Notification(line, NotificationSeverity.ERROR, actions=(("Copy report", copy),))
    )


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "is not installed"
