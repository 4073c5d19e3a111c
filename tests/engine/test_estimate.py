"""Estimates: they grow with the work, and a run takes about what was said."""

from __future__ import annotations

import time

import pytest

from napari_sam2track.engine.estimate import Estimate, bank_bytes, estimate
from napari_sam2track.engine.network.batches import object_bytes
from napari_sam2track.engine.network.fast import fast_version
from napari_sam2track.engine.network.memory import MemoryBank
from napari_sam2track.engine.propagation import Pass
from napari_sam2track.params import EngineParams
from napari_sam2track.prompts import PromptSet

PARAMS = EngineParams(cache_memory=0)


@pytest.mark.parametrize("mode", ["frame", "window"])
def test_ten_times_the_pairs_cost_more(small, mode):
    few = estimate(small, mode, 50, 5, 10, PARAMS)
    many = estimate(small, mode, 5000, 5, 1000, PARAMS)
    assert (few.pairs, many.pairs) == (50, 5000)
    assert 20 < many.seconds / few.seconds < 500  # the machine is not equally busy twice
    assert 50 < many.disk_bytes / few.disk_bytes <= 100
    assert many.memory_bytes == few.memory_bytes  # a run holds no more for a longer movie


@pytest.mark.parametrize("mode", ["frame", "window"])
def test_memory_grows_with_the_objects_and_not_beyond_what_is_allowed(small, mode):
    one, many, crowd = (estimate(small, mode, 500, n, 50, PARAMS) for n in (1, 32, 300))
    assert one.memory_bytes > 0
    assert many.memory_bytes - one.memory_bytes > 31 * object_bytes(small, mode)
    each = (crowd.memory_bytes - many.memory_bytes) / 268
    assert bank_bytes(small) <= each < object_bytes(small, mode)  # batches are no larger
    little = estimate(small, mode, 500, 32, 50, PARAMS.model_copy(update={"max_memory": 4}))
    assert little.memory_bytes < many.memory_bytes - 20 * object_bytes(small, mode)
    cached = estimate(small, mode, 5000, 32, 50, EngineParams(cache_memory=64))
    assert many.memory_bytes < cached.memory_bytes <= many.memory_bytes + (64 << 20)


@pytest.mark.parametrize("mode", ["frame", "window"])
def test_a_run_takes_about_what_was_said(small, discs, mode):
    made = discs(40)
    prompts = PromptSet({(k + 1, 0): made.box(0, k) for k in range(3)})
    said = estimate(small, mode, 120, 3, 40, PARAMS)
    begin = time.perf_counter()
    passed = Pass.over(small, made.movie, prompts, PARAMS, mode, range(40))
    for _ in passed:
        pass
    took = time.perf_counter() - begin
    assert took / 3 < said.seconds < took * 3

    def size(bank: MemoryBank) -> int:
        entries = [*bank.conditioning.values(), *bank.recent]
        pointers = [*bank.pointers, *((f, e.pointer) for f, e in bank.conditioning.items())]
        held = [e.maps for e in entries] + [p for _, p in pointers]
        return sum(x.numel() * x.element_size() for x in held)

    again = Pass.over(small, made.movie, prompts, PARAMS, mode, range(40))
    list(again.until(30))
    assert {size(f.bank) for f in again.followers} == {bank_bytes(small)}


def test_large_batches_are_not_computed_to_be_timed(small, monkeypatch):
    """A network that takes 0.3 s an object is timed with one."""
    batches = []
    slow = fast_version(small)
    encode = type(slow).encode_memory

    def waiting(self, features, *args):
        batches.append(len(features))
        time.sleep(0.3)
        return encode(self, features, *args)

    monkeypatch.setattr(type(slow), "encode_memory", waiting)
    said = estimate(small, "window", 1000, 20, 50, PARAMS)
    assert set(batches) == {1}
    assert said.seconds > 300


def test_nothing_costs_nothing(small):
    assert estimate(small, "window", 0, 0, 0, PARAMS) == Estimate(0, 0.0, 0, 0)


@pytest.mark.parametrize(
    ("seconds", "memory", "disk", "text"),
    [
        (19.7, 304e6, 40e6, "about 20 s, 300 MB of memory, 40 MB on disk"),
        (0.2, 2e6, 1000, "about a second, 2 MB of memory, 1 MB on disk"),
        (7200, 12e9, 2.04e9, "about 2 h, 12 GB of memory, 2 GB on disk"),
        (600, 99.7e6, 10e9, "about 10 min, 100 MB of memory, 10 GB on disk"),
    ],
)
def test_the_text_is_one_line(seconds, memory, disk, text):
    told = Estimate(4000, seconds, int(memory), int(disk)).text
    assert told == f"4000 object-frames, {text}"
