from __future__ import annotations

import pytest
import torch

from napari_disca.inference.features import FeatureCache, to_half


def features(value: float, dtype: torch.dtype = torch.bfloat16) -> tuple[torch.Tensor, ...]:
    return tuple(torch.full((1, 4, 8 // k, 8), value, dtype=dtype) for k in (1, 2))


SIZE = sum(layer.nbytes for layer in features(0))


def same(one, other) -> bool:
    return all(a.equal(b) and a.dtype == b.dtype for a, b in zip(one, other, strict=True))


def test_gives_back_what_was_put():
    cache = FeatureCache(memory=10 * SIZE)
    assert cache.get(("e", 1)) is None
    cache.put(("e", 1), features(1))
    assert ("e", 1) in cache
    assert ("f", 1) not in cache
    assert same(cache.get(("e", 1)), features(1))


def test_the_least_recently_used_are_forgotten():
    cache = FeatureCache(memory=3 * SIZE)
    for tile in range(3):
        cache.put(("e", tile), features(tile))
    cache.get(("e", 0))
    cache.put(("e", 3), features(3))
    assert [tile for tile in range(4) if ("e", tile) in cache] == [0, 2, 3]


def test_what_is_larger_than_the_memory_is_not_kept():
    cache = FeatureCache(memory=SIZE - 1)
    cache.put(("e", 0), features(0))
    assert ("e", 0) not in cache


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_what_memory_forgets_goes_to_disk_up_to_a_limit(tmp_path, dtype):
    cache = FeatureCache(memory=SIZE, disk=3 * SIZE, folder=tmp_path)
    for tile in range(6):
        cache.put(("e", tile), features(tile / 3, dtype))
    assert [tile for tile in range(6) if ("e", tile) in cache] == [2, 3, 4, 5]
    (folder,) = tmp_path.iterdir()
    assert len(list(folder.iterdir())) == 3
    for tile in (2, 3, 4):
        assert same(cache.get(("e", tile)), features(tile / 3, dtype))
    del cache
    assert not list(tmp_path.iterdir()), "the files go with the cache"


def test_the_room_on_disk_can_change(tmp_path):
    cache = FeatureCache(memory=SIZE, folder=tmp_path)
    cache.put(("e", 0), features(0))
    cache.put(("e", 1), features(1))
    assert ("e", 0) not in cache
    cache.allow_disk(3 * SIZE)
    for tile in range(2, 5):
        cache.put(("e", tile), features(tile))
    assert [tile for tile in range(5) if ("e", tile) in cache] == [1, 2, 3, 4]
    cache.allow_disk(SIZE)
    assert [tile for tile in range(5) if ("e", tile) in cache] == [3, 4]
    (folder,) = tmp_path.iterdir()
    assert len(list(folder.iterdir())) == 1


def test_what_a_killed_program_left_on_disk_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(tmp_path))
    left = tmp_path / "features" / "napari-disca-feature-999999999-abc"
    left.mkdir(parents=True)
    (left / "0.safetensors").write_bytes(b"x")
    cache = FeatureCache(memory=SIZE, disk=SIZE)
    cache.put(("e", 0), features(0))
    cache.put(("e", 1), features(1))
    assert not left.exists()
    # Beside the folder lies the lock that says that this program runs.
    (folder,) = (path for path in (tmp_path / "features").iterdir() if path.is_dir())
    assert len(list(folder.iterdir())) == 1
    del cache
    assert not folder.exists()


def test_a_cleaned_folder_is_a_cache_that_forgot(tmp_path):
    cache = FeatureCache(memory=SIZE, disk=3 * SIZE, folder=tmp_path)
    cache.put(("e", 0), features(0))
    cache.put(("e", 1), features(1))
    (file,) = next(tmp_path.iterdir()).iterdir()
    file.unlink()
    assert cache.get(("e", 0)) is None


def test_a_part_of_a_batch_does_not_hold_the_whole_batch():
    batch = torch.zeros(8, 4, 8, 8, dtype=torch.bfloat16)
    cache = FeatureCache()
    cache.put(("e", 0), (batch[2:3],))
    (cached,) = cache.get(("e", 0))
    assert cached.untyped_storage().nbytes() == cached.nbytes


def test_half_precision_of_large_values_stays_finite():
    (half,) = to_half((torch.tensor([1e6, -1e6, 0.1]),), torch.float32)
    assert half.dtype == torch.float16
    assert torch.isfinite(half).all()
    (same_format,) = to_half((torch.ones(3, dtype=torch.bfloat16),), torch.bfloat16)
    assert same_format.dtype == torch.bfloat16


def test_less_memory_forgets_what_was_used_longest_ago(tmp_path):
    cache = FeatureCache(memory=3 * SIZE, folder=tmp_path)
    for tile in range(3):
        cache.put(("a", tile), features(tile))
    cache.allow_memory(SIZE)
    assert [("a", tile) in cache for tile in range(3)] == [False, False, True]
