"""Asks whether a TorchScript network, which is a program, may run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QMessageBox, QWidget

if TYPE_CHECKING:
    from napari_disca.raster.gdal.signature import Signature


class Consent:
    """Remembers for one window which TorchScript files the user agreed to run.

    The user is asked again about a file that has changed since.

    Parameters
    ----------
    parent : QWidget
        Parent of the question's dialog.
    """

    def __init__(self, parent: QWidget) -> None:
        self._parent = parent
        self._given: dict[str, Signature | None] = {}

    def give(self, weights: str) -> None:
        """Record that the user has agreed elsewhere, for instance on the command line."""
        self._given[weights] = _signed(weights)

    def allows(self, weights: str) -> bool:
        """Whether the user has agreed to run a TorchScript file, and it has not changed since."""
        agreed = self._given.get(weights)
        return agreed is not None and agreed == _signed(weights)

    def agreed(self, name_or_file: str) -> bool:
        """Ask whether a TorchScript file may run; return True at once for other networks."""
        from napari_disca.networks import needs_consent

        if not needs_consent(name_or_file) or self.allows(name_or_file):
            return True
        file = Path(name_or_file)
        answer = QMessageBox.question(
            self._parent,
            "Run a program?",
            f"{file.name} is a TorchScript network: a program that can also read and write files "
            "on this computer.\n\nDo you trust who made it, and want to run it?",
            QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.No,
            QMessageBox.StandardButton.No,
        )
        if answer != QMessageBox.StandardButton.Yes:
            return False
        self.give(name_or_file)
        return True


def _signed(file: str) -> Signature | None:
    from napari_disca.raster.gdal.signature import signature

    try:
        return signature(Path(file))
    except (OSError, ValueError):
        return None
