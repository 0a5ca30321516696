from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import pytest
import rasterio
import tifffile
import torch

from builders import make_card, make_network, write_image
from napari_disca.annotations.guidance import Guidance
from napari_disca.annotations.simulated_annotator import IGNORE
from napari_disca.core.errors import DataError, NotFiniteError, RecipeError
from napari_disca.core.events import Progress, finish
from napari_disca.core.tiling import Window
from napari_disca.evaluation import (
    ClassMap,
    Record,
    Settings,
    evaluate,
    evaluate_image,
    write_json,
)
from napari_disca.evaluation.raster_subset import RasterSubset, parts_worth_clicking
from napari_disca.evaluation.simulated_verdicts import verdicts_on
from napari_disca.networks import Network, fingerprint
from napari_disca.raster import open_raster
from napari_disca.recipes import RECIPES, Disca
from napari_disca.session.regions.ripple import compare
from napari_disca.training.pairing import pairs

RADIUS = 12
#: Any click tilts the whole map: plain SGD on the biases alone.
TILT = Disca(parameters="all", optimiser="sgd", rate=1.0, passes=5, regulariser="none")


class Obedient(Network):
    """Answers with its biases, and with the clicked class wherever a cone reaches."""

    multiple = 1

    def __init__(self, *biases: float, obeys: float = 100.0, radius: int = RADIUS) -> None:
        super().__init__(make_card(len(biases), guidance=Guidance("cone", radius=radius)))
        self.biases = torch.nn.Parameter(torch.tensor(biases))
        self.obeys = obeys

    def encode(self, image, guidance):
        return image, guidance

    def decode(self, features):
        return self.biases[None, :, None, None] + self.obeys * features[1]


def disc(shape, *centres, radius=RADIUS, label=1):
    """Reference map: class `label` as far as a cone reaches around the centres, 0 elsewhere."""
    truth = np.zeros(shape, np.uint8)
    rows, cols = np.ogrid[: shape[0], : shape[1]]
    for row, col in centres:
        truth[np.hypot(rows - row, cols - col) < radius] = label
    return truth


def black(shape):
    return open_raster(np.zeros((*shape, 3), np.uint8))


def measure(network, truth, recipes, compute, raster=None, **settings):
    raster = raster or black(truth.shape)
    job = evaluate_image(network, raster, truth, recipes, Settings(**settings), compute=compute)
    return finish(job)


def test_one_click_in_the_middle_makes_the_map_perfect(compute):
    truth = disc((96, 96), (40, 50))
    share = (truth == 0).mean()
    (record,) = measure(Obedient(1.0, 0.0), truth, ["disir"], compute, clicks=3)
    assert record.placed == ((40, 50, 1),)
    # Class 1 is missed before: IoU `share` and 0. No error is left after one click, so the
    # annotator stops and the last value is repeated.
    assert record.miou == pytest.approx((share / 2, 1.0, 1.0, 1.0))
    assert record.clicks == 1
    assert record.iou_per_class == {"class 0": 1.0, "class 1": 1.0}
    assert (record.collateral, record.kept_clicks) == (0.0, 1.0)
    assert (record.recipe, record.mode, record.refused) == ("disir", "sequential", 0)
    assert record.seconds > 0


def test_clicks_come_one_after_the_other_largest_first(compute):
    truth = disc((96, 200), (30, 30), (60, 100)) | disc((96, 200), (40, 160), radius=7)
    (record,) = measure(Obedient(1.0, 0.0), truth, ["disir"], compute, clicks=2)
    assert [p[:2] for p in record.placed] == [(30, 30), (60, 100)]
    assert record.miou[0] < record.miou[1] < record.miou[2] < 1.0


def test_one_shot_places_all_clicks_on_the_initial_map(compute):
    truth = disc((96, 200), (30, 30), (60, 100))
    (record,) = measure(Obedient(1.0, 0.0), truth, ["disir"], compute, clicks=4, mode="one-shot")
    assert [p[:2] for p in record.placed] == [(30, 30), (60, 100)]
    assert record.clicks == 2
    assert record.miou == (pytest.approx((truth == 0).mean() / 2), None, None, None, 1.0)


