"""The names of files that dialogs give; what the user answers is put in by hand."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtWidgets import QMessageBox, QWidget

from napari_disca.exports import EXPORTS, Export
from napari_disca.gui.window import dialogs
from napari_disca.raster import open_raster

Answer = QMessageBox.StandardButton


@pytest.fixture
def ask(qtbot, monkeypatch, tmp_path):
    """Ask where to save a map; the user types a name, chooses a format and gives an answer."""
    parent = QWidget()
    qtbot.addWidget(parent)
    raster = open_raster(np.zeros((8, 8, 3), np.uint8))
    monkeypatch.setitem(EXPORTS, "png", Export("Picture", "labels", (".png",), lambda: None))

    def ask(name, chosen="", answer=None):
        def question(*_):
            assert answer is not None, "nothing is asked"
            return answer

        with monkeypatch.context() as patch:
            patch.setattr(
                dialogs.QFileDialog,
                "getSaveFileName",
                lambda *_: (str(tmp_path / name) if name else "", chosen),
            )
            patch.setattr(dialogs.QMessageBox, "question", question)
            found = dialogs.file_to_save(parent, raster, "labels", "disir", "Save map")
        return found and found.relative_to(tmp_path).name

    return ask


def test_a_name_without_ending_gets_that_of_the_chosen_format(ask):
    assert ask("map") == "map.tif"
    assert ask("map", "GeoTIFF label map (*.tif *.tiff)") == "map.tif"
    assert ask("map", "Picture (*.png)") == "map.png"
    assert ask("map.TIFF", "Picture (*.png)") == "map.TIFF", "what was typed decides"
    assert ask("") is None


def test_a_file_that_the_dialog_did_not_ask_about_is_replaced_only_after_a_yes(ask, tmp_path):
    (tmp_path / "map.png").write_text("mine")
    assert ask("map", "Picture (*.png)", Answer.No) is None
    assert ask("map", "Picture (*.png)", Answer.Yes) == "map.png"
    assert ask("map.png") == "map.png", "the dialog has asked"
