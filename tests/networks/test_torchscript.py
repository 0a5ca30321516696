from __future__ import annotations

import warnings
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from builders import make_card
from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.batch.streaming import MapStream
from napari_disca.core.errors import CardError, ExportError, RecipeError
from napari_disca.core.events import finish
from napari_disca.inference.network_view import NetworkView
from napari_disca.networks import (
    Card,
    fingerprint,
    load_network,
    needs_consent,
    read_card,
    save_network,
)
from napari_disca.raster import open_raster
from napari_disca.recipes import recipe_named
from napari_disca.session.session import Session


class Small(nn.Module):
    """Sees pixels and clicks."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3 + classes, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.last = nn.Conv2d(8, classes, 1)

    def forward(self, image: Tensor, guidance: Tensor) -> Tensor:
        return self.last(torch.relu(self.norm(self.first(torch.cat([image, guidance], dim=1)))))


class Stacked(Small):
    def forward(self, both: Tensor) -> Tensor:
        return self.last(torch.relu(self.norm(self.first(both))))


class Pixels(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Conv2d(3, 3, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.last(image)


CARD = make_card(3, name="scripted", architecture="torchscript")


def saved(folder, module=None, card=CARD, name="mine.pt"):
    path = folder / name
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit")
        torch.jit.script((module or Small()).eval()).save(str(path))
    if card is not None:
        path.with_suffix(".card.json").write_text(card.to_json(), encoding="utf-8")
    return path


def test_it_is_never_run_without_consent(tmp_path):
    path = saved(tmp_path)
    assert needs_consent(path)
    assert read_card(path) == CARD
    with pytest.raises(
        CardError, match=r"mine\.pt is TorchScript, a program .*--allow-torchscript"
    ):
        load_network(path)


def test_it_predicts_as_the_module_does(tmp_path):
    network = load_network(saved(tmp_path), allow_torchscript=True)
    image, guidance = torch.rand(2, 3, 40, 50), torch.zeros(2, 3, 40, 50)
    guidance[:, 1, 10, 10] = 1
    pad = (0, 14, 0, 24)
    padded = nn.functional.pad((image - network.mean) / network.std, pad)
    expected = Small().eval()(padded, nn.functional.pad(guidance, pad))[..., :40, :50]
    with torch.no_grad():
        torch.testing.assert_close(network(image, guidance), expected)


@pytest.mark.parametrize(("module", "inputs"), [(Stacked(), "stacked"), (Pixels(), "image")])
def test_other_ways_to_call_it(module, inputs, tmp_path):
    path = saved(tmp_path, module, replace(CARD, options={"inputs": inputs}))
    network = load_network(path, allow_torchscript=True)
    with torch.no_grad():
        assert network(torch.rand(1, 3, 33, 20), torch.zeros(1, 3, 33, 20)).shape == (1, 3, 33, 20)


def test_a_session_corrects_and_adapts_with_it(tmp_path, image, compute):
    network = load_network(saved(tmp_path), allow_torchscript=True)
    session = Session(open_raster(image), network, compute=compute)
    finish(session.predict(), session.handle)
    session.document.click(20, 30, 2)
    finish(session.refine(), session.handle)
    weights = fingerprint(session.network)
    adaptation = finish(
        session.adapt(recipe_named("held-out", passes=3, adopt="full")), session.handle
    )
    assert adaptation.steps == 3
    assert session.document.adapted.changed, "BatchNorm layers are found by their names"
    assert fingerprint(session.network) == weights
    assert all(session.map_state.up_to_date(name) == 1 for name in session.maps)


def test_what_cannot_learn_is_refused_in_one_line(tmp_path, image, compute):
    path = saved(tmp_path, Pixels(), replace(CARD, options={"inputs": "image"}))
    network = load_network(path, allow_torchscript=True)
    session = Session(open_raster(image), network, compute=compute)
    session.document.click(20, 30, 2)
    with pytest.raises(RecipeError, match="no BatchNorm layers"):
        finish(session.adapt(recipe_named("held-out", adopt="full")), session.handle)


def test_a_frozen_program_has_nothing_that_learns(tmp_path, image, compute):
    path = saved(tmp_path, Pixels(), replace(CARD, options={"inputs": "image"}))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit")
        torch.jit.freeze(torch.jit.load(str(path)).eval()).save(str(path))
    network = load_network(path, allow_torchscript=True)
    session = Session(open_raster(image), network, compute=compute)
    session.document.click(20, 30, 2)
    recipe = recipe_named("held-out", adopt="full", parameters="all")
    with pytest.raises(RecipeError, match="no weights that can learn"):
        finish(session.adapt(recipe), session.handle)


def test_its_program_is_a_part_of_its_fingerprint(tmp_path):
    class Other(Small):
        def forward(self, image: Tensor, guidance: Tensor) -> Tensor:
            return -self.last(torch.relu(self.norm(self.first(torch.cat([image, guidance], 1)))))

    one = load_network(saved(tmp_path), allow_torchscript=True)
    other = load_network(saved(tmp_path, Other(), name="other.pt"), allow_torchscript=True)
    assert fingerprint(one) != fingerprint(other)


def test_it_has_no_parts(tmp_path):
    network = load_network(saved(tmp_path), allow_torchscript=True)
    with pytest.raises(CardError, match="no encoder"):
        network.encode(torch.zeros(1, 3, 32, 32), torch.zeros(1, 3, 32, 32))
    with pytest.raises(CardError, match="no decoder"):
        network.decode(())


def test_what_it_has_learned_is_saved_with_its_program(tmp_path, image, compute):
    network = load_network(saved(tmp_path), allow_torchscript=True)
    inputs = NetworkView(open_raster(image), network.card)
    stream = MapStream(inputs, network, compute, Clicks((Click(20, 30, 2),)))
    stream, _ = finish(stream.adapt(recipe_named("held-out", passes=3, adopt="full")))
    adapted = stream.answer.plain.network
    path = save_network(adapted, tmp_path / "adapted.pt")
    again = load_network(path, allow_torchscript=True)
    pixels, guidance = torch.rand(1, 3, 64, 64), torch.zeros(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(again(pixels, guidance), adapted(pixels, guidance))
        assert not torch.equal(again(pixels, guidance), network(pixels, guidance))
    with pytest.raises(ExportError, match=r"a\.safetensors should end with \.pt"):
        save_network(adapted, tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("card", "module", "message"),
    [
        (None, None, r"has no card beside it; write mine\.card\.json"),
        (make_card(3), None, "names the architecture 'linknet'"),
        (make_card(4, architecture="torchscript"), None, "fails: .*"),
        (replace(CARD, options={"inputs": "x"}), None, "inputs = 'x' is unknown"),
        (replace(CARD, options={"depth": 3}), None, "wrong options"),
        (
            replace(make_card(2, architecture="torchscript"), options={"inputs": "image"}),
            Pixels(),
            r"answers \(1, 3, 64, 64\)",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(card, module, message, tmp_path):
    path = saved(tmp_path, module, card)
    with pytest.raises(CardError, match=message) as caught:
        load_network(path, allow_torchscript=True)
    assert len(str(caught.value).splitlines()) == 1


def test_weights_that_are_not_finite(tmp_path):
    module = Small()
    with torch.no_grad():
        module.norm.weight[0] = torch.nan
    with pytest.raises(CardError, match="not finite"):
        load_network(saved(tmp_path, module), allow_torchscript=True)


def test_damaged_files_and_pickles_are_one_line(tmp_path):
    path = saved(tmp_path)
    data = path.read_bytes()
    for cut in (10, len(data) // 2, len(data) - 30):
        path.write_bytes(data[:cut])
        with pytest.raises(CardError) as caught:
            load_network(path, allow_torchscript=True)
        assert len(str(caught.value).splitlines()) == 1
    torch.save(Small().state_dict(), path)
    assert not needs_consent(path)
    with pytest.raises(CardError, match="is a pickle"):
        load_network(path, allow_torchscript=True)
    path.with_suffix(".card.json").write_text("[" * 100_000)
    saved(tmp_path, card=None)
    with pytest.raises(CardError, match=r"mine\.card\.json is nested deeper"):
        read_card(path)


def test_cards_travel_as_json():
    assert Card.from_json(CARD.to_json()) == CARD
