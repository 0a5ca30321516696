"""What a session may touch in a folder that is the user's."""

from __future__ import annotations

import json

import numpy as np
import pytest

from builders import make_network
from napari_disca.core.errors import ExportError
from napari_disca.core.events import finish
from napari_disca.raster import open_raster
from napari_disca.session.kept_maps import INDEX
from napari_disca.session.session import MAPS, Session


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(0).integers(0, 255, (80, 90, 3)).astype(np.uint8)


@pytest.fixture
def opened(picture, compute, tmp_path):
    def opened(seed=0):
        return Session(
            open_raster(picture), make_network(seed=seed), compute=compute, folder=tmp_path
        )

    return opened


@pytest.mark.parametrize("name", ["disca/report.txt", "initial/level0", "disir/deep/er/file"])
def test_a_folder_with_something_of_the_users_is_refused(opened, tmp_path, name):
    own = tmp_path / name
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    with pytest.raises(ExportError, match=r"not made by napari-disca.*choose another folder"):
        opened()
    assert own.read_text() == "mine"
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [own], "nothing else was put there"


def test_a_file_where_a_map_would_lie_is_refused(opened, tmp_path):
    (tmp_path / "disca").write_text("mine")
    with pytest.raises(ExportError, match="not made by napari-disca"):
        opened()
    assert (tmp_path / "disca").read_text() == "mine"


@pytest.mark.parametrize(
    "text",
    [
        "mine",
        "[]",
        "{}",
        json.dumps({"napari-disca": "maps", "files": ["../../letter.txt"]}),
        json.dumps({"napari-disca": "maps", "files": ["/etc/passwd"]}),
        json.dumps({"napari-disca": "maps", "files": [1]}),
        json.dumps({"napari-disca": "maps"}),
    ],
)
def test_an_index_that_was_not_written_here_is_refused(opened, tmp_path, text):
    (tmp_path / INDEX).write_text(text)
    with pytest.raises(ExportError, match="not made by napari-disca"):
        opened()
    assert (tmp_path / INDEX).read_text() == text


@pytest.mark.parametrize("goodbye", [True, False])
def test_what_the_user_puts_beside_kept_maps_stays(opened, tmp_path, goodbye):
    first = opened()
    finish(first.predict(), first.handle)
    own = [tmp_path / "notes.txt", *(tmp_path / name / "notes.txt" for name in MAPS)]
    for path in own:
        path.write_text("mine")
    if goodbye:
        first.close()
    # Another network: its maps are made anew.
    again = opened(seed=1)
    assert again.up_to_date("initial") == 0.0
    if not goodbye:
        assert not again.maps["initial"].levels[0].any(), "what may be half painted is gone"
    again.close()
    assert all(path.read_text() == "mine" for path in own)


def test_other_files_in_the_folder_itself_are_no_obstacle(opened, tmp_path):
    (tmp_path / "image.txt").write_text("mine")
    (tmp_path / "states.json").write_text("mine")
    session = opened()
    session.close()
    assert (tmp_path / "image.txt").read_text() == "mine"
    assert (tmp_path / "states.json").read_text() == "mine"


def test_a_folder_that_is_a_file_is_one_clear_line(picture, compute, tmp_path):
    path = tmp_path / "file"
    path.write_text("mine")
    with pytest.raises(ExportError, match="cannot keep maps"):
        Session(open_raster(picture), make_network(), compute=compute, folder=path)
