"""Few clips, made once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sam2track.training.movies import Clips, ClipSet, make_clip

SPEC = ClipSet(6, n_frames=5, size=160, seed=3)


@pytest.fixture(autouse=True)
def one_thread():
    """Small operations are slower on two threads, and far slower on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def spec():
    """What `clips` are made of."""
    return SPEC


@pytest.fixture(scope="session")
def clips():
    """Clips in memory."""
    made = [make_clip(k, SPEC)[:3] for k in range(SPEC.n_clips)]
    return Clips(*(np.stack(arrays) for arrays in zip(*made, strict=True)))
