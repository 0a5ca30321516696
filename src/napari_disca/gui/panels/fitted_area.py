"""An area that scrolls up and down, as wide as what is in it."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QScrollArea, QStyle, QWidget

from napari_disca.gui.viewer.present import present


class FittedArea(QScrollArea):
    """A scroll area that is as wide as what is in it, and scrolls up and down only."""

    def set_body(self, body: QWidget) -> None:
        """Show a widget."""
        self.setWidget(body)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._fit()
        self.setFrameShape(QScrollArea.Shape.NoFrame)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Fit when Qt lays out the body: once for all that has changed in the panels."""
        if present(event).type() == QEvent.Type.LayoutRequest and watched is self.widget():
            self._fit()
        return super().eventFilter(watched, event)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Fit to what has changed while nobody looked."""
        super().showEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Leave room for the scroll bar: what is wider than the panel cannot be reached."""
        bar = present(self.style()).pixelMetric(QStyle.PixelMetric.PM_ScrollBarExtent)
        width = present(self.widget()).minimumSizeHint().width() + bar + 8
        if self.minimumWidth() != width:
            self.setMinimumWidth(width)
