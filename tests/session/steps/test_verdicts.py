from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch

from builders import make_tiny_network, picture_of, set_tiles, write_image
from napari_disca.annotations.areas import Area
from napari_disca.core.errors import AreaError, RecipeError
from napari_disca.core.events import finish
from napari_disca.core.tiling import Window
from napari_disca.inference.composition import Answer, Source
from napari_disca.inference.crops import tiles_with_clicks
from napari_disca.raster import open_raster
from napari_disca.raster.arrays import ArrayRaster
from napari_disca.recipes import RECIPES, AdaptationResult, Disca
from napari_disca.session import restore
from napari_disca.session.journal.journal_format import read_journal
from napari_disca.session.regions.changed_regions import Region, mask_of
from napari_disca.session.regions.ripple import compare
from napari_disca.session.session import Session

BOLD = Disca(passes=4, rate=5e-2, crop_size=64)


@dataclass(frozen=True)
class Tilt:
    """Lifts class 0 everywhere, by its strength: what is learned is how far at strength 1."""

    strength: float = 1.0
    title: ClassVar[str] = "tilt"
    learns: ClassVar[bool] = True
    continues: ClassVar[bool] = False
    holds_near: ClassVar[bool] = False
    learned: ClassVar[list[float]] = []

    def windows(self, clicks, tiling):
        return tiles_with_clicks(clicks, tiling)

    def adapt(self, network, crops, *, current=None, compute, seed=0):
        self.learned.append(self.strength)
        return AdaptationResult(network, tensors={"lift": torch.tensor([0.4])})
        yield

    def composer(self, parts):
        return Tilted(parts.pretrained, float(parts.tensors["lift"]) * self.strength)
        yield


@dataclass(frozen=True, eq=False)
class Tilted:
    plain: Source
    lift: float
    fallback: None = None

    def compose(self, tiles):
        logits = tiles.run(self.plain, guided=tiles.clicked)[0].float().clone()
        logits[:, 0] += self.lift
        return Answer(logits)


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch):
    set_tiles(monkeypatch, 56, 8)


@pytest.fixture
def picture():
    return picture_of(12, 14)


@pytest.fixture
def session(picture, compute):
    return Session(open_raster(picture), make_tiny_network(), compute=compute)


def draw(session):
    finish(session.refine(), session.handle)
    whole = Window.whole(session.raster.shape)
    return {name: session.maps[name].read(whole) for name in session.maps}


def adapted(session, recipe=BOLD):
    session.document.click(10, 10, 0)
    session.document.click(80, 90, 1)
    finish(session.adapt(recipe), session.handle)
    maps = draw(session)
    assert (maps["disca"] != maps["disir"]).any()
    return maps


def test_the_ripple_of_a_session_is_what_differs_between_its_maps(session):
    maps = adapted(session)
    found = finish(session.proposals.ripple())
    arrays = [ArrayMap(maps[name]) for name in ("disir", "disca")]
    wanted = finish(compare(*arrays, [Window.whole(session.raster.shape)]))
    assert [replace(r, certainty=None) for r in found.regions] == list(wanted.regions)
    assert found.changed == int((maps["disca"] != maps["disir"]).sum())
    assert found.missing == 0
    assert all(0 <= region.certainty <= 1 for region in found.regions)


class ArrayMap:
    def __init__(self, array):
        self.array, self.shape = array, array.shape

    def read(self, window):
        return self.array[window.slices]


def test_the_ripple_counts_the_tiles_that_it_does_not_know_yet(session):
    session.document.click(10, 10, 0)
    finish(session.refine(), session.handle)
    job = session.adapt(BOLD)
    for event in job:
        session.handle(event)
        if session.document.adapted is not None:
            break
    job.close()
    assert finish(session.proposals.ripple()).missing == len(session.tiling)
    part = Region(0, 1, 9, Window(0, 0, 3, 3), (0, 0), complete=False)
    with pytest.raises(AreaError, match="wait until the map is finished"):
        session.proposals.reject([part])


def test_a_rejected_region_goes_back_and_nothing_else_does(session):
    maps = adapted(session)
    region = finish(session.proposals.ripple()).regions[0]
    mask = mask_of(region, session.maps["disir"], session.maps["disca"], _whole(session))
    session.proposals.reject([region])
    after = draw(session)
    np.testing.assert_array_equal(after["disca"], np.where(mask, maps["disir"], maps["disca"]))
    assert len(session.document.verdicts) == 1
    assert session.document.locks == ()
    session.document.undo()
    np.testing.assert_array_equal(draw(session)["disca"], maps["disca"])


