"""TorchScript is a program: it runs only after a yes."""

from __future__ import annotations

import warnings

import pytest
import torch
from qtpy.QtWidgets import QMessageBox
from torch import Tensor, nn

from builders import make_card


class Scripted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.last = nn.Conv2d(6, 3, 1)

    def forward(self, image: Tensor, guidance: Tensor) -> Tensor:
        return self.last(torch.cat([image, guidance], dim=1))


@pytest.fixture
def scripted(tmp_path):
    path = tmp_path / "scripted.pt"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit")
        torch.jit.script(Scripted().eval()).save(str(path))
    card = make_card(3, name="scripted", architecture="torchscript", ground_resolution=1.0)
    path.with_suffix(".card.json").write_text(card.to_json(), encoding="utf-8")
    return path


@pytest.fixture
def answers(monkeypatch, scripted):
    """Choose the file in the dialog, and answer the question."""
    asked: list[str] = []
    given = [QMessageBox.StandardButton.No]

    def question(_parent, title, text, buttons, default):
        assert default == QMessageBox.StandardButton.No, "Enter must not agree"
        asked.append(text)
        return given[0]

    monkeypatch.setattr("napari_disca.gui.panels.image.consent.QMessageBox.question", question)
    monkeypatch.setattr(
        "napari_disca.gui.panels.image.image_panel.QFileDialog.getOpenFileName",
        lambda *_: (str(scripted), ""),
    )
    return asked, given


def load(panel):
    box = panel.image_panel.networks
    index = box.findText("Load…")
    box.setCurrentIndex(index)
    box.activated.emit(index)


def test_torchscript_is_run_only_after_a_yes(opened, answers, scripted):
    asked, given = answers
    panel, before = opened.panel, opened.panel.image_panel.weights()
    load(panel)
    assert len(asked) == 1
    assert "a program that can also read and write files" in asked[0]
    assert panel.image_panel.weights() == before
    given[0] = QMessageBox.StandardButton.Yes
    load(panel)
    assert panel.image_panel.weights() == str(scripted)
    panel.segment()
    opened.idle()
    assert opened.control.session.network.card.name == "scripted"
    assert opened.control.session.map_state.up_to_date("initial") == 1
    assert opened.said == []
    # Asked once; but for another file of that name anew.
    load(panel)
    assert len(asked) == 2
    with scripted.open("ab") as file:
        file.write(b" ")
    assert not panel.image_panel.allows(str(scripted))
    load(panel)
    assert len(asked) == 3


def test_without_consent_a_named_torchscript_file_does_not_run(opened, scripted):
    # As from the command line without its flag.
    opened.panel.image_panel.choose_network(str(scripted))
    opened.panel.segment()
    opened.idle()
    assert len(opened.said) == 1
    assert "is TorchScript, a program" in opened.said[0]
    opened.panel.image_panel.choose_network(str(scripted), allow_torchscript=True)
    opened.panel.segment()
    opened.idle()
    assert opened.control.session.network.card.name == "scripted"


def test_going_on_with_a_torchscript_network_asks_again(
    opened, answers, scripted, make_napari_viewer, qtbot, monkeypatch
):
    from napari_disca.gui.tasks.opening.layer_data import layer_data
    from napari_disca.gui.window.widget import DiscaWidget

    asked, given = answers
    errors = []
    monkeypatch.setattr(
        "napari_disca.gui.tasks.opening.journal_controller.show_error", errors.append
    )
    opened.panel.image_panel.choose_network(str(scripted), allow_torchscript=True)
    opened.panel.segment()
    opened.idle()
    opened.control.session.document.click(40, 50, 1)
    opened.idle()
    opened.control.close()
    viewer = make_napari_viewer()
    panel = DiscaWidget(viewer)
    viewer.window.add_dock_widget(panel)
    data, keywords, _ = layer_data(opened.scene)
    viewer.add_image(data, **keywords)
    panel.resume_banner.go_on.click()
    assert len(asked) == 1
    qtbot.waitUntil(lambda: not panel.control.busy, timeout=60_000)
    assert len(errors) == 1
    assert "is TorchScript" in errors[0]
    assert panel.resume_banner.isVisibleTo(panel)
    given[0] = QMessageBox.StandardButton.Yes
    panel.resume_banner.go_on.click()
    qtbot.waitUntil(lambda: not panel.control.busy, timeout=60_000)
    assert len(panel.control.session.document.clicks) == 1
    assert panel.control.session.network.card.name == "scripted"
    assert panel.opening.session() is panel.control.session
    panel.control.close()
