"""A recipe and an architecture from outside: one file and one line each, and all finds them.

What would be a file of its own stands here as a class; the line is the `setitem` of the fixture.
A format from outside is in `tests/exports/test_table.py`.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pytest
import rasterio
import torch

from builders import make_card
from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.cli.options import RefineOptions
from napari_disca.core.errors import RecipeError
from napari_disca.core.events import Job, Progress, finish
from napari_disca.core.tiling import Tiling, Window
from napari_disca.inference.composition import AnswerComposer, NetworkAnswer
from napari_disca.inference.crops import Crop
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.tiles import tiling_for
from napari_disca.networks import ARCHITECTURES, Card, Network, build_network, load_network
from napari_disca.networks.compute import Compute
from napari_disca.raster import open_raster
from napari_disca.recipes import RECIPES, crops_for, recipe_named, recipe_of_fields
from napari_disca.recipes.answers import AnswerParts
from napari_disca.recipes.feature_points import CropView
from napari_disca.recipes.recipe import AdaptationResult, setting

# ---------------------------------------------------------------- the one file of a new recipe


@dataclass(frozen=True, slots=True)
class Favour:
    """Raise the classes that were clicked, everywhere."""

    title: ClassVar[str] = "Favour clicked classes"
    learns: ClassVar[bool] = True
    continues: ClassVar[bool] = False

    by: float = setting(1.0, "Add", "What is added to a logit", limits=(0.0, 100.0))
    halved: bool = setting(False, "Halved", "Whether half of it is added")
    where: Literal["first tile", "all tiles"] = setting("first tile", "Where", "Tiles of clicks")
    most: int | None = setting(None, "Most", "Classes at most; none: all", limits=(1, 64))
    #: A field that other recipes have, too, with other values.
    start: Literal["here"] = setting("here", "Start", "Where it starts")

    def composer(self, parts: AnswerParts) -> Job[AnswerComposer]:
        yield from ()
        return NetworkAnswer(parts.adapted)

    def windows(self, clicks: Clicks, tiling: Tiling) -> list[Window]:
        return [tile.read for tile in (tiling if self.where == "all tiles" else [tiling[0]])]

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
            labels = sorted({int(label) for crop in crops for label in crop.labels})
            for label in labels[: self.most]:
                bias[label] += self.by / (2 if self.halved else 1)
        return AdaptationResult(adapted, note=f"favoured by {self.by:g}, {self.where}")


# ---------------------------------------------------------------- those of new architectures


class Blocks(Network):
    """A network that sees blocks of pixels, without BatchNorm and without a named encoder."""

    multiple = 8

    def __init__(
        self,
        card: Card,
        widths: tuple[int, ...] = (4,),
        gain: float = 1.0,
        norm: Literal["group", "none"] = "none",
        drop: float | None = None,
    ) -> None:
        super().__init__(card)
        channels, layers = len(card.bands) + len(card.classes), []
        for width in widths:
            layers.append(torch.nn.Conv2d(channels, width, 3, padding=1))
            if norm == "group":
                layers.append(torch.nn.GroupNorm(2, width))
            channels = width
        self.first = torch.nn.Sequential(*layers, torch.nn.Dropout(drop or 0.0))
        self.last = torch.nn.Conv2d(channels, len(card.classes), 1)
        self.gain = gain

    def encode(self, image: torch.Tensor, guidance: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (torch.relu(self.first(torch.cat([image, guidance], dim=1))),)

    def decode(self, features: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return self.gain * self.last(features[0])


class Named(Blocks):
    """One that names its encoder; a cell of its features is not `multiple` pixels wide."""

    encoder_modules = ("first",)

    def encode(self, image: torch.Tensor, guidance: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (torch.nn.functional.avg_pool2d(super().encode(image, guidance)[0], 2),)

    def decode(self, features: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return torch.nn.functional.interpolate(super().decode(features), scale_factor=2)


@pytest.fixture(autouse=True)
def added(monkeypatch):
    monkeypatch.setitem(RECIPES, "favour", Favour())
    monkeypatch.setitem(ARCHITECTURES, "blocks", Blocks)
    monkeypatch.setitem(ARCHITECTURES, "named", Named)


@pytest.fixture
def blocks(run, files, tmp_path):
    """A network of the new architecture, trained on the command line."""
    output = tmp_path / "blocks.safetensors"
    result = run(
        *("train", "--images", files.images, "--masks", files.masks, "-o", output),
        *("--classes", "building,land,road,vegetation,water", "--architecture", "blocks"),
        *("--option", "widths=6,8", "--option", "gain=2", "--option", "norm=group"),
        *("--option", "drop=none", "--steps", "2", "--batch", "1"),
        *("--size", "64", "--device", "cpu", "--no-bfloat16", "--hold-out", "south"),
    )
    assert result.code == 0, result.err
    return output


def test_an_architecture_is_trained_with_its_options_and_draws(run, files, blocks, tmp_path):
    network = load_network(blocks)
    assert isinstance(network, Blocks)
    assert network.card.options == {"widths": (6, 8), "gain": 2, "norm": "group", "drop": None}
    assert [layer.out_channels for layer in network.first[::2][:2]] == [6, 8]
    assert set(network.card.figures) >= {"miou_before"}
    output = tmp_path / "map.tif"
    assert run("predict", files.image, "-o", output, "--weights", blocks).code == 0
    with rasterio.open(output) as file:
        assert file.shape == (150, 200)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("width=3", "a blocks has no option 'width'; it has widths, gain, norm, drop"),
        ("widths=3,x", "widths = '3,x' of a blocks is not a list"),
        ("norm=batch", "norm = 'batch' of a blocks is unknown; use group or none"),
        ("gain=much", "gain = 'much' of a blocks is not a number"),
        ("widths=-3", "card 'w' has wrong options"),
    ],
)
def test_wrong_options_are_one_line(run, files, tmp_path, option, words):
    result = run(
        *("train", "--images", files.images, "--masks", files.masks, "-o"),
        *(tmp_path / "w.safetensors", "--classes", "a,b,c,d,e", "--architecture", "blocks"),
        *("--option", option, "--option", "norm=group")[: 2 if option[0] == "n" else 4],
    )
    assert result.code == 2
    assert words in result.error_lines[-1]


def test_similar_places_are_compared_at_the_scale_of_the_features(image, compute):
    network = build_network(make_card(3, architecture="named"))
    assert network.similarity_stride == 2
    clicks = Clicks((Click(40, 60, 1), Click(90, 20, 2)))
    inputs = NetworkView(open_raster(image), network.card)
    (crop,) = finish(crops_for(RECIPES["default"], inputs, clicks, tiling_for(inputs)))
    view = CropView.of(network, crop, compute)
    places = view.points(crop.rows, crop.cols, crop.labels, noise=1.0)
    pixels = torch.from_numpy(crop.image)[None]
    features = network.similarity_features(network.encode_clickless(network.standardised(pixels)))
    expected = features[0][:, crop.rows // 2, crop.cols // 2].T
    torch.testing.assert_close(places.features, expected)


def test_help_names_what_was_added(run):
    assert "blocks" in run("train", "--help").out
    text = run("refine", "--help").out
    assert "favour" in text
    assert "--by FLOAT" in text
    assert "What is added to a logit" in text
    assert "--halved / --no-halved" in text
    assert "--where {first-tile,all-tiles}" in text
    assert "--most INT" in text
    assert re.search(r"--start {theta0,current,[\w,-]*here}", text)


@pytest.mark.parametrize("recipe", ["default", "disir", "paper"])
def test_the_other_recipes_correct_its_map(run, files, blocks, tmp_path, recipe):
    result = run(
        *("refine", files.image, "--clicks", files.clicks, "--weights", blocks),
        *("-o", tmp_path / "o.tif", "--recipe", recipe),
    )
    assert result.code == 0, result.err


def test_a_recipe_has_its_flags_and_corrects_a_map(run, files, blocks, tmp_path):
    command = ("refine", files.image, "--clicks", files.clicks, "--weights", blocks)
    maps = []
    for by in ("0", "100"):
        output = tmp_path / f"{by}.tif"
        result = run(*command, "-o", output, "--recipe", "favour", "--by", by)
        assert result.code == 0, result.err
        assert f"favoured by {by}, first tile" in result.err
        with rasterio.open(output) as file:
            maps.append(file.read(1))
    # The clicks are of the classes 2 and 4.
    assert set(np.unique(maps[1])) <= {2, 4}
    assert (maps[0] != maps[1]).any()
    result = run(*command, "-o", tmp_path / "o.tif", "--recipe", "favour", "--by", "101")
    assert result.code == 2
    assert "--by" in result.err
    result = run(*command, "-o", tmp_path / "o.tif", "--recipe", "favour", "--start", "current")
    assert result.code == 2
    assert "start = 'current' is unknown; use here" in result.err


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
        *("--recipe", "favour", "--by", "3", "--halved", "--where", "all-tiles", "--most", "1"),
        *("--journal", journal),
    )
    assert result.code == 0, result.err
    assert "favoured by 3, all tiles" in result.err
    assert run("replay", journal, files.image, "-o", again, "--learn-again").code == 0
    with rasterio.open(first) as one, rasterio.open(again) as other:
        assert (one.read() == other.read()).all()


def test_the_panels_form_is_made_of_its_fields(qtbot):
    from napari_disca.gui.panels.correction.form import form_of, read_form

    form = form_of(Favour())
    qtbot.addWidget(form.native)
    other = Favour(by=7.0, halved=True, where="all tiles", most=3)
    assert read_form(form, other) == Favour()
    assert read_form(form_of(other), Favour()) == other
    assert (form["halved"].label, form["halved"].text) == ("Halved", "")
    form["halved"].value, form["where"].value, form["most"].value = True, "all tiles", "3"
    assert read_form(form, Favour()) == Favour(halved=True, where="all tiles", most=3)
    form["most"].value = "few"
    with pytest.raises(RecipeError, match="Most = 'few' is not a whole number or none"):
        read_form(form, Favour())


def test_values_are_checked_though_the_recipe_does_not_check_them():
    """Its author forgot `check_fields`."""
    for wrong in ({"by": 101.0}, {"halved": 1}, {"most": 0}, {"most": "3"}, {"where": "half"}):
        with pytest.raises(RecipeError, match=next(iter(wrong))):
            recipe_named("favour", **wrong)
        with pytest.raises(RecipeError, match=next(iter(wrong))):
            recipe_of_fields({"kind": "favour", **wrong})


def test_the_options_of_a_command_name_no_recipe():
    """Else the table would not be the only place that a recipe is added to."""
    assert callable(RefineOptions.__dataclass_fields__["recipe"].metadata["tooltip"])
