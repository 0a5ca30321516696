from __future__ import annotations

import json

import pytest
import torch

from napari_disca.networks import autotune
from napari_disca.networks.compute import Compute


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setattr(autotune, "_file", lambda: tmp_path / "machine.json")
    return tmp_path / "machine.json"


@pytest.mark.parametrize(("speedup", "pays"), [(2.0, True), (1.05, False), (0.4, False)])
def test_measured_once_and_kept(state, monkeypatch, speedup, pays):
    asked = []
    monkeypatch.setattr(autotune, "bfloat16_speedup", lambda: asked.append(1) or speedup)
    assert [autotune.bfloat16_is_faster() for _ in range(3)] == [pays] * 3
    assert len(asked) == 1
    assert list(json.loads(state.read_text()).values()) == [speedup]


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"x": "y"}'])
def test_a_damaged_file_is_measured_again(state, monkeypatch, text):
    state.write_text(text)
    monkeypatch.setattr(autotune, "bfloat16_speedup", lambda: 3.0)
    assert autotune.bfloat16_is_faster()


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(autotune, "_file", lambda: tmp_path / "file" / "machine.json")
    monkeypatch.setattr(autotune, "bfloat16_speedup", lambda: 1.0)
    assert not autotune.bfloat16_is_faster()


def test_the_measurement_leaves_the_threads_as_they_were():
    before = torch.get_num_threads()
    assert autotune.bfloat16_speedup(rounds=1) > 0
    assert torch.get_num_threads() == before


def test_auto_follows_the_measurement(state, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    for speedup, dtype in ((2.0, torch.bfloat16), (1.0, torch.float32)):
        state.unlink(missing_ok=True)
        monkeypatch.setattr(autotune, "bfloat16_speedup", lambda speedup=speedup: speedup)
        assert Compute.choose("cpu").dtype == dtype
