"""A recipe and an architecture from outside: one file and one line each, and all finds them.

What would be a file of its own stands here as a class; the line is the `setitem` of the fixture.
A format from outside is in `tests/exports/test_table.py`.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest
import rasterio
import torch

from napari_disca.annotations.clicks import Clicks
from napari_disca.cli.options import RefineOptions
from napari_disca.core.events import Job, Progress
from napari_disca.core.tiling import Tiling, Window
from napari_disca.inference.composition import AnswerComposer, NetworkAnswer
from napari_disca.inference.crops import Crop
from napari_disca.networks import ARCHITECTURES, Card, Network, load_network
from napari_disca.networks.compute import Compute
from napari_disca.recipes import RECIPES
from napari_disca.recipes.answers import AnswerParts
from napari_disca.recipes.recipe import AdaptationResult

# ---------------------------------------------------------------- the one file of a new recipe


@dataclass(frozen=True, slots=True)
class Favour:
    """Raise the classes that were clicked, everywhere."""

    title: ClassVar[str] = "Favour clicked classes"
    learns: ClassVar[bool] = True
    continues: ClassVar[bool] = False

    by: float = field(
        default=1.0, metadata={"tooltip": "What is added to a logit", "min": 0.0, "max": 100.0}
    )

    def composer(self, parts: AnswerParts) -> Job[AnswerComposer]:
        yield from ()
        return NetworkAnswer(parts.adapted)

    def windows(self, clicks: Clicks, tiling: Tiling) -> list[Window]:
        return [tiling[0].read]

    def adapt(
        self,
        network: Network,
        crops: Sequence[Crop],
        *,
        current: Network | None = None,
        compute: Compute,
        seed: int = 0,
    ) -> Job[AdaptationResult]:
        yield Progress("adapting", 0, 1)
        adapted = copy.deepcopy(network)
        (bias,) = [b for n, b in adapted.named_parameters() if n == "last.bias"]
        with torch.no_grad():
            for label in {int(label) for crop in crops for label in crop.labels}:
                bias[label] += self.by
        return AdaptationResult(adapted, note=f"favoured by {self.by:g}")


# ---------------------------------------------------------------- that of a new architecture


class Blocks(Network):
    """A network that sees blocks of pixels."""

    multiple = 8

    def __init__(self, card: Card, width: int = 4, gain: float = 1.0) -> None:
        super().__init__(card)
        classes = len(card.classes)
        self.first = torch.nn.Conv2d(len(card.bands) + classes, width, 3, padding=1)
        self.last = torch.nn.Conv2d(width, classes, 1)
        self.gain = gain

    def encode(self, image: torch.Tensor, guidance: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (torch.relu(self.first(torch.cat([image, guidance], dim=1))),)

    def decode(self, features: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return self.gain * self.last(features[0])


@pytest.fixture(autouse=True)
def added(monkeypatch):
    monkeypatch.setitem(RECIPES, "favour", Favour())
    monkeypatch.setitem(ARCHITECTURES, "blocks", Blocks)


@pytest.fixture
def blocks(run, files, tmp_path):
    """A network of the new architecture, trained on the command line."""
    output = tmp_path / "blocks.safetensors"
    result = run(
        *("train", "--images", files.images, "--masks", files.masks, "-o", output),
        *("--classes", "building,land,road,vegetation,water", "--architecture", "blocks"),
        *("--option", "width=6", "--option", "gain=2", "--steps", "2", "--batch", "1"),
        *("--size", "64", "--device", "cpu", "--no-bfloat16", "--hold-out", "south"),
    )
    assert result.code == 0, result.err
    return output


def test_an_architecture_is_trained_with_its_options_and_draws(run, files, blocks, tmp_path):
    network = load_network(blocks)
    assert isinstance(network, Blocks)
    assert dict(network.card.options) == {"width": 6, "gain": 2}
    assert network.first.out_channels == 6
    assert set(network.card.figures) >= {"miou_before"}
    output = tmp_path / "map.tif"
    assert run("predict", files.image, "-o", output, "--weights", blocks).code == 0
    with rasterio.open(output) as file:
        assert file.shape == (150, 200)


def test_help_names_what_was_added(run):
    assert "blocks" in run("train", "--help").out
    text = run("refine", "--help").out
    assert "favour" in text
    assert "--by FLOAT" in text
    assert "What is added to a logit" in text


def test_a_recipe_has_its_flags_and_corrects_a_map(run, files, blocks, tmp_path):
    command = ("refine", files.image, "--clicks", files.clicks, "--weights", blocks)
    maps = []
    for by in ("0", "100"):
        output = tmp_path / f"{by}.tif"
        result = run(*command, "-o", output, "--recipe", "favour", "--by", by)
        assert result.code == 0, result.err
        assert f"favoured by {by}" in result.err
        with rasterio.open(output) as file:
            maps.append(file.read(1))
    # The clicks are of the classes 2 and 4.
    assert set(np.unique(maps[1])) <= {2, 4}
    assert (maps[0] != maps[1]).any()
    result = run(*command, "-o", tmp_path / "o.tif", "--recipe", "favour", "--by", "101")
    assert result.code == 2
    assert "--by" in result.err


def test_a_recipe_is_measured_and_replayed(run, files, blocks, tmp_path):
    result = run(
        *("evaluate", "--images", files.images, "--masks", files.masks, "--weights", blocks),
        *("--recipe", "favour", "--by", "3", "--clicks", "2"),
    )
    assert result.code == 0, result.err
    assert result.out.splitlines()[-1].split()[0] == "favour"
    journal, first, again = (tmp_path / name for name in ("j.jsonl", "a.tif", "b.tif"))
    result = run(
        *("refine", files.image, "--clicks", files.clicks, "--weights", blocks, "-o", first),
        *("--recipe", "favour", "--by", "3", "--journal", journal),
    )
    assert result.code == 0, result.err
    assert run("replay", journal, files.image, "-o", again, "--learn-again").code == 0
    with rasterio.open(first) as one, rasterio.open(again) as other:
        assert (one.read() == other.read()).all()


def test_the_panels_form_is_made_of_its_fields(qtbot):
    from napari_disca.gui.panels.form import form_of, read_form

    form = form_of(Favour())
    qtbot.addWidget(form.native)
    assert read_form(form, Favour(by=7.0)) == Favour()


def test_the_options_of_a_command_name_no_recipe():
    """Else the table would not be the only place that a recipe is added to."""
    assert callable(RefineOptions.__dataclass_fields__["recipe"].metadata["tooltip"])