def _whole(session):
    return Window.whole(session.raster.shape)


def test_what_was_accepted_is_held_whatever_is_adapted(session):
    maps = adapted(session)
    region = finish(session.proposals.ripple()).regions[0]
    mask = mask_of(region, session.maps["disir"], session.maps["disca"], _whole(session))
    session.proposals.accept([region])
    other = Disca(passes=8, rate=8e-2, crop_size=64)
    finish(session.adapt(other), session.handle)
    after = draw(session)
    assert (after["disca"] != maps["disca"])[~mask].any()
    np.testing.assert_array_equal(after["disca"][mask], maps["disca"][mask])
    # It is no news any more: the next ripple does not list it.
    np.testing.assert_array_equal(after["disir"][mask], maps["disca"][mask])
    assert session.lock_counts() == (0, 0)


@pytest.mark.parametrize("verb", ["accept", "reject"])
def test_verdicts_teach(session, verb):
    adapted(session)
    region = finish(session.proposals.ripple()).regions[0]
    mask = mask_of(region, session.maps["disir"], session.maps["disca"], _whole(session))
    getattr(session.proposals, verb)([region])
    checked = finish(session._renderer.sample(session.document.step.locks, 0))
    right = region.after if verb == "accept" else region.before
    assert len(checked)
    assert all(mask[click.pixel] and click.label == right for click in checked)
    finish(session.adapt(BOLD), session.handle)
    assert session.document.adapted.locks == session.document.step.locks


def test_all_can_be_rejected_or_accepted_at_once(session):
    maps = adapted(session)
    assert session.proposals.current is session.document.adapted
    session.proposals.reject()
    assert session.proposals.current is None
    np.testing.assert_array_equal(draw(session)["disca"], maps["disir"])
    session.document.undo()
    found = finish_ripple(session)
    session.proposals.accept(ripple=found)
    assert session.proposals.current is None
    np.testing.assert_array_equal(draw(session)["disca"], maps["disca"])
    np.testing.assert_array_equal(draw(session)["disir"], maps["disca"])
    assert finish_ripple(session).regions == ()


def finish_ripple(session):
    draw(session)
    return finish(session.proposals.ripple())


@pytest.mark.parametrize("verb", ["accept", "reject"])
def test_a_later_click_counts_where_a_verdict_was_given(session, verb):
    maps = adapted(session)
    changed = maps["disca"] != maps["disir"]
    getattr(session.proposals, verb)()
    before = draw(session)
    pure = Session(session.raster, session.network, compute=session.compute)
    pure.document.set_clicks(session.document.clicks)
    then = draw(pure)["disir"]
    for label in range(3):
        session.document.click(40, 40, label)
        pure.document.click(40, 40, label)
        now = draw(pure)["disir"]
        felt = changed & (now != then)
        after = draw(session)
        assert felt.any() or label != 1
        if verb == "reject":
            np.testing.assert_array_equal(after["disca"][felt], now[felt])
        assert after["disca"][40, 40] == label
        rows, cols = np.mgrid[: changed.shape[0], : changed.shape[1]]
        beside = np.hypot(rows - 40, cols - 40) <= 12
        fixed = changed & ~felt & ~(beside & (before["disca"] != label))
        np.testing.assert_array_equal(after["disca"][fixed], before["disca"][fixed])


def test_only_what_is_near_the_clicks_can_be_kept(session):
    maps = adapted(session)
    session.proposals.only_near()
    after = draw(session)
    rows, cols = np.mgrid[: maps["disir"].shape[0], : maps["disir"].shape[1]]
    near = np.zeros_like(maps["disir"], dtype=bool)
    for click in session.document.clicks:
        near |= np.hypot(rows - click.row, cols - click.col) <= 8
    np.testing.assert_array_equal(after["disca"], np.where(near, maps["disca"], maps["disir"]))
    assert session.proposals.current is None
    assert session.document.verdicts == ()
    session.document.undo()
    np.testing.assert_array_equal(draw(session)["disca"], maps["disca"])


