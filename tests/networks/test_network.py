from __future__ import annotations

import io
import json
import pickle
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from builders import Tiny, make_card, make_network
from napari_disca.core.errors import CardError, ExportError
from napari_disca.core.tiling import Window
from napari_disca.networks import (
    ARCHITECTURES,
    LandClass,
    Network,
    build_network,
    bundled_weights,
    fingerprint,
    load_network,
    read_card,
    save_network,
)
from napari_disca.networks.efficientnet_lite import SameConv

HEADER = "napari-disca card"


@pytest.fixture(params=ARCHITECTURES)
def network(request) -> Network:
    return make_network(make_card(3, architecture=request.param))


def inputs(network: Network, height: int, width: int, batch: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(batch, len(network.card.bands), height, width, generator=generator)
    guidance = torch.zeros(batch, len(network.card.classes), height, width)
    guidance[:, 1, height // 2, width // 2] = 1
    return image, guidance


def rewritten(path, changes=None, *, without=(), header=None) -> None:
    """Change tensors or the header of a saved network."""
    tensors = {k: v for k, v in load_file(path).items() if k not in without}
    card = {HEADER: read_card(path).to_json()} if header is None else header
    save_file(tensors | (changes or {}), path, metadata=card)


# What every architecture is


@pytest.mark.parametrize("size", [(1, 1), (64, 64), (33, 95), (7, 130)])
@torch.no_grad()
def test_inputs_of_any_size_give_logits_of_that_size(network, size):
    logits = network(*inputs(network, *size, batch=2))
    assert logits.shape == (2, 3, *size)
    assert torch.isfinite(logits).all()


@torch.no_grad()
def test_forward_is_decode_of_encode(network):
    image, guidance = inputs(network, 64, 96)
    standardised = (image - network.mean) / network.std
    torch.testing.assert_close(
        network(image, guidance),
        network.decode(network.encode(standardised, guidance)),
        rtol=0,
        atol=0,
    )


@torch.no_grad()
def test_padding_is_the_mean_without_clicks(network):
    height, width = 64 - network.multiple // 2, 64 - network.multiple + 1
    image, guidance = inputs(network, height, width)
    larger = network.mean.expand(1, -1, 64, 64).clone()
    larger[..., :height, :width] = image
    clicks = torch.zeros(1, 3, 64, 64)
    clicks[..., :height, :width] = guidance
    torch.testing.assert_close(
        network(image, guidance), network(larger, clicks)[..., :height, :width]
    )


@torch.no_grad()
def test_features_without_clicks_do_not_depend_on_what_is_learned_after_them(network):
    if not network.encoder_modules:
        pytest.skip("it does not say which modules its encoder is")
    image, guidance = inputs(network, 64, 64)
    before = [feature.clone() for feature in network.encode_clickless(image)]
    learned = [
        parameter
        for name, parameter in network.named_parameters()
        if name.partition(".")[0] not in network.encoder_modules
    ]
    assert 0 < len(learned) < len(list(network.parameters()))
    for parameter in learned:
        parameter.add_(1.0)
    for old, new in zip(before, network.encode_clickless(image), strict=True):
        assert torch.equal(old, new)
    # ... and clicks do change the features.
    clicked, zero = network.encode(image, guidance), network.encode(image, guidance * 0)
    assert any(not torch.equal(a, b) for a, b in zip(clicked, zero, strict=True))


@torch.no_grad()
def test_clicks_are_added_to_features_of_a_frozen_encoder(network):
    image, guidance = inputs(network, 64, 96)
    if not network.encoder_is_frozen:
        with pytest.raises(TypeError, match="clicks enter the encoder"):
            network.guided(network.encode_clickless(image), guidance)
        return
    without = network.encode_clickless(image)
    for added, encoded in zip(
        network.guided(without, guidance), network.encode(image, guidance), strict=True
    ):
        assert torch.equal(added, encoded)
    # To features that were trimmed, too: what a cache holds.
    keep = Window(21, 30, 20, 41)
    trimmed = network.trimmed(without, keep)
    late = network.trimmed(network.guided(trimmed, guidance), keep)
    whole = network.decode(network.encode(image, guidance))[(..., *keep.slices)]
    torch.testing.assert_close(network.decode_window(late, keep), whole, atol=1e-5, rtol=1e-4)
    assert not any(p.requires_grad for n in network.encoder_modules for p in _of(network, n))
    assert not any(m.training for n in network.encoder_modules for m in _modules(network, n))


def _of(network: Network, name: str) -> list[Tensor]:
    return list(getattr(network, name).parameters())


def _modules(network: Network, name: str) -> list[torch.nn.Module]:
    network.train()
    return list(getattr(network, name).modules())


@torch.no_grad()
def test_trimming_twice_is_trimming_once(network):
    image, guidance = inputs(network, 96, 128)
    keep = Window(40, 10, 30, 20)
    once = network.trimmed(network.encode(image, guidance), keep)
    for a, b in zip(network.trimmed(once, keep), once, strict=True):
        assert torch.equal(a, b)


@torch.no_grad()
def test_what_looks_alike_is_told_by_features_on_a_grid_over_the_input(network):
    image, guidance = inputs(network, 64, 96, batch=2)
    features = network.encode(image, guidance)
    similar = network.similarity_features(features)
    assert similar.ndim == 4
    assert len(similar) == 2
    assert similar.shape[2] * 96 == similar.shape[3] * 64
    assert similar.shape[2] * network.similarity_stride == 64
    assert torch.isfinite(similar).all()
    trimmed = network.trimmed(features, Window(8, 8, 8, 8))
    assert torch.equal(network.similarity_features(trimmed), similar)
    if network.encoder_is_frozen:
        clickless = network.similarity_features(network.encode_clickless(image))
        assert torch.equal(clickless, similar)


@torch.no_grad()
@pytest.mark.parametrize("keep", [(0, 0, 64, 96), (13, 22, 40, 51), (63, 0, 1, 9)])
def test_last_features_are_described_where_the_logits_are(network, keep):
    image, guidance = inputs(network, 64, 96)
    keep = Window(*keep)
    features = network.features(image, guidance, keep)
    seen = []

    def describe(last: Tensor) -> Tensor:
        seen.append(last.shape[1])
        return last[:, :2] * 2

    logits, described = network.decode_described(features, keep, describe)
    assert torch.equal(logits, network.decode_window(features, keep))
    assert described.shape == (1, 2, *keep.shape)
    assert seen[0] >= len(network.card.classes)  # the logits, if it has no other
    box = Window(0, 0, 64, 96)
    _, whole = network.decode_described(network.features(image, guidance, box), box, describe)
    torch.testing.assert_close(described, whole[(..., *keep.slices)], atol=1e-4, rtol=1e-4)


def test_every_parameter_has_a_finite_gradient(network):
    network.train()
    network(*inputs(network, 70, 64, batch=2)).square().mean().backward()
    for name, parameter in network.named_parameters():
        if network.encoder_is_frozen and name.partition(".")[0] in network.encoder_modules:
            assert not parameter.requires_grad
            continue
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_a_new_network_is_ready_to_predict(network):
    assert not build_network(network.card).training


@torch.no_grad()
def test_save_and_load(network, tmp_path):
    path = save_network(network, tmp_path / "new" / "n.safetensors", half=False)
    loaded = load_network(path)
    assert read_card(path) == loaded.card == network.card
    assert not loaded.training
    assert fingerprint(loaded) == fingerprint(network)
    example = inputs(network, 40, 50)
    assert torch.equal(loaded(*example), network(*example))
    assert [file.name for file in path.parent.iterdir()] == ["n.safetensors"]


@torch.no_grad()
def test_half_precision_files_load_as_single(network, tmp_path):
    whole = save_network(network, tmp_path / "whole.safetensors", half=False)
    half = save_network(network, tmp_path / "half.safetensors")
    values = sum(tensor.numel() for tensor in network.state_dict().values())
    assert whole.stat().st_size - half.stat().st_size > 1.9 * values
    loaded = load_network(half)
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], tensor, rtol=1e-3, atol=1e-4)
    # Saving did not round the network itself.
    assert fingerprint(load_network(whole)) == fingerprint(network) != fingerprint(loaded)


