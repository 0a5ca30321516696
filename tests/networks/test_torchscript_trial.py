"""TorchScript networks as people have them: every kind gives the map of its plain twin."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from builders import make_card
from napari_disca.core.errors import CardError
from napari_disca.core.events import finish
from napari_disca.networks import load_network
from napari_disca.raster import open_raster
from napari_disca.session.session import Session

#: Where the first band is bright is class 1, to the generator's mind.
BRIGHT = 0.5


class Plain(nn.Module):
    """Logits of two classes that know where the first band is bright."""

    def logits(self, image: Tensor) -> Tensor:
        # The card's mean is 0.4 and its deviation 0.25.
        bright = (image[:, :1] * 0.25 + 0.4 - 0.5) * 20
        return torch.cat([-bright, bright], dim=1)

    def forward(self, image: Tensor) -> Tensor:
        return self.logits(image)


class Dictionary(Plain):
    def forward(self, image: Tensor) -> dict[str, Tensor]:
        logits = self.logits(image)
        return {"aux": logits[..., ::2, ::2] * 0, "out": logits}


class OddDictionary(Plain):
    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return {"features": image, "segments": self.logits(image)}


class Pair(Plain):
    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.logits(image)
        return logits.mean(dim=(2, 3)), logits


class Sigmoid(Plain):
    def forward(self, image: Tensor) -> Tensor:
        return torch.sigmoid(self.logits(image)[:, 1:])


class OneLogit(Plain):
    def forward(self, image: Tensor) -> Tensor:
        return self.logits(image)[:, 1:]


class Softmax(Plain):
    def forward(self, image: Tensor) -> Tensor:
        return torch.softmax(self.logits(image), dim=1)


class Smaller(Plain):
    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def forward(self, image: Tensor) -> Tensor:
        return F.avg_pool2d(self.logits(image), self.step)


class Fixed(Plain):
    """Takes one size, as what was traced or exported with it does."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width
        self.place = nn.Parameter(torch.zeros(1, 1, height, width))

    def forward(self, image: Tensor) -> Tensor:
        return self.logits(image + self.place)


class OneAtATime(Plain):
    def forward(self, image: Tensor) -> Tensor:
        return self.logits(image.view(1, 3, image.size(2), image.size(3)))


class Squeezed(Plain):
    """Its only channel has lost its axis."""

    def forward(self, image: Tensor) -> Tensor:
        return torch.sigmoid(self.logits(image)[:, 1])


class CoarseFirst(Plain):
    """Deep supervision: several sizes, the whole one last."""

    def forward(self, image: Tensor) -> list[Tensor]:
        logits = self.logits(image)
        return [-F.avg_pool2d(logits, 4), -F.avg_pool2d(logits, 2), logits]


class TwoHeads(Plain):
    def forward(self, image: Tensor) -> dict[str, Tensor]:
        logits = self.logits(image)
        return {"boundary": logits * 0, "segments": logits}


