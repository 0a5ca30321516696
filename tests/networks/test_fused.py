"""Convolution and activation in one operation: the same numbers, to the last bit."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from napari_disca.networks import fused, load_network, prepared
from napari_disca.networks.fused import activated_conv


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("activation", [nn.ReLU(), nn.ReLU6()])
@pytest.mark.parametrize(("groups", "stride"), [(1, 1), (1, 2), (16, 2)])
def test_it_gives_the_bits_of_the_two_operations(dtype, activation, groups, stride, monkeypatch):
    generator = torch.Generator().manual_seed(3)
    convolution = nn.Conv2d(16, 32, 3, stride, groups=groups).to(dtype)
    pixels = 9 * torch.randn(2, 16, 21, 30, generator=generator)
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        args = (convolution, activation, convolution.weight, 1)
        # Under autocast the first layer gets float32, which is converted here.
        once = activated_conv(pixels, *args)
        monkeypatch.setattr(fused, "is_offered", lambda: False)
        twice = activated_conv(pixels.to(dtype), *args)
    assert once.dtype == dtype
    assert once.is_contiguous(memory_format=torch.channels_last)
    assert once.max() > 6 or isinstance(activation, nn.ReLU6)
    torch.testing.assert_close(once, twice, rtol=0, atol=0)


def test_gradients_take_the_two_operations():
    convolution = nn.Conv2d(3, 4, 3)
    pixels = torch.randn(1, 3, 8, 8, requires_grad=True)
    y = activated_conv(pixels, convolution, nn.ReLU(), convolution.weight, 1)
    y.sum().backward()
    assert pixels.grad is not None


@pytest.mark.skipif(not fused.is_offered(), reason="torch was built without oneDNN")
def test_a_prepared_network_uses_it(monkeypatch):
    network = prepared(load_network("landcover-5"), torch.device("cpu"), torch.float32, folded=True)
    image, guidance = torch.rand(1, 3, 64, 64), torch.zeros(1, 5, 64, 64)
    with torch.inference_mode():
        with torch.profiler.profile(acc_events=True) as profile:
            logits = network(image, guidance)
        names = [event.key for event in profile.key_averages()]
        assert "mkldnn::_convolution_pointwise" in names
        assert "aten::hardtanh_" not in names
        monkeypatch.setattr(fused, "is_offered", lambda: False)
        # Of two algorithms for small 1 x 1 convolutions torch may take the other one.
        torch.testing.assert_close(network(image, guidance), logits, rtol=1e-3, atol=1e-4)