def test_another_strength_learns_nothing_again(session):
    maps = adapted(session, Tilt())
    learned = len(Tilt.learned)
    assert session.proposals.strength == 1.0
    session.proposals.set_strength(0.0)
    np.testing.assert_array_equal(draw(session)["disca"], maps["disir"])
    session.proposals.set_strength(20.0)
    assert not session.must_learn
    assert (draw(session)["disca"] != 0).sum() < 20  # about the click of another class
    session.proposals.set_strength(1.0)
    np.testing.assert_array_equal(draw(session)["disca"], maps["disca"])
    assert len(Tilt.learned) == learned
    assert [step.title for step in session.document.history[-3:]] == [
        "strength 0",
        "strength 20",
        "strength 1",
    ]
    session.proposals.set_strength(1.0)
    assert session.document.history[-1].title == "strength 1"
    assert len(session.document.history) == 7


def test_the_default_recipe_can_be_made_weaker_and_bolder(session):
    recipe = RECIPES["default"]
    for row in range(8, 90, 20):
        for col in range(8, 100, 30):
            session.document.click(row, col, (row + col) % 3)
    finish(session.adapt(replace(recipe, strength=0.0)), session.handle)
    maps = draw(session)
    np.testing.assert_array_equal(maps["disca"], maps["disir"])
    shares = []
    for strength in (0.5, 3.0):
        session.proposals.set_strength(strength)
        assert not session.must_learn
        maps = draw(session)
        shares.append((maps["disca"] != maps["disir"]).mean())
    assert shares[1] > 0
    assert shares[0] <= shares[1]
    with pytest.raises(RecipeError, match="strength = 9"):
        session.proposals.set_strength(9.0)


def test_a_verdict_is_about_the_strength_it_was_given_at(session):
    adapted(session, Tilt())
    session.proposals.accept()
    assert session.proposals.current is None
    session.proposals.set_strength(3.0)
    assert session.proposals.current is session.document.adapted
    session.document.undo()
    assert session.proposals.current is None


def test_verdicts_need_an_adaptation(session):
    for verb in (session.proposals.accept, session.proposals.reject, session.proposals.only_near):
        with pytest.raises(AreaError, match="nothing was adapted"):
            verb()
    with pytest.raises(RecipeError, match="nothing was adapted"):
        session.proposals.set_strength(1.0)
    adapted(session)
    with pytest.raises(RecipeError, match="has no strength"):
        session.proposals.set_strength(2.0)
    region = finish(session.proposals.ripple()).regions[0]
    session.proposals.reject([region])
    draw(session)
    with pytest.raises(AreaError, match="look at the list again"):
        session.proposals.accept([region])


def test_verdicts_come_back_from_the_journal(tmp_path, picture, compute):
    path = write_image(tmp_path / "image.tif", np.moveaxis(picture, -1, 0))
    session = Session(open_raster(path), make_tiny_network(), compute=compute)
    journal = restore.begin(session, "")
    adapted(session)
    regions = finish(session.proposals.ripple()).regions
    session.proposals.reject(regions[:1])
    session.proposals.accept(regions[1:3])
    session.proposals.accept([Area.rectangle(Window(2, 3, 9, 9))])
    session.proposals.only_near()
    maps = draw(session)
    titles = [step.title for step in session.document.history]
    assert titles[-4:] == [
        "reject a region",
        "accept 2 regions",
        "accept a region",
        "only near the clicks",
    ]
    session.close()
    again = restore.replay(journal.path, open_raster(path), make_tiny_network(), compute=compute)
    assert [step.title for step in again.document.history] == titles
    for name, labels in draw(again).items():
        np.testing.assert_array_equal(labels, maps[name], err_msg=name)
    assert read_journal(journal.path).counts == (2, 1, 0, 0, 0)


def test_areas_and_strengths_that_make_no_sense_are_refused(session):
    adapted(session, Tilt())
    with pytest.raises(AreaError):
        session.proposals.reject([Area.rectangle(Window(5000, 0, 10, 10))])
    with pytest.raises(RecipeError, match="not a number"):
        session.proposals.set_strength(float("nan"))


def test_an_array_without_ground_resolution_has_no_square_metres(session):
    assert isinstance(session.raster, ArrayRaster)
    adapted(session)
    assert finish(session.proposals.ripple()).regions[0].square_metres is None
