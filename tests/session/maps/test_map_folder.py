"""What a session may touch in a folder that is the user's."""

from __future__ import annotations

import gc
import json
import shutil

import numpy as np
import pytest

from builders import make_network
from napari_disca.core.errors import ExportError
from napari_disca.core.events import finish
from napari_disca.raster import open_raster
from napari_disca.session.maps.map_folder import INDEX
from napari_disca.session.session import MAPS, Session


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(0).integers(0, 255, (80, 90, 3)).astype(np.uint8)


@pytest.fixture
def opened(picture, compute, tmp_path):
    def opened(seed=0, pixels=picture, folder=tmp_path):
        return Session(open_raster(pixels), make_network(seed=seed), compute=compute, folder=folder)

    return opened


@pytest.fixture
def kept_folder(opened):
    """A folder of complete maps, kept by a session that was closed."""

    def make(folder):
        session = opened(folder=folder)
        finish(session.refine(), session.handle)
        session.close()
        return folder

    return make


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
        json.dumps({"napari-disca": "maps", "files": {"../../letter.txt": 1}}),
        json.dumps({"napari-disca": "maps", "files": {"/etc/passwd": 1}}),
        json.dumps({"napari-disca": "maps", "files": {"photos/level0": 1}}),
        json.dumps({"napari-disca": "maps", "files": {"disca/photo.jpg": 1}}),
        json.dumps({"napari-disca": "maps", "files": {"disca/level0": "1"}}),
        json.dumps({"napari-disca": "maps", "files": ["disca/level0"]}),
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
    else:
        del first  # as if the program were killed
        gc.collect()
    # Another network: its maps are made anew.
    again = opened(seed=1)
    assert again.map_state.up_to_date("initial") == 0.0
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


# What the user does to a folder of kept maps


def test_the_folder_may_be_given_as_text(opened, tmp_path):
    """As docs/howto/huge-images.md shows it."""
    opened(folder=str(tmp_path / "maps")).close()
    assert (tmp_path / "maps" / INDEX).exists()


def test_two_sessions_do_not_use_one_folder_at_once(opened, tmp_path):
    """The versions of one would be written beside the labels of the other."""
    first = opened()
    with pytest.raises(ExportError, match="another session keeps its maps in"):
        opened(seed=1)
    finish(first.refine(), first.handle)
    first.close()
    again = opened()
    assert again.map_state.up_to_date("initial") == 1.0
    again.close()
    assert not [path for path in tmp_path.iterdir() if "lock" in path.name]


def test_a_refused_folder_is_free_again(opened, kept_folder, tmp_path, monkeypatch):
    kept_folder(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("napari_disca.session.maps.maps.LabelPyramid", None)
        with pytest.raises(TypeError):
            opened()
    (tmp_path / "disca" / "level0").write_text("mine")
    with pytest.raises(ExportError, match="not made by napari-disca"):
        opened()
    (tmp_path / "disca" / "level0").unlink()
    opened().close()


def test_a_closed_session_paints_no_kept_maps(opened, kept_folder, tmp_path):
    """The next session would believe their versions."""
    session = opened()
    finish(session.refine(), session.handle)
    session.close()
    session.document.click(3, 4, 1)
    with pytest.raises(ExportError, match="session is closed"):
        finish(session.refine(), session.handle)
    session.close()
    again = opened()
    assert again.map_state.up_to_date("disir") == 1.0


@pytest.mark.parametrize("lost", ["removed", "empty"])
def test_labels_that_are_lost_are_drawn_again(opened, kept_folder, tmp_path, lost):
    file = kept_folder(tmp_path) / "disca" / "level0"
    expected = file.read_bytes()
    file.unlink()
    if lost == "empty":
        file.touch()
    again = opened()
    assert again.map_state.up_to_date("disca") == 0.0
    finish(again.refine(), again.handle)
    again.close()
    assert file.read_bytes() == expected


def own_file(folder, own):
    file = folder / "disca" / "level0"
    file.unlink()
    file.write_text("mine")
    return file


def own_folder(folder, own):
    file = folder / "disca" / "level0"
    file.unlink()
    file.mkdir()
    (file / "letter").write_text("mine")
    return file / "letter"


def linked_file(folder, own):
    own.write_bytes(b"mine" * (80 * 90 // 4))  # as long as the file of the map
    file = folder / "disca" / "level0"
    file.unlink()
    file.symlink_to(own)
    return own


def linked_folder(folder, own):
    own.mkdir()
    (own / "level0").write_bytes(b"mine" * (80 * 90 // 4))
    shutil.rmtree(folder / "disca")
    (folder / "disca").symlink_to(own)
    return own / "level0"


def file_for_folder(folder, own):
    shutil.rmtree(folder / "disca")
    (folder / "disca").write_text("mine")
    return folder / "disca"


def file_for_lock(folder, own):
    file = folder / f".{INDEX}.lock"
    file.write_text("mine")
    return file


def linked_index(folder, own):
    (folder / INDEX).rename(own)
    (folder / INDEX).symlink_to(own)
    return own


@pytest.mark.parametrize(
    "put",
    [
        own_file,
        own_folder,
        linked_file,
        linked_folder,
        file_for_folder,
        file_for_lock,
        linked_index,
    ],
)
@pytest.mark.parametrize("other_image", [False, True])
def test_what_the_user_puts_in_the_place_of_kept_maps_stays(
    opened, kept_folder, picture, tmp_path, put, other_image
):
    own = put(kept_folder(tmp_path / "maps"), tmp_path / "own")
    before = own.read_bytes()
    with pytest.raises(ExportError, match="not made by napari-disca"):
        opened(folder=tmp_path / "maps", pixels=picture[::-1] if other_image else picture)
    assert own.read_bytes() == before


def test_a_file_with_the_name_of_a_level_that_lies_in_memory_stays(opened, picture, tmp_path):
    large = np.zeros((1100, 1100, 3), np.uint8)
    opened(pixels=large).close()
    own = tmp_path / "disca" / "level1"
    own.write_text("mine")
    opened().close()
    assert own.read_text() == "mine"


def test_maps_of_another_size_go(opened, tmp_path):
    opened(pixels=np.zeros((100, 90, 3), np.uint8)).close()
    assert (tmp_path / "disca" / "level0").stat().st_size == 100 * 90
    session = opened()
    assert session.map_state.up_to_date("initial") == 0.0
    assert (tmp_path / "disca" / "level0").stat().st_size == 80 * 90


def test_a_link_to_nowhere_is_something_of_the_users(opened, tmp_path):
    (tmp_path / "disca").symlink_to(tmp_path / "unmounted")
    with pytest.raises(ExportError, match="not made by napari-disca"):
        opened()
    assert (tmp_path / "disca").is_symlink()
