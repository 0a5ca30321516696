"""`evaluate`: the table, the JSON file, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio

from napari_disca.scenes import LAND_COVER

FAST = (
    *("--clicks", "2", "--passes", "1", "--crop-size", "64", "--precision", "float32"),
    *("--recipe", "disir", "--recipe", "held-out", "--adopt", "full"),
)


def test_the_table_and_the_records(run, files, tmp_path):
    output = tmp_path / "figures.json"
    result = run(
        *("evaluate", "--images", files.images, "--masks", files.masks),
        *("--weights", files.weights, "--json", output, *FAST),
    )
    assert result.code == 0
    header, _, disir, default = result.out.splitlines()
    assert header.split()[:4] == ["recipe", "mode", "images", "before"]
    assert disir.split()[:3] == ["disir", "sequential", "2"]
    assert default.split()[:3] == ["held-out", "sequential", "2"]
    records = json.loads(output.read_text())
    assert [(r["image"], r["recipe"]) for r in records] == [
        (f"{name}.tif", recipe) for name in ("north", "south") for recipe in ("disir", "held-out")
    ]
    for record in records:
        assert record["mode"] == "sequential"
        assert record["clicks"] == 2
        assert len(record["miou"]) == 3
        assert all(0 <= value <= 1 for value in record["miou"])
        assert set(record["iou_per_class"]) <= {c.name for c in LAND_COVER}
        for share in ("collateral", "kept_clicks"):
            assert 0 <= record[share] <= 1
        assert record["seconds"] > 0
    # The recipe's map is not DISIR's: the flags reached it and it learned.
    assert records[0]["miou"] != records[1]["miou"]


def test_one_shot_on_some_images_and_a_part_of_them(run, files, tmp_path):
    output = tmp_path / "figures.json"
    result = run(
        *("evaluate", "--images", files.images, "--masks", files.masks, "--only", "south"),
        *("--weights", files.weights, "--mode", "one-shot", "--recipe", "disir", "--crop", "100"),
        *("--max-images", "1", "--clicks", "3", "--scale", "0.5", "--json", output),
    )
    assert result.code == 0
    (record,) = json.loads(output.read_text())
    assert record["image"].startswith("south.tif@")
    assert record["mode"] == "one-shot"
    assert record["factor"] == 0.5
    assert [value is None for value in record["miou"]] == [False, True, True, False]


@pytest.mark.parametrize("class_map", ["building=1,*=0", "0:1,1:0,2:0,3:0,4:0"])
def test_five_classes_can_be_judged_on_two(run, files, tmp_path, class_map):
    masks = tmp_path / "masks"
    masks.mkdir()
    with rasterio.open(Path(files.masks) / "north.tif") as file:
        profile = {**file.profile, "nodata": None}
    building = np.zeros((150, 200), np.uint8)
    building[40:100, 30:80] = 255
    with rasterio.open(masks / "north.tif", "w", **profile) as file:
        file.write(building, 1)
    output = tmp_path / "figures.json"
    result = run(
        *("evaluate", "--images", files.images, "--masks", masks, "--class-map", class_map),
        *("--weights", files.weights, "--recipe", "disir", "--clicks", "1", "--json", output),
    )
    assert result.code == 0
    (record,) = json.loads(output.read_text())
    assert set(record["iou_per_class"]) == {"building", "land+road+vegetation+water"}


MISTAKES = {
    "no folder": ("--images {t}/none --masks {m}", "not a folder"),
    "no pairs": ("--images {i} --masks {t}", "holds no file that ends with"),
    "no masks": ("--images {i}", "name the folder of the masks"),
    "none of that name": ("--images {i} --masks {m} --only west", "west"),
    "none to hold out": ("--images {i} --masks {m} --hold-out west", "west"),
    "all held out": ("--images {i} --masks {m} --hold-out north --hold-out south", "no images"),
    "an unknown class": ("--images {i} --masks {m} --class-map roof=1,*=0", "roof"),
    "half a map": ("--images {i} --masks {m} --class-map 0:1", "lacks class"),
    "no map": ("--images {i} --masks {m} --class-map building", "building=1"),
    "masks of other classes": ("--images {i} --masks {m} --class-map 0=1,*=0", "holds id"),
    "an unknown recipe": ("--images {i} --masks {m} --recipe magic", "magic"),
    "nothing to learn": ("--images {i} --masks {m} --recipe disir --rate 1e-4", "--rate"),
    "no clicks": ("--images {i} --masks {m} --clicks 0", "clicks"),
    "no mode": ("--images {i} --masks {m} --mode both", "one-shot"),
    "tiny crops": ("--images {i} --masks {m} --crop 8", "crop"),
    "no scale": ("--images {i} --masks {m} --scale 0", "factor"),
    "colours in ids": ("--images {i} --masks {m} --mask-coding potsdam", "colours"),
    "no seed": ("--images {i} --masks {m} --seed -1", "'--seed': '-1'"),
    "a folder as a file": ("--images {i} --masks {m} --json {t}", "it is a folder"),
    "no place": ("--images {i} --masks {m} --json {i}/north.tif/f.json", "cannot write"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_and_2(run, files, tmp_path, name):
    given, word = MISTAKES[name]
    names = {"i": files.images, "m": files.masks, "t": tmp_path}
    arguments = [part.format(**names) for part in given.split(" ")]
    result = run("evaluate", *arguments, "--weights", files.weights)
    assert (result.code, result.out) == (2, "")
    # What was understood of images and masks may stand before it.
    mistakes = [line for line in result.error_lines if line.startswith("napari-disca: ")]
    assert len(mistakes) == 1, result.err
    assert word in mistakes[0]


def test_images_without_a_mask_are_named_before_hours_are_spent(run, files, tmp_path):
    masks = tmp_path / "masks"
    masks.mkdir()
    (masks / "north.tif").write_bytes((Path(files.masks) / "north.tif").read_bytes())
    result = run(
        *("evaluate", "--images", files.images, "--masks", masks, "--weights", files.weights),
        *("--recipe", "disir", "--clicks", "1", "--crop", "64", "--max-images", "1"),
    )
    assert result.code == 0, result.err
    first, second, third, fourth, *_ = result.error_lines
    assert first == (
        "1 of 2 images have a mask; left out, without a mask of the same name: south.tif"
    )
    assert second == "images: 1 part of 64 x 64 pixels of 1 image of 150 x 200 pixels"
    assert third.startswith("masks: ")
    assert fourth.startswith("classes: 0 building ")
