"""Buttons that say in their tooltips why they are disabled."""

from __future__ import annotations

from qtpy.QtWidgets import QAbstractButton

_NOT_NOW = "Not now: "


def set_enabled(button: QAbstractButton, tooltip: str, reason: str) -> None:
    """Enable a button, or disable it for a reason, which its tooltip then gives.

    Parameters
    ----------
    button : QAbstractButton
    tooltip : str
        What the button does.
    reason : str
        Why it cannot be pressed; empty if it can.
    """
    button.setEnabled(not reason)
    button.setToolTip(f"{tooltip}.\n{_NOT_NOW}{reason}" if reason else tooltip)


def reason_of(button: QAbstractButton) -> str:
    """Return why a button is disabled, or its whole tooltip if that does not say why."""
    return button.toolTip().rpartition(_NOT_NOW)[2]
