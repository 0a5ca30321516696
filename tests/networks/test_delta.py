from __future__ import annotations

import pytest
import torch

from builders import make_network
from napari_disca.networks import Delta, DeltaCache, fingerprint


def changed(network, scale, seed=1):
    """Copy whose BatchNorm scales, and one convolution, were changed by about `scale`."""
    from copy import deepcopy

    other = deepcopy(network)
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in other.named_parameters():
        if parameter.ndim == 1 or name.endswith("conv1.weight"):
            noise = torch.randn(parameter.shape, generator=generator) * scale
            parameter.data += noise
    return other


@pytest.mark.parametrize("scale", [1e-9, 2e-7, 1e-3, 1.0, 1e6])
def test_changes_of_any_size_keep_half_precision(network, scale):
    adapted = changed(network, scale)
    rebuilt = Delta.between(adapted, network).applied(network)
    before, after = network.state_dict(), rebuilt.state_dict()
    for name, wanted in adapted.state_dict().items():
        change = (wanted.double() - before[name].double()).abs().max()
        error = (wanted.double() - after[name].double()).abs().max()
        # Half precision, and the rounding of the sum itself.
        assert error <= change / 1024 + before[name].double().abs().max() * 2**-23, name


def test_what_is_rebuilt_twice_is_the_same_bit_by_bit(network):
    delta = Delta.between(changed(network, 1e-3), network)
    assert fingerprint(delta.applied(network)) == fingerprint(delta.applied(network))
    assert fingerprint(network) == fingerprint(make_network())


def test_nothing_changed_takes_nothing(network):
    delta = Delta.between(network, network)
    assert not delta.tensors
    assert delta.nbytes == 0
    assert fingerprint(delta.applied(network)) == fingerprint(network)


def test_the_cache_gives_back_the_same_network_and_nothing_else(network, tmp_path):
    cache = DeltaCache(tmp_path / "weights")
    delta = Delta.between(changed(network, 1e-3), network)
    name = fingerprint(delta.applied(network))
    assert cache.network(name, network) is None
    assert cache.put(name, delta)
    assert fingerprint(cache.network(name, network)[0]) == name
    other = make_network(seed=3)
    assert cache.network(name, other) is None, "it belongs to another pretrained network"
    (file,) = (tmp_path / "weights").iterdir()
    data = file.read_bytes()
    file.write_bytes(data[:-7])
    assert cache.network(name, network) is None, "cut short"
    file.write_bytes(data[:-7] + b"\0\1\0\1\0\1\0")
    assert cache.network(name, network) is None, "changed"
    file.write_bytes(b"nonsense")
    assert cache.network(name, network) is None


def test_the_cache_forgets_what_was_not_used_for_longest(network, tmp_path):
    import os

    deltas = [Delta.between(changed(network, 1e-3, seed), network) for seed in range(3)]
    DeltaCache(tmp_path / "size").put("one", deltas[0])
    (one,) = (tmp_path / "size").iterdir()
    cache = DeltaCache(tmp_path / "kept", limit=int(one.stat().st_size * 2.5))
    for age, delta in enumerate(deltas):
        cache.put(str(age), delta)
        os.utime(tmp_path / "kept" / f"{age}.delta.safetensors", (1000 + age, 1000 + age))
    names = sorted(path.name.split(".")[0] for path in (tmp_path / "kept").iterdir())
    assert names == ["1", "2"]


def test_a_cache_that_cannot_be_written_forgets(network, tmp_path):
    (tmp_path / "file").write_text("no folder")
    cache = DeltaCache(tmp_path / "file")
    delta = Delta.between(changed(network, 1e-3), network)
    assert not cache.put("name", delta)
    assert cache.network("name", network) is None