def test_a_recipe_that_overdoes_it_is_found_out(compute):
    truth = disc((96, 96), (40, 50))
    share = (truth == 1).mean()
    (record,) = measure(Obedient(1.0, 0.0), truth, {"tilt": TILT}, compute, clicks=1)
    # Everything became class 1.
    assert record.miou[1] == pytest.approx(share / 2)
    assert (record.collateral, record.collateral_inside) == (1.0, 1.0)
    assert record.collateral_outside is None  # one tile holds it all
    assert record.kept_clicks == 1.0
    assert record.after < record.before


def test_collateral_outside_the_clicked_tiles(compute):
    truth = disc((96, 900), (40, 50))
    (record,) = measure(Obedient(1.0, 0.0), truth, {"tilt": TILT}, compute, clicks=1)
    assert record.collateral_outside == 1.0
    (record,) = measure(Obedient(1.0, 0.0), truth, ["disir"], compute, clicks=1)
    assert record.collateral_outside == 0.0


@pytest.mark.parametrize("mode", ["sequential", "one-shot"])
def test_what_learns_is_compared_with_disir_with_its_own_clicks(mode, compute):
    truth = disc((96, 192), (40, 50), (40, 140))
    # The tilt spoils the map, so that its clicks are not those of DISIR from the second on.
    run = {"disir": RECIPES["disir"], "tilt": TILT}
    network = Obedient(1.0, 0.0)
    disir, tilt = measure(network, truth, run, compute, clicks=2, mode=mode)
    assert disir.disir == ()
    assert np.isnan(disir.over_disir)
    assert tilt.disir[0] == tilt.miou[0]
    # The first click is the same.
    at = 1 if mode == "sequential" else 2
    assert tilt.disir[at] == disir.miou[at]
    assert tilt.miou[at] < tilt.disir[at]
    assert tilt.over_disir == tilt.miou[2] - tilt.disir[2]
    if mode == "sequential":
        assert tilt.placed != disir.placed
        assert tilt.disir[2] < disir.miou[2]


def test_a_recipe_knows_nothing_of_the_one_before(compute):
    """Also where weights carry over from click to click: each recipe starts anew."""
    truth = disc((96, 96), (30, 30)) | disc((96, 96), (70, 70), radius=9)
    carries = replace(TILT, rate=0.05, passes=2, start="current", anchor="guided")
    network = Obedient(1.0, 0.0)
    weights = fingerprint(network)

    def figures(*names):
        recipes = {"tilt": TILT, "disir": RECIPES["disir"], "carries": carries}
        chosen = {name: recipes[name] for name in names}
        found = measure(network, truth, chosen, compute, clicks=2)
        return {r.recipe: replace(r, seconds=0.0) for r in found}

    together = figures("tilt", "carries", "disir")
    assert list(together) == ["tilt", "carries", "disir"]
    for name, record in together.items():
        assert figures(name) == {name: record}
    assert fingerprint(network) == weights


def test_where_the_network_does_not_follow_the_next_click_lies_elsewhere(compute):
    truth = disc((96, 96), (40, 50), radius=24)
    deaf = Obedient(1.0, 0.0, obeys=0.0)
    (record,) = measure(deaf, truth, ["disir"], compute, clicks=5)
    assert record.clicks == 5
    assert len({p[:2] for p in record.placed}) == 5
    assert all(truth[p[:2]] == 1 for p in record.placed)
    assert record.kept_clicks == 1.0, "a click is obeyed where it lies"
    assert list(record.miou) == sorted(set(record.miou))
    assert record.miou[-1] < 0.9


def test_of_several_classes_with_one_id_the_likeliest_is_clicked(compute):
    truth = 1 - disc((96, 96), (40, 50))  # 0 in the disc, 1 around it
    network = Obedient(0.0, 3.0, 1.0, -1.0)
    (record,) = measure(
        network, truth, ["disir"], compute, clicks=2, class_map={0: 0, 1: 1, 2: 0, 3: 0}
    )
    assert record.placed == ((40, 50, 2),)
    assert record.after == 1.0
    assert record.kept_clicks == 1.0
    assert record.iou_per_class == {"class 0+class 2+class 3": 1.0, "class 1": 1.0}


