"""Embeddings are found by what was shown, within their budgets, and are the same bits."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from napari_sam2track.engine.clicks import encode_views
from napari_sam2track.engine.embeddings import Encoder
from napari_sam2track.engine.network.fast import fast_version
from napari_sam2track.engine.views.views import FrameView, WindowView
from napari_sam2track.engine.views.windows import Window


@pytest.fixture
def movie(discs):
    return discs(6).movie


@pytest.fixture(params=["sam2's", "fast"])
def network(request, small):
    return small if request.param == "sam2's" else fast_version(small)


@pytest.fixture(autouse=True)
def inference():
    with torch.inference_mode():
        yield


def same(a, b):
    return all(
        torch.equal(x, y) and x.stride() == y.stride()
        for x, y in ((a.top, b.top), (a.fine[0], b.fine[0]), (a.fine[1], b.fine[1]))
    )


WINDOWS = [WindowView(Window(30.0 + 20 * k, 40.0 + 20 * k, 40.0)) for k in range(3)]


def test_the_same_pixels_are_encoded_once(network, movie):
    encoder = Encoder(network, 1 << 24)
    whole = [FrameView(movie.height, movie.width)]
    first = encoder.encode(movie, 0, whole)
    assert (encoder.encoded, encoder.hits) == (1, 0)
    assert same(first, encode_views(network, movie, 0, whole))
    assert same(encoder.encode(movie, 0, whole), first)
    assert (encoder.encoded, encoder.hits) == (1, 1)
    encoder.encode(movie, 1, whole)
    movie.movie[0, :40] ^= 64  # pixels, not the number of the frame
    encoder.encode(movie, 0, whole)
    assert (encoder.encoded, encoder.hits) == (3, 1)


def test_only_what_is_missing_is_encoded(network, movie):
    encoder = Encoder(network, 1 << 24)
    encoder.encode(movie, 0, WINDOWS[:1])
    got = encoder.encode(movie, 0, [WINDOWS[1], WINDOWS[0], WINDOWS[1], WINDOWS[2]])
    assert (encoder.encoded, encoder.hits) == (3, 2)
    for n, view in enumerate((WINDOWS[1], WINDOWS[0], WINDOWS[1], WINDOWS[2])):
        alone = encode_views(network, movie, 0, [view])
        torch.testing.assert_close(got.top[n], alone.top[0], atol=1e-5, rtol=0)
        torch.testing.assert_close(got.fine[0][n], alone.fine[0][0], atol=1e-5, rtol=0)


def test_without_a_budget_nothing_is_kept(network, movie):
    encoder = Encoder(network)
    for _ in range(2):
        encoder.encode(movie, 0, WINDOWS)
    assert (encoder.encoded, encoder.hits) == (6, 0)
    assert not encoder._rows


def test_the_one_used_longest_ago_goes(network, movie):
    one = sum(
        x.numel() * 4
        for x in (lambda f: (f.top, *f.fine))(encode_views(network, movie, 0, WINDOWS[:1]))
    )
    encoder = Encoder(network, 2 * one)
    for k in (0, 1, 0, 2, 0):
        encoder.encode(movie, 0, [WINDOWS[k]])
    assert (encoder.encoded, encoder.hits) == (3, 2)
    encoder.encode(movie, 0, [WINDOWS[1]])
    assert encoder.encoded == 4
    assert encoder._bytes == 2 * one


def test_threads_agree(network, movie):
    encoder = Encoder(network, 1 << 24)
    want = encoder.encode(movie, 0, WINDOWS)

    def ask(k):
        with torch.inference_mode():
            return k % 3, encoder.encode(movie, 0, [WINDOWS[k % 3]])

    with ThreadPoolExecutor(4) as pool:
        for k, got in pool.map(ask, range(24)):
            assert torch.equal(got.top[0], want.top[k])
    assert (encoder.encoded, encoder.hits) == (3, 24)


def test_finding_costs_far_less_than_encoding(network, movie):
    encoder = Encoder(network, 1 << 24)
    image = np.zeros((network.image_size, network.image_size, 3), np.uint8)

    class View:
        def image(self, movie, t, size):
            return image

    encoder.encode(movie, 0, [View()])

    def seconds(work):
        times = []
        for _ in range(9):
            begin = time.perf_counter()
            work()
            times.append(time.perf_counter() - begin)
        return min(times)

    found = seconds(lambda: encoder.encode(movie, 0, [View()]))
    computed = seconds(lambda: encoder._compute([image]))
    assert found < computed / 4
