"""Another kind of answer takes one class, whatever draws the map."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch

from builders import make_tiny_network, set_tiles
from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.batch.streaming import MapStream
from napari_disca.core.events import Progress, finish
from napari_disca.core.tiling import Window
from napari_disca.inference.composition import Answer, Source
from napari_disca.inference.crops import windows_around
from napari_disca.networks import DeltaCache
from napari_disca.raster import open_raster
from napari_disca.recipes import AdaptationResult
from napari_disca.session.session import Session


@dataclass(frozen=True, eq=False)
class Corrected:
    """The pretrained network's logits plus what points in its feature space say, and a strength."""

    plain: Source
    points: torch.Tensor
    coefficients: torch.Tensor
    strength: float
    fallback: None = None

    def compose(self, tiles):
        return Answer(*tiles.run(self.plain, guided=tiles.clicked, decode=self._decode))

    def _decode(self, network, features, box):
        logits = network.decode_window(features, box)
        here = features[0][(..., *box.slices)]
        alike = torch.einsum("bdhw,pd->bphw", here, self.points).tanh()
        return (logits + self.strength * torch.einsum("bphw,pk->bkhw", alike, self.coefficients),)


@dataclass(frozen=True)
class Correcting:
    """A script's recipe: the weights stay, what is learned is composed on top of them."""

    title: ClassVar[str] = "correction"
    learns: ClassVar[bool] = True
    continues: ClassVar[bool] = False
    strength: float = 5.0

    def windows(self, clicks, tiling):
        return windows_around(clicks, 64, tiling.shape)

    def adapt(self, network, crops, *, current=None, compute, seed=0):
        yield Progress("learning", 0, 1)
        LEARNED.append(len(crops))
        labels = torch.tensor([label for crop in crops for label in crop.labels])
        coefficients = torch.nn.functional.one_hot(labels, 3).float() - 1 / 3
        learned = {"coefficients": coefficients, "points": torch.ones(len(coefficients), 8)}
        return AdaptationResult(network, tensors=learned)

    def composer(self, parts):
        yield from ()
        source = replace(parts.pretrained, name=parts.adapted.name)
        return Corrected(source, strength=self.strength, **parts.tensors)


#: Crops of each time something was learned.
LEARNED: list[int] = []
CLICKS = Clicks((Click(20, 30, 2), Click(120, 160, 2)))


@pytest.fixture
def picture(monkeypatch):
    set_tiles(monkeypatch, 96, 16)
    return np.random.default_rng(0).integers(0, 255, (150, 200, 3)).astype(np.uint8)


def maps(picture, compute, recipe):
    session = Session(open_raster(picture), make_tiny_network(), compute=compute)
    finish(session.predict(), session.handle)
    session.document.set_clicks(CLICKS)
    finish(session.refine(), session.handle)
    finish(session.adapt(recipe), session.handle)
    whole = Window.whole(session.raster.shape)
    return session, session.maps["disir"].read(whole), session.maps["disca"].read(whole)


def test_a_correction_in_feature_space_is_drawn_by_session_and_stream(picture, compute):
    session, disir, disca = maps(picture, compute, Correcting())
    assert (disca == 2).mean() > (disir == 2).mean() + 0.1, "the correction speaks for class 2"
    stream = MapStream(session.network_view, session.network, compute, CLICKS)
    adapted, _ = finish(stream.adapt(Correcting()))
    for patch in adapted.patches():
        np.testing.assert_array_equal(patch.labels, disca[patch.window.slices])
    session.document.undo()
    finish(session.refine(), session.handle)
    whole = Window.whole(session.raster.shape)
    np.testing.assert_array_equal(session.maps["disir"].read(whole), disir)
    session.document.redo()
    session.document.click(70, 80, 1)
    finish(session.refine(), session.handle)
    assert session.maps["disca"].read(whole)[70, 80] == 1


def test_it_is_kept_on_disk_and_comes_back_without_learning(picture, compute, tmp_path):
    first = Session(open_raster(picture), make_tiny_network(), compute=compute)
    first.learn_from_cache(DeltaCache(tmp_path))
    first.document.set_clicks(CLICKS)
    finish(first.adapt(Correcting()), first.handle)
    whole = Window.whole(first.raster.shape)
    expected = first.maps["disca"].read(whole)
    assert not first.document.adapted.adaptation.tensors, (
        "the history holds no tensors but the delta's"
    )
    again = Session(open_raster(picture), make_tiny_network(), compute=compute)
    again.learn_from_cache(DeltaCache(tmp_path))
    again.document.set_clicks(CLICKS)
    LEARNED.clear()
    again.handle(replace(first.document.adapted, changed=None))
    assert not again.must_learn
    finish(again.refine(), again.handle)
    assert not LEARNED
    np.testing.assert_array_equal(again.maps["disca"].read(whole), expected)
    again.document.remove(CLICKS.items[0])
    assert again.must_learn
    finish(again.refine(), again.handle)
    assert LEARNED == [1], "as if the click had never been"


def test_no_correction_gives_disirs_map(picture, compute):
    _, disir, disca = maps(picture, compute, Correcting(strength=0.0))
    np.testing.assert_array_equal(disca, disir)
