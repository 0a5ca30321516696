"""A scroll area as wide as its content."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QScrollArea, QStyle, QWidget

from napari_disca.gui.toolkit.not_none import not_none


class FittedArea(QScrollArea):
    """A scroll area that is as wide as its content, and scrolls up and down only."""

    def set_body(self, body: QWidget) -> None:
        """Show a widget in the area."""
        self.setWidget(body)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._fit()
        self.setFrameShape(QScrollArea.Shape.NoFrame)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Fit the width whenever Qt lays out the body: once for all changes in the panels."""
        if not_none(event).type() == QEvent.Type.LayoutRequest and watched is self.widget():
            self._fit()
        return super().eventFilter(watched, event)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Fit the width to changes that were made while the area was hidden."""
        super().showEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Make the area as wide as body and scroll bar: wider parts could not be reached."""
        bar = not_none(self.style()).pixelMetric(QStyle.PixelMetric.PM_ScrollBarExtent)
        width = not_none(self.widget()).minimumSizeHint().width() + bar + 8
        if self.minimumWidth() != width:
            self.setMinimumWidth(width)
