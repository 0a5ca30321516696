from __future__ import annotations

import json

import numpy as np
import pytest

from builders import make_card
from napari_disca.inference.reading import Reading
from napari_disca.raster import Scaling, open_raster
from napari_disca.session.preferences import recall, remember


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    """The folder of settings."""
    monkeypatch.setattr(
        "napari_disca.session.preferences.platformdirs.user_state_dir",
        lambda *_, **__: str(tmp_path / "s"),
    )
    return tmp_path / "s"


@pytest.fixture
def raster(image):
    return open_raster(image)


def test_nothing_is_known_at_first(raster):
    assert recall(raster, make_card()) is None


def test_a_factor_is_remembered_for_its_image_and_network_only(raster):
    card = make_card()
    remember(raster, card, Reading(factor=0.3))
    assert recall(raster, card) == Reading(factor=0.3)
    assert recall(raster, make_card(name="another")) is None
    assert recall(open_raster(np.zeros((150, 200, 3), np.uint8)), card) is None


def test_none_forgets(raster):
    card = make_card()
    remember(raster, card, Reading(factor=0.3))
    remember(raster, card, Reading())
    assert recall(raster, card) is None


def test_forgetting_what_was_never_known_writes_nothing(raster, state):
    remember(raster, make_card(), Reading())
    assert not state.exists()


@pytest.mark.parametrize("damage", [b"", b"{", b"[1, 2]", b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_file_is_forgotten(raster, state, damage):
    card = make_card()
    remember(raster, card, Reading(factor=0.3))
    (file,) = state.iterdir()
    file.write_bytes(damage)
    assert recall(raster, card) is None
    remember(raster, card, Reading(factor=0.5))
    assert recall(raster, card) == Reading(factor=0.5)


@pytest.mark.parametrize("value", ['"0.5"', "0", "1e9", "-1.0", "NaN", "null", "[0.5]"])
def test_an_impossible_factor_is_not_believed(raster, state, value):
    card = make_card()
    remember(raster, card, Reading(factor=0.3))
    (file,) = state.iterdir()
    file.write_text(file.read_text().replace("0.3", value))
    assert recall(raster, card) is None


@pytest.mark.parametrize(
    "reading",
    [
        Reading(bands=(3, 2, 1), factor=2.0, scaling=Scaling("range", 0.1, 3e4), find_fill=False),
        Reading(scaling=Scaling("percentile"), find_fill=(0.0, 65535.0, -3.4e38)),
    ],
)
def test_all_of_a_reading_is_remembered(raster, reading):
    remember(raster, make_card(), reading)
    assert recall(raster, make_card()) == reading


def test_a_factor_of_an_earlier_version_is_read(raster, state):
    card = make_card()
    remember(raster, card, Reading(factor=0.5))
    (file,) = state.iterdir()
    (key,) = json.loads(file.read_text())
    file.write_text(json.dumps({key: 0.25}))
    assert recall(raster, card) == Reading(factor=0.25)


@pytest.mark.parametrize(
    "saved", [{"bands": [0]}, {"bands": ["1"]}, {"bands": 3}, {"scaling": "9:1"}, {"fill": "black"}]
)
def test_a_choice_that_makes_no_sense_is_not_believed(raster, state, saved):
    card = make_card()
    remember(raster, card, Reading(factor=0.5))
    (file,) = state.iterdir()
    (key,) = json.loads(file.read_text())
    file.write_text(json.dumps({key: saved}))
    assert recall(raster, card) is None


def test_a_folder_that_cannot_be_written_stops_nothing(raster, state):
    state.write_text("a file where the folder should be")
    remember(raster, make_card(), Reading(factor=0.3))
    assert recall(raster, make_card()) is None


def test_the_oldest_are_forgotten(raster, monkeypatch):
    monkeypatch.setattr("napari_disca.session.preferences._LIMIT", 3)
    reading = Reading(factor=0.3)
    cards = [make_card(name=f"network {i}") for i in range(5)]
    for card in cards:
        remember(raster, card, Reading(factor=0.3))
    assert [recall(raster, card) for card in cards] == [None, None, reading, reading, reading]
