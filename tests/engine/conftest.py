"""Small networks with weights of which masks come out, and synthetic movies."""

from __future__ import annotations

import os
from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_sam2track.engine.network.network import Network
from napari_sam2track.masks import Mask
from napari_sam2track.prompts import Point, Prompt

#: The bundled weights; the variable is there to try others of the same architecture.
WEIGHTS = Path(
    os.environ.get("SAM2TRACK_TEST_WEIGHTS")
    or str(files("napari_sam2track.models") / "weights" / "sam2track_small.pt")
)


class CountingMovie:
    """A grey movie in memory that counts what is read of it."""

    def __init__(self, movie_tyx: np.ndarray) -> None:
        self.movie = np.repeat(movie_tyx[..., None], 3, axis=-1)
        self.n_frames, self.height, self.width = movie_tyx.shape
        self.reads: Counter[int] = Counter()
        self.pixels = 0

    def read(self, t: int) -> np.ndarray:
        self.reads[t] += 1
        return self.movie[t].copy()

    def read_window(self, t: int, y0: int, y1: int, x0: int, x1: int) -> np.ndarray:
        assert 0 <= y0 < y1 <= self.height and 0 <= x0 < x1 <= self.width
        self.pixels += (y1 - y0) * (x1 - x0)
        return self.movie[t, y0:y1, x0:x1].copy()


class Discs:
    """Bright discs that move over noise; the truth is known."""

    def __init__(
        self,
        n_frames: int,
        height: int = 117,
        width: int = 151,
        n: int = 3,
        radius: float = 12.0,
        speed: tuple[float, float] = (1.0, 2.0),
        seed: int = 0,
    ) -> None:
        self.height, self.width, self.radius, self.speed = height, width, radius, speed
        rng = np.random.default_rng(seed)
        out = rng.normal(60, 8, (n_frames, height, width))
        for t in range(n_frames):
            for k in range(n):
                out[t][self.truth(t, k)] += 100 + 10 * k
        self.movie = CountingMovie(out.clip(0, 255).astype(np.uint8))

    def centre(self, t: int, k: int) -> tuple[float, float]:
        return 34 + 15 * k + self.speed[0] * t, 36 + 30 * k + self.speed[1] * t

    def truth(self, t: int, k: int) -> np.ndarray:
        yy, xx = np.mgrid[: self.height, : self.width]
        cy, cx = self.centre(t, k)
        return np.hypot(yy - cy, xx - cx) < self.radius

    def click(self, t: int, k: int, *negative: tuple[float, float]) -> Prompt:
        points = [Point(*self.centre(t, k)), *(Point(y, x, False) for y, x in negative)]
        return Prompt(points=tuple(points))

    def box(self, t: int, k: int, *points: Point) -> Prompt:
        cy, cx = self.centre(t, k)
        r = self.radius + 1.5
        return Prompt(box=(cy - r, cx - r, cy + r, cx + r), points=points)

    def mask(self, t: int, k: int) -> Prompt:
        return Prompt(mask=Mask.from_frame(self.truth(t, k)))


def build(
    config: Any,
    target: str = "predictor",
    size: int | None = None,
    seed: int = 0,
    bias: float = 3.0,
) -> Any:
    """A network with random weights that shows something.

    Fresh weights can say that everything is absent (the object score's last bias is set), give
    logits around 0.05 (the masks' hypernetworks are scaled), and hardly look at their memories
    (the fuser's scales begin at 1e-6).
    """
    from napari_sam2track.models.building import build_network
    from napari_sam2track.models.config import find_config

    if isinstance(config, str):
        config = find_config(config)
    torch.manual_seed(seed)
    model: Any = build_network(config, target, size).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        if "gamma" in name or "no_obj" in name:
            p.copy_(0.3 * torch.randn(p.shape, generator=generator))
    decoder = model.sam_mask_decoder
    decoder.pred_obj_score_head.layers[-1].bias.fill_(bias)
    for mlp in decoder.output_hypernetworks_mlps:
        mlp.layers[-1].weight.mul_(10)
        mlp.layers[-1].bias.mul_(10)
    return model


@pytest.fixture(scope="session")
def small_config() -> dict[str, Any]:
    """The bundled model's config."""
    from napari_sam2track.models import bundled_model, load_config

    return load_config(bundled_model())


@pytest.fixture(scope="session")
def small_predictor(small_config) -> Any:
    """SAM2's own predictor with the bundled config and random weights."""
    return build(small_config)


@pytest.fixture(scope="session")
def small(small_predictor) -> Network:
    """The same weights for our engine."""
    return Network(small_predictor)


@pytest.fixture(scope="session")
def bundled_predictor(small_config) -> Any:
    """SAM2's own predictor with the bundled weights."""
    if not WEIGHTS.exists():
        pytest.skip("the bundled weights are not there yet (training makes them)")
    from napari_sam2track.models.building import build_network
    from napari_sam2track.models.loading import load_weights, read_checkpoint

    model = build_network(small_config, "predictor")
    load_weights(model, read_checkpoint(WEIGHTS)["model"], "the bundled model")
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def discs() -> type[Discs]:
    """Makes movies of discs."""
    return Discs


@pytest.fixture(scope="session")
def counting_movie() -> type[CountingMovie]:
    """Makes movies that count what is read of them."""
    return CountingMovie


@pytest.fixture(scope="session")
def make_network() -> Any:
    """Makes networks with random weights, see `build`."""
    return build