def test_with_a_factor_clicks_and_scores_stay_on_the_image(compute):
    truth = disc((96, 128), (40, 60), radius=2 * RADIUS)
    (record,) = measure(Obedient(1.0, 0.0), truth, ["disir"], compute, clicks=1, factor=0.5)
    assert record.factor == 0.5
    assert record.placed == ((40, 60, 1),)
    assert record.after > 0.9


def test_pixels_without_data_are_neither_clicked_nor_scored(compute):
    truth = disc((96, 96), (40, 50), (70, 20))
    image = np.zeros((96, 96, 3), np.float32)
    image[50:, :40] = np.nan
    raster = open_raster(image)
    (record,) = measure(Obedient(1.0, 0.0), truth, ["disir"], compute, raster, clicks=3)
    assert record.placed == ((40, 50, 1),)
    assert record.after == 1.0


def test_what_was_changed_for_the_worse_is_rejected(compute):
    truth = disc((96, 192), (40, 50))
    (record,) = measure(Obedient(1.0, 0.0), truth, {"tilt": TILT}, compute, clicks=2, verdicts=1)
    # The tilt makes all of it class 1; the verdict takes that back, and no error is left.
    assert record.after == record.disir[1] == 1.0
    assert (record.clicks, record.verdicts) == (1, 1)
    assert record.gestures == (0, 2, 2)


def test_what_was_changed_for_the_better_is_accepted_and_counted(compute):
    truth = 1 - disc((96, 192), (40, 150))
    tilt, disir = measure(
        Obedient(1.0, 0.0),
        truth,
        {"tilt": TILT, "disir": RECIPES["disir"]},
        compute,
        clicks=2,
        verdicts=3,
    )
    assert tilt.gestures[1] == 2
    assert tilt.gestures[2] == tilt.clicks + tilt.verdicts
    assert tilt.after == 1.0
    # What was accepted does not count for DISIR with the same clicks.
    assert tilt.disir[1] == disir.miou[1] < 0.3
    assert (disir.verdicts, disir.gestures) == (0, (0, 1, 2))
    assert tilt.kept_clicks == 1.0


def test_without_verdicts_nothing_is_judged(compute):
    truth = disc((96, 192), (40, 50))
    (record,) = measure(Obedient(1.0, 0.0), truth, {"tilt": TILT}, compute, clicks=1)
    assert (record.verdicts, record.gestures) == (0, (0, 1))
    with pytest.raises(DataError, match="verdicts = -1 is too small"):
        Settings(verdicts=-1)


def test_a_region_is_judged_by_the_majority_of_its_pixels():
    before = np.zeros((40, 60), np.uint8)
    after = before.copy()
    after[:30, :20] = 1  # 600, mostly right
    after[:20, 30:50] = 2  # 400, mostly wrong
    after[25:35, 30:50] = 3  # 200, the same mask id as before
    after[38:, :10] = 1  # 20, of which nothing is known
    truth = np.zeros_like(before)
    truth[:20, :20] = 1
    truth[35:] = IGNORE
    maps = Labels(before), Labels(after)
    ripple = finish(compare(*maps, [Window(0, 0, 40, 60)]))
    classes = ClassMap.of({0: 0, 1: 1, 2: 1, 3: 0}, make_card(4).classes)

    def judged(count):
        found = verdicts_on(ripple.regions, *maps, truth, classes, count)
        return [r.area for r in found.accepted], [r.area for r in found.rejected]

    assert judged(1) == ([600], [])
    assert judged(2) == judged(9) == ([600], [400])


class Labels:
    def __init__(self, array):
        self.array, self.shape = array, array.shape

    def read(self, window):
        return self.array[window.slices]


@dataclass(frozen=True)
class Refusing:
    """A recipe whose result is never finite."""

    error: Exception = field(default_factory=lambda: NotFiniteError("not finite"))
    title: ClassVar[str] = "refusing"
    continues: ClassVar[bool] = False
    learns: ClassVar[bool] = True

    def windows(self, clicks, tiling):
        return []

    def adapt(self, network, crops, *, current=None, compute, seed=0):
        yield Progress("adapting", 0, 1)
        raise self.error


def test_what_is_refused_is_counted_and_the_clicks_still_guide(compute):
    truth = disc((96, 200), (30, 30), (60, 100))
    (record,) = measure(Obedient(1.0, 0.0), truth, {"refusing": Refusing()}, compute, clicks=2)
    assert record.refused == 2
    assert record.after == 1.0


