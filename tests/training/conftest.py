"""Few clips, made once."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2track.training.synthetic.clips import Clips, ClipSet, make_clip

SPEC = ClipSet(6, n_frames=5, size=160, seed=3)


@pytest.fixture(scope="session")
def spec():
    """What `clips` are made of."""
    return SPEC


@pytest.fixture(scope="session")
def clips():
    """Clips in memory."""
    made = [make_clip(k, SPEC)[:3] for k in range(SPEC.n_clips)]
    return Clips(*(np.stack(arrays) for arrays in zip(*made, strict=True)))
