"""Batches: cut to fit, halved if they do not, the same results whatever runs side by side."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2track.engine.network.batches import Batcher, object_bytes
from napari_sam2track.engine.propagation import Pass
from napari_sam2track.errors import DeviceError
from napari_sam2track.params import EngineParams
from napari_sam2track.prompts import PromptSet

FULL = RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate")


@pytest.fixture
def threads():
    """Sets torch's threads for a test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


class Work:
    """Doubles numbers, and notes what it was given; more than ``room`` at once do not fit."""

    def __init__(self, room=10**9):
        self.room, self.sizes, self.where, self.lock = room, [], set(), threading.Lock()

    def __call__(self, items):
        assert torch.is_inference_mode_enabled()
        with self.lock:
            self.sizes.append(len(items))
            self.where.add((threading.get_ident(), torch.get_num_threads()))
        if len(items) > self.room:
            raise FULL
        return [2 * i for i in items]


@given(
    n=st.integers(0, 40),
    batch=st.integers(1, 20),
    threads=st.integers(1, 3),
    keys=st.integers(1, 4),
)
def test_results_come_in_order_and_batches_fit(small, n, batch, threads, keys):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        seen = []

        def work(items):
            seen.append(items)
            return [str(i) for i in items]

        batcher = Batcher(small, "frame", batch)
        assert batcher.map(work, range(n), key=lambda i: i % keys) == [str(i) for i in range(n)]
    finally:
        torch.set_num_threads(before)
    assert sorted(i for items in seen for i in items) == list(range(n))
    assert all(len({i % keys for i in items}) == 1 for items in seen)
    assert all(0 < len(items) <= batch for items in seen)


def test_one_thread_fills_its_batches_evenly(small, threads):
    threads(1)
    work = Work()
    Batcher(small, "frame", 32).map(work, range(70))
    assert sorted(work.sizes) == [23, 23, 24]
    assert work.where == {(threading.get_ident(), 1)}


def test_several_threads_compute_alone_and_leave_no_trace(small, threads):
    threads(3)
    work, batcher = Work(), Batcher(small, "frame", 32)
    assert batcher.map(work, range(30)) == list(range(0, 60, 2))
    assert sorted(work.sizes) == [10, 10, 10]
    batcher.map(work, range(64))
    assert len(work.sizes[3:]) == 9  # three each, and 32 // 3 at most
    assert set(work.sizes[3:]) == {7, 8}
    assert {n for _, n in work.where} == {1}
    assert threading.get_ident() not in {ident for ident, _ in work.where}
    assert torch.get_num_threads() == 3
    with ThreadPoolExecutor(1) as other:
        assert other.submit(torch.get_num_threads).result() == 3


def test_few_objects_share_one_batch(small, threads):
    threads(2)
    work = Work()
    Batcher(small, "frame", 32).map(work, range(5))
    assert work.sizes == [5]
    assert work.where == {(threading.get_ident(), 2)}


def test_object_by_object_uses_all_threads(small, threads):
    threads(2)
    work = Work()
    Batcher(small, "frame", 1).map(work, range(20))
    assert work.sizes == [1] * 20
    assert work.where == {(threading.get_ident(), 2)}


@pytest.mark.parametrize("n_threads", [1, 2])
def test_what_does_not_fit_is_halved_and_remembered(small, threads, n_threads):
    threads(n_threads)
    work, batcher = Work(room=3), Batcher(small, "frame", 32)
    assert batcher.map(work, range(20)) == list(range(0, 40, 2))
    tried = len(work.sizes)
    assert max(work.sizes) > 3
    assert batcher.map(work, range(20)) == list(range(0, 40, 2))
    assert max(work.sizes[tried:]) <= 3


@pytest.mark.parametrize("n_threads", [1, 2])
def test_one_object_that_does_not_fit_is_an_error(small, threads, n_threads):
    threads(n_threads)
    batcher = Batcher(small, "frame", 32)
    with pytest.raises(DeviceError, match=r"not enough memory for one object.*smaller model"):
        batcher.map(Work(room=0), range(20))


def test_what_fits_only_alone_is_computed_alone(small, threads):
    """Two threads can each be short of memory because of the other."""
    threads(2)
    busy = threading.Semaphore(1)
    begun = threading.Barrier(2)
    first = [True]

    def work(items):
        if first[0] and threading.current_thread() is not threading.main_thread():
            begun.wait(10)
        alone = busy.acquire(blocking=False)
        try:
            if first[0] and threading.current_thread() is not threading.main_thread():
                begun.wait(10)
                first[0] = False
            if not alone:
                raise FULL
            return [-i for i in items]
        finally:
            if alone:
                busy.release()

    batcher = Batcher(small, "frame", 2)
    assert batcher.map(work, range(6)) == [-i for i in range(6)]


def test_other_errors_stay_what_they_are(small):
    def work(items):
        raise RuntimeError("mat1 and mat2 must have the same dtype")

    with pytest.raises(RuntimeError, match="mat1"):
        Batcher(small, "frame", 4).map(work, range(3))


def test_a_budget_makes_batches_smaller(small, threads):
    threads(1)
    each = object_bytes(small, "frame")
    assert 1e5 < each < 1e8
    work = Work()
    Batcher(small, "frame", 32, budget_bytes=5 * each).map(work, range(10))
    assert work.sizes == [5, 5]
    work = Work()
    Batcher(small, "frame", 32, budget_bytes=1).map(work, range(3))
    assert work.sizes == [1, 1, 1]


@pytest.mark.parametrize("mode", ["frame", "window"])
def test_little_memory_gives_the_same_labels_from_smaller_batches(
    small, discs, threads, monkeypatch, mode
):
    threads(1)
    made, sizes = discs(4), []
    prompts = PromptSet({(k + 1, 0): made.box(0, k) for k in range(3)})
    run = Batcher._run

    def noted(self, work, items):
        sizes.append(len(items))
        return run(self, work, items)

    monkeypatch.setattr(Batcher, "_run", noted)

    def labels(max_memory):
        sizes.clear()
        params = EngineParams(max_memory=max_memory)
        passed = Pass.over(small, made.movie, prompts, params, mode, range(4))
        return np.stack([r.labels_yx for r in passed]), max(sizes)

    free, at_once = labels(None)
    bounded, least = labels(2 if mode == "frame" else 4)  # one object of this network, not two
    assert (at_once, least) == (3, 1)
    assert len(np.unique(free)) == 4
    np.testing.assert_array_equal(bounded, free)


def test_large_windows_make_smaller_batches(small_config, make_network):
    from napari_sam2track.engine.network.network import Network

    network = Network(make_network(small_config, "base", 512))
    assert Batcher(network, "window", 32).most == 8
    assert Batcher(network, "frame", 32).most == 32
    assert object_bytes(network, "window") >= object_bytes(network, "frame")
