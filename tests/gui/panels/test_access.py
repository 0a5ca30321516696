"""The panel for those who hear it, use the keyboard alone, or have a large font."""

from __future__ import annotations

import ast
from itertools import pairwise
from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractScrollArea,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QScrollBar,
    QWidget,
)

import napari_disca.gui
from windows import show

#: What can be used by mouse or keys.
INTERACTIVE = (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QLineEdit,
)


def _is_part(widget):
    """Whether a widget is one that Qt has made inside another."""
    parent = widget.parentWidget()
    if isinstance(widget, QScrollBar) or widget.objectName().startswith("qt_"):
        return True
    while parent is not None:
        if isinstance(parent, QComboBox | QAbstractSpinBox):
            return True
        parent = parent.parentWidget()
    return False


def _labelled(panel):
    """Widgets that a label names."""
    found = {label.buddy() for label in panel.findChildren(QLabel)}
    for form in panel.findChildren(QFormLayout):
        for row in range(form.rowCount()):
            label = form.itemAt(row, QFormLayout.ItemRole.LabelRole)
            field = form.itemAt(row, QFormLayout.ItemRole.FieldRole)
            if label is not None and field is not None:
                found.add(field.widget())
    return found


def test_everything_that_can_be_used_has_a_name(reused):
    panel = reused.panel
    labelled = _labelled(panel)
    nameless = [
        f"{type(widget).__name__} in {type(widget.parentWidget()).__name__}"
        for widget in panel.findChildren(QWidget)
        if isinstance(widget, INTERACTIVE)
        and not _is_part(widget)
        and not widget.accessibleName()
        and not (isinstance(widget, QAbstractButton) and widget.text().strip("…× "))
        and widget not in labelled
    ]
    assert not nameless


def test_the_focus_goes_as_one_reads(reused, qtbot):
    panel = reused.panel
    show(qtbot, panel, 1280, 800)
    for section in panel.sections.values():
        section.fold(False)
    QApplication.processEvents()
    chain, widget = [], panel.nextInFocusChain()
    # Not on into napari's widgets: PySide would keep them, and the window with them.
    while panel.isAncestorOf(widget):
        takes = widget.focusPolicy() & Qt.FocusPolicy.TabFocus
        inside = panel.widget().isAncestorOf(widget) and not isinstance(widget, QLabel)
        if takes and inside and widget.isVisible() and not _is_part(widget):
            chain.append(widget)
        widget = widget.nextInFocusChain()
    assert len(chain) > 30
    boxes = [
        (w.mapTo(panel.widget(), w.rect().topLeft()), w) for w in chain if w.rect().height() > 0
    ]
    for (before, first), (after, second) in pairwise(boxes):
        # Below it, or beside it.
        below = after.y() >= before.y() + first.height() // 2
        beside = after.x() >= before.x() and after.y() + second.height() > before.y()
        names = [w.accessibleName() or type(w).__name__ for w in (first, second)]
        assert below or beside, names


def test_no_size_is_fixed_in_pixels():
    """Sizes come from the font, or from what a widget needs."""
    setters = {
        f"set{which}{what}"
        for which in ("Fixed", "Minimum", "Maximum")
        for what in ("Width", "Height", "Size")
    } | {"QSize", "setPixelSize", "setPointSize"}
    fixed = []
    for file in Path(napari_disca.gui.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            numbers = [a.value for a in node.args if isinstance(a, ast.Constant)]
            if name in setters and any(number > 1 for number in numbers):
                fixed.append(f"{file.name}:{node.lineno} {name}{tuple(numbers)}")
    assert not fixed


def test_sizes_follow_the_font(qapp, qtbot):
    from napari_disca.gui.window.layout import Panels

    before = qapp.font()
    sizes = []
    try:
        for factor in (1.0, 2.0):
            font = type(before)(before)
            font.setPointSizeF(before.pointSizeF() * factor)
            qapp.setFont(font)
            panels = Panels(QWidget(), {})
            queue = panels.queue
            sizes.append(
                [
                    panels.classes.list.iconSize().height(),
                    panels.ripple.list.height(),
                    panels.refine.bar.height(),
                    queue.minimap.sizeHint().height(),
                    panels.review.bar.height(),
                ]
            )
            for section in panels.sections.values():
                qtbot.addWidget(section)
    finally:
        qapp.setFont(before)
    assert all(large > 1.4 * small for small, large in zip(*sizes, strict=True)), sizes


def test_a_list_is_no_trap_for_the_focus(reused, qtbot):
    """Tab leaves lists, whose rows are gone through by arrow keys."""
    for area in reused.panel.findChildren(QAbstractItemView):
        if not _is_part(area):
            assert not area.tabKeyNavigation(), area.accessibleName()
    assert isinstance(reused.panel, QAbstractScrollArea)
