"""The network for following many objects is the same network, up to rounding."""

from __future__ import annotations

import pytest
import torch

from napari_sam2track.engine.network.fast import fast_version
from napari_sam2track.engine.network.network import MemoryTokens, Network


def memory(network, n, seed=0, n_maps=7, n_pointers=16):
    """Random memories; the objects differ in their slots and distances."""
    g = torch.Generator().manual_seed(seed)
    maps = torch.randn(n, n_maps, network.memory_width, network.grid, network.grid, generator=g)
    slots = torch.arange(n_maps).expand(n, -1).clone()
    away = torch.arange(float(n_pointers)).expand(n, -1).clone()
    if n > 1 and n_maps > 1:
        slots[0, 1] = 0
        away[-1] += 2
    pointers = torch.randn(n, n_pointers, network.width, generator=g)
    return MemoryTokens(maps.bfloat16(), slots, pointers, away, network.max_pointers)


def close(a, b):
    assert a.shape == b.shape
    assert float((a - b).abs().max()) <= 5e-5 * max(1.0, float(b.abs().max()))


@pytest.fixture(scope="module", params=["bundled", "tiny at 96", "low score"])
def network(request, small_config, make_network):
    if request.param == "bundled":
        return Network(make_network(small_config, "base"))
    if request.param == "low score":  # objects that are absent
        return Network(make_network(small_config, "base", bias=-3.0))
    # where sam2 pads the windows of its attention
    return Network(make_network("sam2.1_hiera_tiny", "base", 96))


@torch.inference_mode()
@pytest.mark.parametrize("case", ["one", "several", "one frame", "few memories"])
def test_every_step_agrees(network, case):
    fast, n = fast_version(network), 1 if case == "one" else 3
    assert fast._trunk is not None and fast._memories is not None and fast._decoder is not None
    images = torch.randint(0, 256, (n, network.image_size, network.image_size, 3)).byte()
    ours, sams = (
        fast.encode_images(fast.normalise(images)),
        network.encode_images(network.normalise(images)),
    )
    if case == "one frame":
        ours, sams = ours.take([0]).expand(n), sams.take([0]).expand(n)
    close(ours.top, sams.top)
    for level in (0, 1):
        close(ours.fine[level], sams.fine[level])
    few = {"n_maps": 1, "n_pointers": 0} if case == "few memories" else {}
    seen = memory(network, n, **few)
    conditioned = network.condition(sams, seen)
    close(fast.condition(ours, seen), conditioned)
    points = network.image_size * torch.rand(n, 2, 2)
    labels = torch.tensor([[1, 0]], dtype=torch.int32).expand(n, -1)
    followed = network.decode(conditioned, sams)
    for given in (
        {},
        {"points_npxy": points, "labels_np": labels},
        {"points_npxy": points, "labels_np": labels, "previous_n1yx": followed.logits.clamp(-9, 9)},
        {"multimask": False},
        {"trust": True},
    ):
        a, b = fast.decode(conditioned, ours, **given), network.decode(conditioned, sams, **given)
        for name in ("candidates", "ious", "logits", "iou", "pointer", "score"):
            close(getattr(a, name), getattr(b, name))
    for from_prompt in (False, True):
        given = sams, followed.logits, followed.score, from_prompt
        close(fast.encode_memory(ours, *given[1:]), network.encode_memory(*given))
    masks = (torch.rand(n, 1, network.image_size, network.image_size) > 0.5).float()
    close(fast.adopt(ours, masks).pointer, network.adopt(sams, masks).pointer)


@torch.inference_mode()
def test_what_is_given_is_not_changed(network):
    """Work in place stays inside."""
    fast = fast_version(network)
    images = torch.randint(0, 256, (2, network.image_size, network.image_size, 3)).byte()
    features, seen = fast.encode_images(fast.normalise(images)), memory(network, 2)
    decoded = fast.decode(fast.condition(features, seen), features)
    given = [features.top, *features.fine, seen.maps, seen.pointers, decoded.logits, decoded.score]
    before = [x.clone() for x in given]
    again = fast.decode(fast.condition(features, seen), features)
    fast.encode_memory(features, decoded.logits, decoded.score, False)
    fast.encode_memory(features, fast.full_size(decoded.logits), decoded.score, False)
    assert all(torch.equal(a, b) for a, b in zip(given, before, strict=True))
    assert torch.equal(again.logits, decoded.logits)


@torch.inference_mode()
@pytest.mark.parametrize("which", ["sam2", "fast"])
def test_without_is_as_if_it_had_been_absent(small_config, make_network, which):
    """The object that gave way is what the same weights say of one that is not there."""
    found = []
    for bias in (3.0, -4.0):
        network = Network(make_network(small_config, bias=bias))
        network = fast_version(network) if which == "fast" else network
        torch.manual_seed(1)
        images = torch.randint(0, 256, (2, network.image_size, network.image_size, 3)).byte()
        features = network.encode_images(network.normalise(images))
        found.append(network.decode(network.without_memory(features), features))
    here, absent = found
    assert (here.score > 0).all()
    assert (absent.score < 0).all()
    left = network.without(here, torch.tensor([True, False]))
    for name in ("candidates", "logits", "pointer"):
        assert torch.equal(getattr(left, name)[0], getattr(absent, name)[0])
        assert torch.equal(getattr(left, name)[1], getattr(here, name)[1])
    assert (left.score > 0).flatten().tolist() == [False, True]


@torch.inference_mode()
def test_a_mask_at_full_size_is_not_changed(network):
    fast = fast_version(network)
    images = torch.randint(0, 256, (1, network.image_size, network.image_size, 3)).byte()
    features = fast.encode_images(fast.normalise(images))
    logits = torch.randn(1, 1, network.image_size, network.image_size)
    before = logits.clone()
    for from_prompt in (False, True):
        fast.encode_memory(features, logits, torch.ones(1, 1), from_prompt)
        assert torch.equal(logits, before)


@torch.inference_mode()
def test_parts_of_other_kinds_stay_sams(small_config, make_network):
    """Another class of a part is not guessed at."""
    model = make_network(small_config, "base")
    for part in (model.image_encoder.trunk, model.memory_attention, model.sam_mask_decoder):
        part.__class__ = type("Other", (type(part),), {})
    network = Network(model)
    assert (
        fast_version(network)._trunk
        is fast_version(network)._memories
        is fast_version(network)._decoder
        is None
    )
    images = torch.randint(0, 256, (2, network.image_size, network.image_size, 3)).byte()
    features = fast_version(network).encode_images(network.normalise(images))
    assert torch.equal(features.top, network.encode_images(network.normalise(images)).top)
    seen = memory(network, 2)
    conditioned = fast_version(network).condition(features, seen)
    assert torch.equal(conditioned, network.condition(features, seen))
    a, b = (
        fast_version(network).decode(conditioned, features),
        network.decode(conditioned, features),
    )
    assert torch.equal(a.logits, b.logits)
