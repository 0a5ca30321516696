from __future__ import annotations

import os

import pytest

from napari_disca.storage.cache_folder import CacheFolder


def put(cache, key, size=10):
    return cache.put(key, size, lambda path: path.write_bytes(b"x" * size))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_was_not_used_for_longest_goes_and_other_files_stay(tmp_path):
    cache = CacheFolder("levels", ".made", 25, tmp_path)
    (tmp_path / "of somebody else").write_bytes(b"x" * 100)
    for age, key in enumerate(("old", "older")):
        assert put(cache, key)
        os.utime(cache.file(key), (1000 - age, 1000 - age))
    cache.used("older")
    assert put(cache, "new")
    assert names(tmp_path) == ["new.made", "of somebody else", "older.made"]


def test_a_file_above_the_limit_is_not_written(tmp_path):
    cache = CacheFolder("levels", ".made", 25, tmp_path)
    put(cache, "small")
    assert not put(cache, "large", 26)
    assert names(tmp_path) == ["small.made"]


def test_what_the_disk_refuses_is_forgotten_and_a_bug_is_told(tmp_path):
    (tmp_path / "file").write_text("no folder")
    cache = CacheFolder("levels", ".made", 25, tmp_path / "file")
    assert not put(cache, "one")
    cache.used("one")

    def broken(path):
        raise KeyError("a bug")

    good = CacheFolder("levels", ".made", 25, tmp_path / "good")
    with pytest.raises(KeyError):
        good.put("one", 1, broken)
    assert names(tmp_path / "good") == []


def test_it_lies_in_the_users_cache_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "platformdirs.user_cache_dir", lambda name, author: str(tmp_path / name / str(author))
    )
    assert CacheFolder("levels", ".made", 1).file("a").parent == (
        tmp_path / "napari-disca" / "False" / "levels"
    )
