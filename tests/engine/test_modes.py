"""The size of windows."""

from __future__ import annotations

import pytest
import torch

from napari_sam2track.engine.modes import choose_window_size
from napari_sam2track.engine.network.network import Network
from napari_sam2track.engine.propagation import Pass
from napari_sam2track.errors import UsageError
from napari_sam2track.params import EngineParams
from napari_sam2track.prompts import PromptSet


@pytest.mark.parametrize(
    ("asked", "model", "device", "size", "reason"),
    [
        (None, 128, "cpu", 128, "made for"),
        (None, 128, "cuda", 128, "made for"),
        (None, 1024, "cpu", 256, "1024 px.*slow on a CPU"),
        (None, 1024, "cuda:1", 512, "1024 px.*slow on a GPU"),
        (None, 512, "cuda", 512, "made for"),
        (1024, 1024, "cpu", 1024, "as asked"),
        (192, 128, "cpu", 192, "as asked"),
    ],
)
def test_the_size_and_why(asked, model, device, size, reason):
    import re

    got, why = choose_window_size(asked, model, device)
    assert got == size
    assert re.search(reason, why)


@pytest.mark.parametrize("asked", [0, 32, 100, 250])
def test_sizes_that_cannot_be_run_are_refused(asked):
    with pytest.raises(UsageError, match=rf"windows of {asked} px.*multiple of 32"):
        choose_window_size(asked, 1024, "cpu")


def test_a_model_for_1024_runs_windows_at_256(make_network, discs):
    """SAM2's own tiny network, from clicks to frames."""
    size, _ = choose_window_size(None, 1024, "cpu")
    network = Network(make_network("sam2.1_hiera_tiny", "base", size))
    d = discs(2)
    prompts = PromptSet({(1, 0): d.box(0, 0), (2, 0): d.mask(0, 1)})
    with torch.inference_mode():
        frames = list(Pass.over(network, d.movie, prompts, EngineParams(), "window", range(2)))
    assert [r.frame for r in frames] == [0, 1]
    assert network.image_size == 256
