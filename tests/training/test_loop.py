from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import torch

from builders import Tiny, make_card, make_network
from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.annotations.simulated_annotator import IGNORE
from napari_disca.core.errors import DataError
from napari_disca.core.events import Progress, finish
from napari_disca.core.tiling import Window
from napari_disca.networks import ARCHITECTURES
from napari_disca.training.augment import Augmentation
from napari_disca.training.clicking import Clicking, clicked_batch
from napari_disca.training.loop import TrainingStep, averaged, train
from napari_disca.training.loss import segmentation_loss
from napari_disca.training.plan import LabelledImage, TrainingPlan
from napari_disca.training.sampling import CropSampler, EncodedBatch

PLAN = TrainingPlan(
    steps=4,
    batch=2,
    size=64,
    bfloat16=False,
    clicking=Clicking(errors=3, confirmed=5),
    augmentation=Augmentation(
        scale=(1, 1), turn=0, light=0.2, hole=0, sensor=0, haze=0, shadow=0, coarse=0, jpeg=0
    ),
)
CARD = make_card(2)
#: Of a network whose checkpoints are small.
TINY = make_card(2, architecture="tiny")


@pytest.fixture(autouse=True)
def _tiny_networks(monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "tiny", Tiny)


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny batches are slower on many threads than on one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def images() -> list[LabelledImage]:
    """Bright squares (class 1) on dark ground (class 0)."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(2):
        labels = np.kron(rng.integers(0, 2, (5, 5)), np.ones((20, 20))).astype(np.uint8)
        image = (60 + 140 * labels[..., None] + rng.integers(0, 30, (100, 100, 3))).astype(np.uint8)
        found.append(LabelledImage(image, labels))
    return found


def test_a_run_reports_and_returns_an_averaged_network(images):
    events = []
    network = finish(train(images, CARD, replace(PLAN, steps=2), report_every=1), events.append)
    assert [e.done for e in events if isinstance(e, Progress)] == [0, 1, 2]
    steps = [e for e in events if isinstance(e, TrainingStep)]
    assert [s.step for s in steps] == [1, 2]
    assert all(np.isfinite(s.loss) and s.seconds > 0 for s in steps)
    assert network.card == CARD
    assert not network.training
    assert all(torch.isfinite(p).all() for p in network.state_dict().values())


def test_the_loss_goes_down_on_a_problem_of_dark_and_bright(images):
    losses = []

    def note(event):
        if isinstance(event, TrainingStep):
            losses.append(event.loss)

    plan = replace(PLAN, steps=24, rate=2e-3, average=0.5, clicking=Clicking(contradicting=0))
    network = finish(train(images, CARD, plan, report_every=6), note)
    assert losses[-1] < 0.6 * losses[0]
    pixels = torch.from_numpy(images[0].image.transpose(2, 0, 1) / np.float32(255))[None]
    with torch.inference_mode():
        predicted = network(pixels, torch.zeros(1, 2, 100, 100))[0].argmax(0).numpy()
    assert (predicted == images[0].labels).mean() > 0.8


def test_a_resumed_run_equals_an_uninterrupted_one(images, tmp_path):
    whole = finish(train(images, TINY, PLAN))
    checkpoint = tmp_path / "run.checkpoint.safetensors"
    with closing(train(images, TINY, PLAN, checkpoint=checkpoint, save_every=2)) as job:
        for event in job:
            if isinstance(event, Progress) and event.done == 3:
                break
    assert checkpoint.exists()
    events = []
    resumed = finish(train(images, TINY, PLAN, checkpoint=checkpoint), events.append)
    assert events[0] == Progress("training", 2, 4)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    # And a finished one is not trained again.
    events.clear()
    again = finish(train(images, TINY, PLAN, checkpoint=checkpoint), events.append)
    assert events == [Progress("training", 4, 4)]
    assert torch.equal(whole.last.weight, again.last.weight)


def test_the_seed_decides(images):
    quick = replace(PLAN, steps=1)
    one, two = (finish(train(images, CARD, quick)).head[0].weight for _ in range(2))
    other = finish(train(images, CARD, replace(quick, seed=1))).head[0].weight
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_a_checkpoint_of_another_plan_is_refused_and_says_what_changed(images, tmp_path):
    checkpoint = tmp_path / "c.safetensors"
    quick = replace(PLAN, steps=1)
    finish(train(images, TINY, quick, checkpoint=checkpoint))
    for card, plan, what in (
        (TINY, replace(quick, rate=0.5), "rate was 0.001, now 0.5"),
        (TINY, replace(quick, clicking=Clicking(errors=2)), "clicking errors was 3, now 2"),
        (replace(TINY, licence="CC0"), quick, 'licence was "", now "CC0"'),
    ):
        with pytest.raises(DataError, match=r"c\.safetensors was trained with other opt") as caught:
            finish(train(images, card, plan, checkpoint=checkpoint))
        assert what in str(caught.value)


def test_a_checkpoint_of_other_images_is_refused_and_names_them(images, tmp_path):
    """nnUNet#2415: one image was added, and the message spoke of options."""
    checkpoint = tmp_path / "c.safetensors"
    quick = replace(PLAN, steps=1)
    named = [replace(item, name=name) for item, name in zip(images, "ab", strict=True)]
    finish(train(named, TINY, quick, checkpoint=checkpoint))
    other = replace(named[1], labels=1 - named[1].labels)
    for now, what in (
        ([*named, replace(images[0], name="c")], "c is added (2 then, 3 now)"),
        (named[:1], "b is gone (2 then, 1 now)"),
        ([named[0], other], "b is changed (2 then, 2 now)"),
        ([named[0], replace(named[1], image=named[1].image + 1)], "b is changed"),
        ([replace(images[0], name="d"), named[1]], "d is added, a is gone"),
    ):
        with pytest.raises(DataError, match="trained with other images") as caught:
            finish(train(now, TINY, quick, checkpoint=checkpoint))
        assert what in str(caught.value)
    finish(train(named, TINY, quick, checkpoint=checkpoint))


