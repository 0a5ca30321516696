from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
import torch

from napari_disca.core.errors import DiscaError
from napari_disca.core.threads import limit_spinning
from napari_disca.networks.compute import Compute


def test_auto_takes_what_is_there():
    chosen = Compute.choose()
    assert chosen.device.type in ("cpu", "cuda", "mps")
    with chosen.autocast():
        product = torch.ones(2, 2, device=chosen.device) @ torch.ones(2, 2, device=chosen.device)
    assert product.dtype == chosen.dtype


def test_a_device_that_is_not_there_is_named_with_those_that_are():
    missing = "cuda" if not torch.cuda.is_available() else "mps"
    if torch.backends.mps.is_available() and torch.cuda.is_available():
        pytest.skip("this machine has every device")
    with pytest.raises(DiscaError, match=rf"no {missing} device on this machine; there is: cpu"):
        Compute.choose(missing)


@pytest.mark.parametrize(
    ("device", "precision"), [("tpu", "auto"), ("cpu", "int4"), ("cpu", "float16")]
)
def test_nonsense_is_one_clear_line(device, precision):
    with pytest.raises(DiscaError) as error:
        Compute.choose(device, precision)
    assert "\n" not in str(error.value)


def test_float32_does_not_autocast():
    with Compute.choose("cpu", "float32").autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_the_users_own_thread_settings_are_left_alone(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    limit_spinning()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"


def test_the_memory_that_counts_is_that_of_the_device_in_use(monkeypatch):
    """A small card beside a large one: which of them is used says how many tiles fit."""

    def properties(device):
        index = (
            torch.device(device).index
            if isinstance(device, str)
            else getattr(device, "index", device)
        )
        return SimpleNamespace(total_memory=(4 << 30, 24 << 30)[1 if index is None else index])

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", properties)
    chosen = Compute.choose("cuda")
    assert chosen.batch == 8
    # Threads, on which jobs run, begin with device 0.
    assert chosen.device == torch.device("cuda", 1)
    assert str(chosen) == "cuda, bfloat16"