def test_a_recipe_that_does_not_fit_the_network_is_not_measured_as_disir(compute):
    truth = disc((96, 200), (30, 30), (60, 100))
    recipes = {"unfit": Refusing(RecipeError("no BatchNorm layers to adapt"))}
    with pytest.raises(RecipeError, match="no BatchNorm layers to adapt"):
        measure(Obedient(1.0, 0.0), truth, recipes, compute, clicks=2)


def test_a_real_network_with_every_recipe_of_the_table(compute, image):
    truth = np.kron(np.arange(4).reshape(2, 2) % 3, np.ones((32, 40))).astype(np.uint8)
    raster = open_raster(np.ascontiguousarray(image[:64, :80]))
    found = measure(make_network(), truth, list(RECIPES), compute, raster, clicks=2)
    assert [r.recipe for r in found] == list(RECIPES)
    assert len({r.before for r in found}) == 1
    for record in found:
        assert len(record.miou) == 3
        assert all(0 <= v <= 1 for v in record.miou)
        assert record.clicks == 2


def test_a_mask_that_does_not_fit_is_refused(compute):
    network = Obedient(1.0, 0.0)
    with pytest.raises(DataError, match="90 x 96 pixels, the image 96 x 96"):
        measure(network, np.zeros((90, 96), np.uint8), ["disir"], compute, black((96, 96)))
    with pytest.raises(DataError, match="holds id 2, but the network knows 0 class 0, 1 class 1"):
        measure(network, np.full((96, 96), 2, np.uint8), ["disir"], compute)
    with pytest.raises(RecipeError, match="recipe 'best' is unknown"):
        measure(network, np.zeros((96, 96), np.uint8), ["best"], compute)


@pytest.mark.parametrize(
    "changes", [{"mode": "both"}, {"clicks": 0}, {"crop": 8}, {"max_images": 0}]
)
def test_impossible_settings_are_refused(changes):
    with pytest.raises(DataError):
        Settings(**changes)


def test_closing_in_the_middle_stops(compute):
    truth = disc((96, 96), (40, 50))
    settings = Settings(clicks=5)
    with closing(
        evaluate_image(
            Obedient(1.0, 0.0), black((96, 96)), truth, {"tilt": TILT}, settings, compute=compute
        )
    ) as job:
        for event in job:
            if isinstance(event, Progress) and "tilt" in event.stage:
                break
    with pytest.raises(StopIteration):
        next(job)


# ---------------------------------------------------------------- folders and parts


@pytest.fixture
def folders(tmp_path):
    """Three images of 128 x 256 pixels; the right half of `b` shows one class only."""
    for name in ("imgs", "gts"):
        (tmp_path / name).mkdir()
    for name in "abc":
        truth = disc((128, 256), (40, 50), *([] if name == "b" else [(60, 190)]))
        pixels = np.random.default_rng(ord(name)).integers(0, 255, (128, 256, 3)).astype(np.uint8)
        tifffile.imwrite(tmp_path / "imgs" / f"{name}.tif", pixels, photometric="rgb")
        tifffile.imwrite(tmp_path / "gts" / f"{name}.tif", truth)
    return pairs(tmp_path)


def test_folders_give_one_record_per_image_and_recipe(folders, compute, tmp_path):
    events = []
    job = evaluate(Obedient(1.0, 0.0), folders, ["disir", "paper"], Settings(clicks=1),
                   compute=compute)  # fmt: skip
    records = finish(job, events.append)
    assert [(r.image, r.recipe) for r in records] == [
        (f"{name}.tif", recipe) for name in "abc" for recipe in ("disir", "paper")
    ]
    assert [e for e in events if isinstance(e, Record)] == records
    read = json.loads(write_json(records, tmp_path / "out.json").read_text(encoding="utf-8"))
    assert [row["image"] for row in read] == [r.image for r in records]