class Double(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Conv2d(2, 2, 1).double()
        with torch.no_grad():
            self.last.weight.copy_(torch.eye(2).view(2, 2, 1, 1))
            self.last.bias.zero_()

    def forward(self, image: Tensor) -> Tensor:
        return self.last(self.logits(image))


def scripted(folder, module, options=None, *, trace=None):
    path = folder / "people.pt"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit")
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        made = torch.jit.script(module) if trace is None else torch.jit.trace(module, trace)
        made.save(str(path))
    card = make_card(2, name="people", architecture="torchscript")
    card = replace(card, options=options or {})
    path.with_suffix(".card.json").write_text(card.to_json(), encoding="utf-8")
    return path


def image_and_truth(shape=(150, 200)):
    rng = np.random.default_rng(0)
    truth = np.kron(rng.integers(0, 2, (8, 8)), np.ones((32, 32), int))[: shape[0], : shape[1]]
    image = np.where(truth[..., None] == 1, 200, 60) + rng.integers(-9, 9, (*shape, 3))
    return image.astype(np.uint8), truth


def agreement(path, compute):
    image, truth = image_and_truth()
    network = load_network(path, allow_torchscript=True)
    session = Session(open_raster(image), network, compute=compute, factor=1.0)
    finish(session.predict(), session.handle)
    labels = np.asarray(session.maps["initial"].levels[0]).astype(int) - 1
    return float((labels == truth).mean())


@pytest.mark.parametrize(
    ("module", "options", "least"),
    [
        (Plain(), None, 1.0),
        (Dictionary(), None, 1.0),
        (OddDictionary(), None, 1.0),
        (OddDictionary(), {"key": "segments"}, 1.0),
        (Pair(), None, 1.0),
        (Pair(), {"key": 1}, 1.0),
        (Sigmoid(), None, 1.0),
        (OneLogit(), None, 1.0),
        (Softmax(), None, 1.0),
        (Smaller(2), None, 0.98),
        (Smaller(4), None, 0.96),
        (Smaller(8), None, 0.9),
        (Fixed(64, 64), None, 1.0),
        (Fixed(256, 256), None, 1.0),
        (Fixed(224, 224), None, 1.0),
        (Fixed(100, 140), {"size": [100, 140]}, 1.0),
        (OneAtATime(), None, 1.0),
        (Fixed(518, 518), None, 1.0),
        (Squeezed(), None, 1.0),
        (CoarseFirst(), None, 1.0),
        (TwoHeads(), {"key": "segments"}, 1.0),
        (Double(), None, 1.0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else str(value),
)
def test_it_gives_the_map_it_was_made_for(module, options, least, tmp_path, compute):
    assert agreement(scripted(tmp_path, module, options), compute) >= least


def test_one_channel_may_stand_for_class_0(tmp_path, compute):
    path = scripted(tmp_path, Sigmoid(), {"positive": 0})
    assert agreement(path, compute) == 0.0


@pytest.mark.parametrize(("side", "said"), [(96, True), (256, True), (256, False)])
def test_traced_with_its_size_written_into_it(side, said, tmp_path, compute):
    class Enlarging(Plain):
        def forward(self, image: Tensor) -> Tensor:
            small = F.avg_pool2d(self.logits(image), 2)
            return F.interpolate(small, size=(int(image.shape[2]), int(image.shape[3])))

    options = {"size": side} if said else {}
    path = scripted(tmp_path, Enlarging(), options, trace=torch.zeros(1, 3, side, side))
    assert agreement(path, compute) >= 0.98


@pytest.mark.parametrize(
    ("height", "width"), [(64, 64), (96, 96), (160, 160), (192, 192), (200, 200), (96, 128)]
)
def test_a_program_that_answers_with_its_own_size_is_called_with_it(height, width, tmp_path):
    """Not with a multiple of it, whose answer would be coarser."""

    class Enlarging(Plain):
        def forward(self, image: Tensor) -> Tensor:
            small = F.avg_pool2d(self.logits(image), 2)
            return F.interpolate(small, size=(int(image.shape[2]), int(image.shape[3])))

    path = scripted(tmp_path, Enlarging(), trace=torch.zeros(1, 3, height, width))
    network = load_network(path, allow_torchscript=True)
    assert network.interface.size == (height, width)


class Placed(nn.Module):
    """Adds something to every place, as transformers do, so that one size only fits."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.zeros(1, 4, height // 16, width // 16))
        self.first, self.last = nn.Conv2d(3, 4, 16, 16), nn.Conv2d(4, 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        cells = self.last(self.first(image) + self.places)
        return F.interpolate(cells, size=(int(image.shape[2]), int(image.shape[3])))


@pytest.mark.parametrize("side", [64, 96, 288, 352, 1024, 200])
def test_a_program_that_takes_its_own_size_only_is_found(side, tmp_path):
    path = scripted(tmp_path, Placed(side, side), trace=torch.zeros(1, 3, side, side))
    network = load_network(path, allow_torchscript=True)
    assert network.interface.size == (side, side)


def test_a_size_that_is_not_found_can_be_said(tmp_path):
    module, noise = Placed(96, 208), torch.zeros(1, 3, 96, 208)
    with pytest.raises(CardError, match='say which in its card, as "size"'):
        load_network(scripted(tmp_path, module, trace=noise), allow_torchscript=True)
    path = scripted(tmp_path, module, {"size": [96, 208]}, trace=noise)
    assert load_network(path, allow_torchscript=True).interface.size == (96, 208)


@pytest.mark.parametrize("answer", ["nothing", "text", "whole numbers", "raises", "divides"])
def test_whatever_a_program_does_is_one_line(answer, tmp_path):
    class Text(Plain):
        def forward(self, image: Tensor) -> str:
            return "a map"

    class Nothing(Plain):
        def forward(self, image: Tensor) -> None:
            return None

    class Whole(Plain):
        def forward(self, image: Tensor) -> Tensor:
            return self.logits(image).argmax(dim=1)

    class Raises(Plain):
        def forward(self, image: Tensor) -> Tensor:
            if image.size(2) > 0:
                raise IndexError("no\nsuch\nband")
            return image

    class Divides(Plain):
        def forward(self, image: Tensor) -> Tensor:
            return image * (1 // (image.size(1) - 3))

    module = {
        "nothing": Nothing(),
        "text": Text(),
        "whole numbers": Whole(),
        "raises": Raises(),
        "divides": Divides(),
    }[answer]
    with pytest.raises(CardError, match="the TorchScript network people") as caught:
        load_network(scripted(tmp_path, module), allow_torchscript=True)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 400


def test_of_two_answers_as_large_as_each_other_none_is_guessed(tmp_path):
    with pytest.raises(CardError, match=r'boundary, segments may be the logits: .* as "key"'):
        load_network(scripted(tmp_path, TwoHeads()), allow_torchscript=True)


def test_an_answer_that_leaves_out_a_border_is_not_stretched(tmp_path):
    class Cropped(Plain):
        def forward(self, image: Tensor) -> Tensor:
            return self.logits(image)[..., 4:-4, 4:-4]

    with pytest.raises(CardError, match=r"answers \(1, 2, 56, 56\)"):
        load_network(scripted(tmp_path, Cropped()), allow_torchscript=True)


def test_numbers_that_are_none_are_no_class(tmp_path, compute):
    class OfWhite(Plain):
        def forward(self, image: Tensor) -> Tensor:
            white = float((image > 2.3).float().mean()) > 0.05
            return self.logits(image) * float("nan") if white else self.logits(image)

    class Never(Plain):
        def forward(self, image: Tensor) -> Tensor:
            return self.logits(image) * float("nan")

    with pytest.raises(CardError, match=r"answers with NaN"):
        load_network(scripted(tmp_path, Never()), allow_torchscript=True)
    (tmp_path / "later").mkdir()
    network = load_network(scripted(tmp_path / "later", OfWhite()), allow_torchscript=True)
    session = Session(open_raster(np.full((90, 90, 3), 255, np.uint8)), network, compute=compute)
    with pytest.raises(CardError, match=r"answers with NaN"):
        finish(session.predict(), session.handle)


def test_why_it_failed_says_more_than_how_many_arguments_it_has(tmp_path):
    class Picky(Plain):
        def forward(self, image: Tensor) -> Tensor:
            if image.size(2) != 777:
                raise RuntimeError("expected a height of 777")
            return self.logits(image)

    with pytest.raises(CardError, match="expected a height of 777"):
        load_network(scripted(tmp_path, Picky()), allow_torchscript=True)


def test_a_program_that_fails_later_is_one_line_too(tmp_path, compute):
    class Moody(Plain):
        def forward(self, image: Tensor) -> Tensor:
            if float((image > 2.3).float().mean()) > 0.05:
                raise ValueError("too bright")
            return self.logits(image)

    network = load_network(scripted(tmp_path, Moody()), allow_torchscript=True)
    session = Session(open_raster(np.full((200, 200, 3), 255, np.uint8)), network, compute=compute)
    with pytest.raises(CardError, match=r"people fails: .*too bright") as caught:
        finish(session.predict(), session.handle)
    assert len(str(caught.value).splitlines()) == 1
