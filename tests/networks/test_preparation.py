from __future__ import annotations

import warnings
from collections import OrderedDict
from copy import deepcopy

import pytest
import torch
from torch import nn

from builders import make_card, make_network
from napari_disca.core.tiling import Window
from napari_disca.networks import (
    ARCHITECTURES,
    Network,
    encoder_fingerprint,
    fingerprint,
    prepared,
)

CPU = torch.device("cpu")


@pytest.fixture(params=ARCHITECTURES)
def network(request):
    return make_network(make_card(3, architecture=request.param))


@pytest.fixture
def pixels():
    return torch.rand(2, 3, 96, 128, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_folding_keeps_the_function_in_float32(network, pixels):
    before = fingerprint(network)
    folded = prepared(network, CPU, torch.float32, folded=True)
    assert fingerprint(network) == before
    guidance = torch.rand(2, 3, 96, 128, generator=torch.Generator().manual_seed(1))
    expected = network.eval()(pixels, guidance)
    torch.testing.assert_close(folded(pixels, guidance), expected, atol=1e-4, rtol=1e-4)
    left = [m for m in folded.modules() if isinstance(m, nn.BatchNorm2d)]
    assert not left, "every BatchNorm of these networks follows a convolution"


@torch.no_grad()
@pytest.mark.parametrize("keep", [(0, 0, 96, 128), (13, 22, 40, 51), (60, 0, 36, 9), (5, 5, 1, 1)])
def test_a_window_of_the_logits_equals_the_whole_logits_there(network, pixels, keep):
    network.eval()
    keep = Window(*keep)
    guidance = torch.rand(2, 3, 96, 128, generator=torch.Generator().manual_seed(1))
    for clicks in (guidance, None):
        features = network.features(pixels, clicks, keep)
        part = network.decode_window(features, keep)
        assert part.shape == (2, 3, *keep.shape)
        whole = network(pixels, torch.zeros_like(guidance) if clicks is None else clicks)
        torch.testing.assert_close(part, whole[(..., *keep.slices)], atol=1e-4, rtol=1e-4)


def test_half_precision_convolutions_run_under_autocast(network, pixels):
    ready = prepared(network, CPU, torch.bfloat16)
    assert all(m.weight.dtype == torch.bfloat16 for m in ready.modules() if type(m) is nn.Conv2d)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        logits = ready(pixels, torch.zeros(2, 3, 96, 128))
        expected = network.eval()(pixels, torch.zeros(2, 3, 96, 128))
    torch.testing.assert_close(logits.float(), expected.float(), atol=0.05, rtol=0.05)


def test_the_encoder_has_a_fingerprint_of_its_own(network):
    if not network.encoder_modules:
        assert encoder_fingerprint(network) == ""
        return
    first = encoder_fingerprint(network)
    decoder, encoder = deepcopy(network), deepcopy(network)
    with torch.no_grad():
        for name, parameter in decoder.named_parameters():
            if name.partition(".")[0] not in network.encoder_modules:
                parameter.add_(1)
        next(
            p
            for n, p in encoder.named_parameters()
            if n.partition(".")[0] in network.encoder_modules
        ).add_(1)
    assert encoder_fingerprint(decoder) == first
    assert encoder_fingerprint(encoder) != first
    assert set(network.encoder_modules) < {name for name, _ in network.named_children()}


class Named(Network):
    """Layers with names, one of them the word that any network may use for a module of its own."""

    encoder_modules = ("encoder",)

    def __init__(self, card):
        super().__init__(card)
        classes = len(card.classes)
        self.encoder = nn.Sequential(
            OrderedDict(
                conv0=nn.Conv2d(len(card.bands) + classes, 4, 3, padding=1),
                norm0=nn.BatchNorm2d(4),
                act0=nn.ReLU(),
            )
        )
        self.head = nn.Conv2d(4, classes, 1)

    def encode(self, image, guidance):
        return (self.encoder(torch.cat([image, guidance], dim=1)),)

    def decode(self, features):
        return self.head(features[0])


class Activated(nn.BatchNorm2d):
    """As timm's ``BatchNormAct2d``."""

    def forward(self, x):
        return torch.relu(super().forward(x))


class Standardised(nn.Conv2d):
    """A convolution that standardises its weights."""

    def forward(self, x):
        weight = (self.weight - self.weight.mean()) / self.weight.std()
        return nn.functional.conv2d(x, weight, self.bias, padding=1)


class Residual(nn.Sequential):
    """Layers whose results are used one by one."""

    def forward(self, x):
        first = self[0](x)
        return first + self[1](first)


def conv(inputs=6, outputs=4, kind=nn.Conv2d, **options):
    return kind(inputs, outputs, 3, padding=1, **options)


def one_activation_twice():
    activation = nn.ReLU()
    return nn.Sequential(conv(), activation, conv(4), activation, nn.BatchNorm2d(4))


def old_weight_norm():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.Sequential(nn.utils.weight_norm(conv()), nn.BatchNorm2d(4))


#: Layers of other people's networks, and whether a BatchNorm in them can be folded.
LAYERS = {
    "no affine": (lambda: [conv(), nn.BatchNorm2d(4, affine=False)], True),
    "no bias": (lambda: [conv(bias=False), nn.BatchNorm2d(4)], True),
    "groups": (lambda: [conv(), conv(4, groups=4), nn.BatchNorm2d(4)], True),
    "dilated": (lambda: [conv(dilation=2), nn.BatchNorm2d(4)], True),
    "transposed": (lambda: [conv(), conv(4, kind=nn.ConvTranspose2d), nn.BatchNorm2d(4)], True),
    "transposed groups": (
        lambda: [conv(), conv(4, kind=nn.ConvTranspose2d, groups=2), nn.BatchNorm2d(4)],
        False,
    ),
    "no statistics": (lambda: [conv(), nn.BatchNorm2d(4, track_running_stats=False)], False),
    "activated": (lambda: [conv(), Activated(4)], False),
    "standardised": (lambda: [conv(kind=Standardised), nn.BatchNorm2d(4)], False),
    "residual": (lambda: [Residual(conv(), nn.BatchNorm2d(4))], False),
    "one activation twice": (lambda: [one_activation_twice()], False),
    "weight norm": (
        lambda: [nn.utils.parametrizations.weight_norm(conv()), nn.BatchNorm2d(4)],
        False,
    ),
    "old weight norm": (lambda: [old_weight_norm()], False),
    "spectral norm": (
        lambda: [nn.utils.parametrizations.spectral_norm(conv()), nn.BatchNorm2d(4)],
        False,
    ),
}


@torch.no_grad()
@pytest.mark.parametrize("name", LAYERS)
def test_folding_keeps_the_function_of_any_layers(name, pixels):
    layers, foldable = LAYERS[name]
    torch.manual_seed(0)
    network = Named(make_card()).eval()
    network.encoder = nn.Sequential(*layers()).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            if module.affine:
                module.weight.normal_()
                module.bias.normal_()
    guidance = torch.rand(2, 3, 96, 128, generator=torch.Generator().manual_seed(1))
    expected = network(pixels, guidance)
    folded = prepared(network, CPU, torch.float32, folded=True)
    torch.testing.assert_close(folded(pixels, guidance), expected, atol=1e-4, rtol=1e-4)
    assert any(isinstance(m, nn.BatchNorm2d) for m in folded.modules()) is not foldable


@torch.no_grad()
def test_layers_may_have_names_and_a_module_may_be_called_encoder(pixels):
    torch.manual_seed(0)
    network = Named(make_card()).eval()
    network.encoder.norm0.running_mean.normal_()
    folded = prepared(network, CPU, torch.float32, folded=True)
    guidance = torch.zeros(2, 3, 96, 128)
    torch.testing.assert_close(folded(pixels, guidance), network(pixels, guidance))
    assert not [m for m in folded.modules() if isinstance(m, nn.BatchNorm2d)]
    before = encoder_fingerprint(network)
    network.encoder.conv0.weight += 1
    assert before
    assert encoder_fingerprint(network) != before