def test_parts_of_images_that_show_two_classes(folders, compute):
    settings = Settings(clicks=1, crop=128)
    records = finish(evaluate(Obedient(1.0, 0.0), folders, ["disir"], settings, compute=compute))
    assert [r.image for r in records] == [
        "a.tif@0,0", "a.tif@0,128", "b.tif@0,0", "c.tif@0,0", "c.tif@0,128",
    ]  # fmt: skip
    # Clicks are counted from the part's own corner.
    assert [r.placed[0][:2] for r in records[:2]] == [(40, 50), (60, 62)]
    assert all(r.after == 1.0 for r in records)
    names = []
    for count in (2, 2, 3, 4):
        job = evaluate(
            Obedient(1.0, 0.0),
            folders,
            ["disir"],
            replace(settings, max_images=count),
            compute=compute,
        )
        names.append({r.image for r in finish(job)})
    assert names[0] == names[1] < names[2] < names[3]
    assert len(names[0]) == 2


def test_what_is_known_is_not_measured_again(folders, compute):
    settings = Settings(clicks=1)
    recipes = {"near": RECIPES["disir"], "far": TILT}
    finished = {("a.tif", "near"), ("a.tif", "far"), ("b.tif", "near")}
    job = evaluate(
        Obedient(1.0, 0.0), folders, recipes, settings, compute=compute, finished=finished
    )
    events = []
    records = finish(job, events.append)
    assert [(r.image, r.recipe) for r in records] == [
        ("b.tif", "far"), ("c.tif", "near"), ("c.tif", "far"),
    ]  # fmt: skip
    stages = {event.stage for event in events if isinstance(event, Progress)}
    assert not any(stage.startswith("a.tif") for stage in stages)


def test_no_part_worth_clicking_is_refused(folders, compute):
    settings = Settings(clicks=1, crop=64, class_map={0: 0, 1: 0})
    with pytest.raises(DataError, match="holds id 1"):
        finish(evaluate(Obedient(1.0, 0.0), folders, ["disir"], settings, compute=compute))
    with pytest.raises(DataError, match="no images to measure"):
        finish(evaluate(Obedient(1.0, 0.0), [], ["disir"], compute=compute))


def test_parts_lie_on_a_grid_and_know_enough():
    truth = np.full((300, 330), IGNORE, np.uint8)
    truth[:200, :100] = 0
    truth[:100, :60] = 1
    truth[200:, :10] = 1  # one class, and too little of it known
    assert parts_worth_clicking(truth, 100) == [Window(0, 0, 100, 100)]
    # One side below the size: cut along the other only.
    assert parts_worth_clicking(truth[:80, :200], 100) == [Window(0, 0, 80, 100)]


def test_a_part_is_an_image_of_its_own(tmp_path):
    pixels = np.arange(3 * 40 * 50, dtype=np.uint16).reshape(3, 40, 50)
    pixels[:, 20, 30] = 0
    place = {"crs": "EPSG:32737", "transform": rasterio.Affine(2, 0, 500000, 0, -2, 9000000)}
    with open_raster(write_image(tmp_path / "a.tif", pixels, nodata=0, **place)) as whole:
        part = RasterSubset(whole, Window(10, 20, 15, 25))
        assert (part.name, part.shape, part.count) == ("a.tif@10,20", (15, 25), 3)
        np.testing.assert_array_equal(part.read(Window(1, 2, 3, 4)), pixels[:, 11:14, 22:26])
        np.testing.assert_array_equal(
            part.read(Window(0, 0, 9, 9), (2,)), pixels[1:2, 10:19, 20:29]
        )
        assert part.transform == rasterio.Affine(2, 0, 500040, 0, -2, 8999980)
        assert part.crs == whole.crs
        assert not part.valid(Window(10, 10, 1, 1)).any()
        assert part.valid(Window(0, 0, 5, 5)).all()
        assert part.overview(20)[0].shape == whole.overview(20)[0].shape
        np.testing.assert_array_equal(
            part.reduced(Window(0, 0, 8, 8), 2), whole.reduced(Window(10, 20, 8, 8), 2)
        )


def test_a_part_of_a_real_held_out_area(shared, compute):
    folder = shared / "satellite_landcover"
    chosen = [p for p in pairs(folder) if p.name == "tile2_part001"]
    settings = Settings(clicks=1, crop=256, max_images=1)
    (record,) = finish(
        evaluate(make_network(make_card(5)), chosen, ["disir"], settings, compute=compute)
    )
    assert record.image.startswith("tile2_part001.jpg@")
    assert record.clicks == 1
    assert 0 < record.after < 1
