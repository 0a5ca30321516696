from __future__ import annotations

import os
from pathlib import Path

import pytest

from napari_disca.core.errors import ExportError
from napari_disca.storage.atomic import replacing


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_the_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "folder" / "map.tif"
    with replacing(path) as temporary:
        temporary.write_bytes(b"complete")
        assert not path.exists()
        assert temporary.parent == path.parent
        assert temporary.suffix == ".tif"
    assert path.read_bytes() == b"complete"
    assert names(path.parent) == ["map.tif"]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_others_may_read_what_they_could_read_before(tmp_path):
    ordinary, path = tmp_path / "ordinary", tmp_path / "new.safetensors"
    ordinary.touch()
    for mode in (ordinary.stat().st_mode, 0o100640):
        if path.exists():
            path.chmod(mode)
        with replacing(path) as temporary:
            temporary.write_bytes(b"weights")
            temporary.chmod(0o600)  # as safetensors does
        assert path.stat().st_mode == mode


def test_a_file_that_is_there_is_replaced(tmp_path):
    path = tmp_path / "map.tif"
    path.write_bytes(b"old")
    with replacing(str(path)) as temporary:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["map.tif"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GeneratorExit])
def test_an_error_leaves_everything_as_it_was(tmp_path, error):
    path = tmp_path / "map.tif"
    path.write_bytes(b"old")

    def write_half() -> None:
        with replacing(path) as temporary:
            temporary.write_bytes(b"half")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["map.tif"]


def test_what_the_operating_system_refuses_is_an_export_error(tmp_path):
    def write(path: Path, error: OSError | None = None) -> None:
        with replacing(path) as temporary:
            if error is not None:
                raise error
            temporary.write_bytes(b"complete")

    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ExportError, match=r"cannot write .*map\.tif: "):
        write(tmp_path / "file" / "map.tif")
    with pytest.raises(ExportError, match=r"cannot write .*folder: "):
        write(tmp_path / "folder")
    with pytest.raises(ExportError, match=r"map\.tif: No space left on device"):
        write(tmp_path / "map.tif", OSError(28, "No space left on device"))
    with pytest.raises(ExportError, match=r"^already ours$"):
        write(tmp_path / "map.tif", ExportError("already ours"))
    with pytest.raises(ExportError, match="cannot write"), replacing(tmp_path / "never.tif"):
        pass  # nothing was written
    assert names(tmp_path) == ["file", "folder"]
    assert (tmp_path / "file").read_bytes() == b"old"


def test_what_a_killed_program_left_is_removed_by_the_next_one(tmp_path):
    old, young = tmp_path / ".map[1].77.part.tif", tmp_path / ".map[1].78.part.tif"
    other = tmp_path / ".other.77.part.tif"
    for file in (old, young, other):
        file.write_bytes(b"half")
    for file in (old, other):
        os.utime(file, (0, 0))
    with replacing(tmp_path / "map[1].tif") as temporary:
        temporary.write_bytes(b"complete")
    assert names(tmp_path) == [".map[1].78.part.tif", ".other.77.part.tif", "map[1].tif"]


@pytest.mark.skipif(os.name != "posix", reason="Windows flushes no folders")
def test_a_file_is_on_disk_before_it_gets_its_name_and_the_name_after(tmp_path, monkeypatch):
    """Otherwise a power cut can leave an empty file under the name of a complete one."""
    path, seen, real = tmp_path / "map.tif", [], os.fsync

    def noted(descriptor):
        what = "folder" if os.path.samestat(os.fstat(descriptor), tmp_path.stat()) else "file"
        seen.append((what, path.exists()))
        return real(descriptor)

    monkeypatch.setattr("os.fsync", noted)
    with replacing(path) as temporary:
        temporary.write_bytes(b"complete")
    assert seen == [("file", False), ("folder", True)]