@torch.no_grad()
def test_fingerprints_tell_networks_apart(network):
    same, other = make_network(network.card), make_network(network.card, seed=1)
    assert fingerprint(same) == fingerprint(network) != fingerprint(other)
    renamed = make_network(make_card(3, architecture=network.card.architecture, licence="CC0"))
    assert fingerprint(renamed) != fingerprint(network)
    before = fingerprint(same)
    next(iter(same.parameters())).view(-1)[0].add_(1e-3)
    assert fingerprint(same) != before


@pytest.mark.parametrize("encoder", ["resnet18", "resnet34"])
def test_linknet_has_the_encoders_of_the_issue(encoder):
    network = build_network(make_card(5, options={"encoder": encoder}))
    # ResNet's convolutions: torchvision counts 20 and 36 with the shortcuts.
    convolutions = [
        module
        for part in (network.stem, network.stages)
        for module in part.modules()
        if isinstance(module, torch.nn.Conv2d)
    ]
    assert len(convolutions) == {"resnet18": 20, "resnet34": 36}[encoder]
    assert network.stem[0].in_channels == 3 + 5
    assert network.head[-1].out_channels == 5


def test_other_bands_and_classes():
    card = make_card(2, bands=("r", "g", "b", "nir"), mean=(0.5,) * 4, std=(0.2,) * 4)
    network = make_network(card)
    assert network(*inputs(network, 40, 33)).shape == (1, 2, 40, 33)