def test_nothing_to_learn_from_is_refused(images):
    unknown = replace(images[0], labels=np.full_like(images[0].labels, IGNORE))
    for nothing in ([], [unknown]):
        with pytest.raises(DataError, match="not one labelled pixel"):
            finish(train(nothing, CARD, PLAN))


def test_a_class_that_the_card_lacks_is_refused(images):
    odd = replace(images[0], labels=images[0].labels + np.uint8(1))
    with pytest.raises(DataError, match=r"value 2, but the classes are 0 to 1"):
        finish(train([odd], CARD, PLAN))


def test_loss_by_hand():
    weights = torch.ones(2)
    target = torch.tensor([[[0, 1], [1, IGNORE]]])
    # Uniform logits: cross-entropy log 2; p = 1/2 on 3 known pixels. Class 0 has 1 pixel, class 1
    # two: Dice 1 - (2 * 0.5 + 1) / (1.5 + 1 + 1) and 1 - (2 * 1 + 1) / (1.5 + 2 + 1).
    expected = np.log(2) + ((1 - 2 / 3.5) + (1 - 3 / 4.5)) / 2
    loss = segmentation_loss(torch.zeros(1, 2, 2, 2), target, weights)
    assert loss.item() == pytest.approx(expected, abs=1e-6)
    # What is not known does not matter.
    odd = torch.zeros(1, 2, 2, 2)
    odd[0, 1, 1, 1] = 50.0
    assert segmentation_loss(odd, target, weights).item() == pytest.approx(expected, abs=1e-6)
    # A batch without a known pixel teaches nothing, but has a gradient.
    logits = torch.zeros(1, 2, 2, 2, requires_grad=True)
    segmentation_loss(logits, torch.full((1, 2, 2), IGNORE), weights).backward()
    assert (logits.grad == 0).all()


@pytest.fixture(params=["linknet", "lite-unet"])
def card(request):
    return make_card(2, architecture=request.param)


@pytest.mark.parametrize("step", range(5))
def test_a_cone_shows_the_clicked_pixel_and_nothing_else_of_the_reference(images, card, step):
    """Clicks drawn again from their peaks give the same guidance: no outline leaks into it."""
    network = make_network(card).eval()
    plan = replace(PLAN, batch=4, clicking=Clicking(unclicked=0.2, confirmed=20))
    pixels, labels = CropSampler(images, card, plan).batch(step)
    before = labels.copy()
    rng = np.random.default_rng(step)
    seen = EncodedBatch(network, torch.from_numpy(pixels), bfloat16=False)
    batch = clicked_batch(seen.predict, labels, 2, card.guidance, plan.clicking, rng)
    np.testing.assert_array_equal(labels, before)  # changed on a copy only
    assert batch.guidance.any()
    for guidance, truth in zip(batch.guidance, batch.labels, strict=True):
        peaks = np.argwhere(guidance == 1.0)
        clicks = Clicks(tuple(Click(int(r), int(c), int(k)) for k, r, c in peaks))
        assert all(truth[click.pixel] == click.label for click in clicks)
        drawn = card.guidance.draw(clicks, Window(0, 0, 64, 64), 2, (64, 64))
        np.testing.assert_array_equal(guidance, drawn)


@torch.no_grad()
@pytest.mark.parametrize("size", [64, 50])
def test_a_batch_that_is_encoded_once_has_the_logits_of_the_network(images, card, size):
    network = make_network(card).eval()
    pixels, _ = CropSampler(images, card, replace(PLAN, size=size, batch=3)).batch(0)
    image = torch.from_numpy(pixels)
    batch = EncodedBatch(network, image, bfloat16=False)
    guidance = torch.zeros(2, 2, size, size)
    guidance[0, 1, 20, 30] = 1
    torch.testing.assert_close(batch.logits(guidance, [2, 0]), network(image[[2, 0]], guidance))
    without = network(image, torch.zeros(3, 2, size, size))
    torch.testing.assert_close(batch.logits(None), without)
    np.testing.assert_array_equal(batch.predict([1], None)[0], without[1].argmax(0).numpy())


def test_a_frozen_encoder_stays_as_it_started(images):
    card = make_card(2, architecture="lite-unet")
    start = make_network(card)
    network = finish(train(images, card, replace(PLAN, steps=2), start=start))
    for name, tensor in network.state_dict().items():
        frozen = name.partition(".")[0] in network.encoder_modules
        same = torch.equal(tensor, start.state_dict()[name])
        assert same or not frozen, name
    assert not torch.equal(network.head.weight, start.head.weight)


def test_the_average_by_hand():
    network = make_network(CARD)
    average = averaged(network, 0.9)
    weight = network.head[0].weight
    average.update_parameters(network)
    torch.testing.assert_close(average.module.head[0].weight, weight)
    before = weight.detach().clone()
    with torch.no_grad():
        weight.add_(1.0)
        network.stem[1].num_batches_tracked.fill_(7)
    average.update_parameters(network)
    # The decay of the second step is 2 / 11.
    torch.testing.assert_close(average.module.head[0].weight, before + 9 / 11)
    assert average.module.stem[1].num_batches_tracked == 7