def test_a_lite_unet_reads_three_bands():
    card = make_card(
        2, architecture="lite-unet", bands=("r", "g", "b", "nir"), mean=(0.5,) * 4, std=(0.2,) * 4
    )
    with pytest.raises(CardError, match=r"has 4 bands \(r, g, b, nir\).* reads three; choose"):
        build_network(card)


@torch.no_grad()
def test_clicks_of_one_class_say_nothing_of_another():
    """Comparing the clicked classes only gives what comparing all would."""
    network = make_network(make_card(3, architecture="lite-unet"))
    image, guidance = inputs(network, 64, 64, batch=2)
    guidance[0] = 0
    features = network.encode_clickless(image)
    found = network._match(features, guidance)
    assert not found[0].any()
    assert not found[1, [0, 2, 3, 5]].any()
    assert found[1, 4].max() > 0.9
    assert found[1, 4].max() <= 1
    assert found[1, 1].abs().max() <= 1
    # One class after the other is the same.
    both = guidance.clone()
    both[1, 2, 10, 20] = 1
    alone = both.clone()
    alone[:, 1] = 0
    together = network._match(features, both)
    torch.testing.assert_close(together[:, [1, 4]], found[:, [1, 4]], rtol=0, atol=1e-6)
    torch.testing.assert_close(
        together[:, [2, 5]], network._match(features, alone)[:, [2, 5]], rtol=0, atol=1e-6
    )


# What cannot be built


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "transformer"}, "architecture 'transformer'; this version knows linknet"),
        ({"options": {"encoder": "resnet50"}}, "encoder = 'resnet50' .* use resnet18 or resnet34"),
        ({"options": {"depth": 3}}, "a linknet has no option 'depth'; it has encoder"),
        ({"options": {"encoder": []}}, "encoder = .* is unknown"),
    ],
)
def test_cards_of_no_network(changes, message):
    with pytest.raises(CardError, match=message):
        build_network(make_card(**changes))


# Files that are wrong


@pytest.fixture
def saved(tmp_path):
    return save_network(make_network(), tmp_path / "n.safetensors")


def test_there_is_no_such_file(tmp_path):
    for name in ("no-such-network", tmp_path / "nothing.safetensors", tmp_path):
        for read in (read_card, load_network):
            with pytest.raises(CardError, match="neither a file nor a bundled network"):
                read(name)


def test_tensors_that_do_not_fit_the_card(saved):
    tensors = load_file(saved)
    name = next(name for name, tensor in tensors.items() if tensor.ndim == 4)
    original = saved.read_bytes()
    for changes, without, message in (
        ({}, [name], f"n.safetensors lacks tensors .* {name}"),
        ({}, list(tensors), "lacks tensors .* ..."),
        ({"extra": torch.zeros(1)}, [], "has unknown tensors .* extra"),
        ({name: tensors[name][:-1].contiguous()}, [], f"tensor {name} is .* its card asks for"),
        ({name: torch.full_like(tensors[name], torch.nan)}, [], f"{name} has values .* not finite"),
        ({name: torch.full_like(tensors[name], torch.inf)}, [], f"{name} has values .* not finite"),
        ({name: tensors[name].to(torch.complex64)}, [], f"{name} holds torch.complex64"),
        ({name: tensors[name].to(torch.uint8)}, [], f"tensor {name} holds torch.uint8"),
        ({name: tensors[name].double() + 1e300}, [], f"{name} has values .* not finite"),
    ):
        rewritten(saved, changes, without=without)
        with pytest.raises(CardError, match=message):
            load_network(saved)
        saved.write_bytes(original)
    load_network(saved)


def test_a_card_of_another_network(saved):
    for card in (make_card(4), make_card(3, options={"encoder": "resnet34"})):
        rewritten(saved, header={HEADER: card.to_json()})
        with pytest.raises(CardError, match=r"n\.safetensors"):
            load_network(saved)


def test_headers_without_a_card(saved):
    for header, message in (
        ({}, "no card in its header"),
        ({"format": "pt"}, "no card in its header"),
        ({HEADER: "no JSON"}, "card cannot be read"),
        ({HEADER: "{}"}, "card cannot be read"),
    ):
        rewritten(saved, header=header)
        for read in (read_card, load_network):
            with pytest.raises(CardError, match=message):
                read(saved)
        save_network(make_network(), saved)


def test_damaged_files(saved):
    whole = saved.read_bytes()
    length = struct.unpack("<Q", whole[:8])[0]
    for content in (
        b"",
        b"\x00" * 100,
        b"not safetensors at all",
        whole[:4],
        whole[: 8 + length // 2],
        whole[: 8 + length],
        whole[:-1],
        whole + b"more",
        struct.pack("<Q", 1 << 62) + whole[8:],
        struct.pack("<Q", 2) + b"{}",
    ):
        saved.write_bytes(content)
        for read in (read_card, load_network):
            with pytest.raises(CardError, match=r"n\.safetensors"):
                read(saved)


class _Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was run",))


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".PT", ".ckpt", ".pkl", ".safetensors", ""])
def test_pickles_are_never_opened(tmp_path, suffix):
    path = tmp_path / f"network{suffix}"
    path.write_bytes(pickle.dumps(_Bomb()))
    for read in (read_card, load_network):
        with pytest.raises(CardError, match=r"pickle|not a readable safetensors") as caught:
            read(path)
        assert "\n" not in str(caught.value)
    buffer = io.BytesIO()
    torch.save({"weight": torch.zeros(2)}, buffer)
    path.write_bytes(buffer.getvalue())
    with pytest.raises(CardError, match=r"export it|not a readable"):
        load_network(path)


def test_a_network_that_cannot_be_written_leaves_the_old_one(tmp_path, saved):
    before = saved.read_bytes()
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match="cannot write"):
        save_network(make_network(), tmp_path / "file" / "n.safetensors")
    with pytest.raises(ExportError, match="cannot write"):
        save_network(make_network(), tmp_path)
    assert saved.read_bytes() == before


def test_the_bundled_networks_load():
    bundled = bundled_weights()
    if not bundled:
        pytest.skip("no weights are bundled yet")
    for name, path in bundled.items():
        card = read_card(name)
        assert card == read_card(path)
        assert card.name == name
        assert all(isinstance(land, LandClass) for land in card.classes)
        assert card.training_data
        assert card.licence
        network = load_network(name)
        with torch.no_grad():
            assert network(*inputs(network, 64, 64)).shape[1] == len(card.classes)
        json.loads(card.to_json())


@pytest.mark.parametrize(
    "keep",
    [
        Window(64, 64, 96, 128),
        Window(0, 0, 100, 90),
        Window(156, 166, 100, 90),
        Window(101, 77, 60, 111),
    ],
)
def test_a_lite_unet_decodes_a_window_as_it_decodes_all(keep):
    network = make_network(make_card(3, architecture="lite-unet")).eval()
    with torch.inference_mode():
        features = network.encode(*inputs(network, 256, 256))
        whole = network.decode(features)[(..., *keep.slices)]
        assert torch.equal(network.decode_window(network.trimmed(features, keep), keep), whole)


@pytest.mark.parametrize(("size", "before", "after"), [(3, 0, 1), (5, 1, 2)])
def test_strided_convolutions_are_padded_as_the_pretrained_encoder_was(size, before, after):
    layer = SameConv(4, 4, size, 2, groups=4)
    image = torch.rand(1, 4, 16, 24, generator=torch.Generator().manual_seed(0))
    padded = torch.nn.functional.pad(image, (before, after, before, after))
    with torch.inference_mode():
        wanted = torch.nn.functional.conv2d(padded, layer.weight, layer.bias, 2, 0, 1, 4)
        torch.testing.assert_close(layer(image), wanted)


@pytest.mark.parametrize("name", ["features", "decode", "multiple", "mean", "card", "half"])
def test_a_layer_with_a_name_that_is_taken_is_refused_in_one_line(name, monkeypatch):
    class Odd(Tiny):
        def __init__(self, card):
            super().__init__(card)
            setattr(self, name, torch.nn.Conv2d(3, 3, 1))

    monkeypatch.setitem(ARCHITECTURES, "odd", Odd)
    with pytest.raises(CardError, match=f"Odd calls a layer '{name}', .*; give it another name"):
        build_network(make_card(architecture="odd"))


@pytest.mark.parametrize("name", ["encoder", "decoder", "backbone", "layers"])
def test_a_layer_may_have_any_other_name(name, monkeypatch):
    class Odd(Tiny):
        def __init__(self, card):
            super().__init__(card)
            setattr(self, name, torch.nn.Conv2d(3, 3, 1))

    monkeypatch.setitem(ARCHITECTURES, "odd", Odd)
    network = build_network(make_card(architecture="odd"))
    assert isinstance(getattr(network, name), torch.nn.Conv2d)
