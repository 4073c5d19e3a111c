"""Fine-tuning: it learns, it keeps the best, it refuses too little."""

from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch
from skimage.segmentation import expand_labels

from napari_sam2track.engine.network.network import Network
from napari_sam2track.errors import UsageError
from napari_sam2track.models import bundled_model, load_config
from napari_sam2track.models.building import build_network
from napari_sam2track.models.download import model_path
from napari_sam2track.models.loading import load_network, load_weights, read_checkpoint
from napari_sam2track.models.registry import find_model
from napari_sam2track.samples import moving_cells
from napari_sam2track.training.data_folders import open_labelled
from napari_sam2track.training.export import save_tuned
from napari_sam2track.training.fine_tuning import Tuning, _mean, validate
from napari_sam2track.training.labelled import Examples, split
from napari_sam2track.training.model_scores import mask_of_click
from napari_sam2track.training.optimiser import Optimisers
from napari_sam2track.training.report import lines_of, scores_of
from napari_sam2track.training.tune_params import TuneParams


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    sample = moving_cells(10, 160, 160, n_cells=6, seed=5)
    wide = np.stack([expand_labels(labels, 6) for labels in sample.labels_tyx])  # a taste to learn
    tifffile.imwrite(folder / "a.tif", sample.images_tyx, photometric="minisblack")
    tifffile.imwrite(folder / "a_labels.tif", wide, photometric="minisblack")
    (movie,) = open_labelled(folder)
    yield split([movie], 0.2)
    movie.close()


def bundled():
    network = build_network(load_config(bundled_model()))
    weights = read_checkpoint(model_path(bundled_model()))["model"]
    load_weights(network, weights, "bundled")
    return network


def tuning(parts, **params):
    kept, held = parts
    params = {"steps": 8, "windows": 1, "frames": 2, "every": 0.5} | params
    return Tuning(bundled(), Examples(kept), Examples(held), TuneParams(**params))


def test_it_learns_and_keeps_the_best(parts):
    work = tuning(parts, steps=30, rate=5e-4, windows=2)
    steps = list(work.run())
    assert steps[-1].step == work.steps == 30 and steps[-1].total == 30
    looks = [_mean(p.scores) for p in steps if p.scores is not None]
    assert len(looks) >= 3
    assert _mean(work.after) == max(looks) > looks[0]
    assert work.improved and not work.gave_up
    best = max((p for p in steps if p.scores is not None), key=lambda p: _mean(p.scores))
    assert steps[-1].best_step == work.best_step == best.step
    assert steps[-1].loss < steps[5].loss
    network = bundled()
    network.load_state_dict(work.best)
    assert validate(network, work.held, 2) == pytest.approx(work.after)


def test_the_same_seed_is_the_same_training(parts):
    one, two = tuning(parts, steps=3), tuning(parts, steps=3)
    for work in (one, two):
        list(work.run())
    for name, value in one._average.items():
        assert torch.equal(value, two._average[name])


def test_the_encoder_stays_if_only_the_rest_is_trained(parts):
    work = tuning(parts, steps=2, what="decoder")
    list(work.run())
    before = dict(bundled().named_parameters())
    changed = {n for n, p in work.network.named_parameters() if not torch.equal(p, before[n])}
    assert changed and not any(n.startswith("image_encoder.") for n in changed)


def test_what_gets_worse_is_not_kept(parts):
    work = tuning(parts, steps=6, rate=10.0, every=0.2, patience=2)
    list(work.run())
    assert work.steps < 6 and work.gave_up
    assert not work.improved and work.best_step == 0
    before = bundled().state_dict()
    assert all(torch.equal(work.best[n], before[n].float()) for n in work.best)


def test_what_is_judged_and_kept_is_between_the_base_and_what_was_learnt(parts, monkeypatch):
    before = bundled().state_dict()
    judged = []

    def validate(model, *_):
        judged.append({n: v.clone() for n, v in model.state_dict().items()})
        return {"click": float(len(judged))}  # better with every look

    monkeypatch.setattr("napari_sam2track.training.fine_tuning.validate", validate)
    for keep in (0.0, 0.25):
        judged.clear()
        work = tuning(parts, steps=2, keep=keep)
        list(work.run())
        assert work.best_step == 2 and work.after == {"click": len(judged)}
        moved = 0
        for name, value in work.best.items():
            mean = (1 - keep) * work._average[name] + keep * before[name]
            torch.testing.assert_close(value, mean.to(value.dtype))
            assert torch.equal(value, judged[-1][name])
            moved += not torch.equal(value, before[name].to(value.dtype))
        assert moved > 100


def test_no_step_is_judged_twice(parts):
    """Here the last look falls on the last step."""
    steps = list(tuning(parts, steps=3, every=0.01).run())
    assert [p.step for p in steps if p.scores is not None] == [0, 2, 3]
    assert (steps[-1].step, steps[-1].total) == (3, 3)


def test_stopping_keeps_the_best_so_far(parts):
    work = tuning(parts, steps=100, every=0.02)
    steps = work.run()
    for one in steps:
        if one.step == 4:
            steps.close()
    assert work.steps == 4 and work.best


def test_too_little_is_refused(parts):
    kept, held = parts
    few = kept[0].part(0, 2, "few")
    with pytest.raises(UsageError, match=r"few: 12 objects .* too few to train on"):
        Tuning(bundled(), Examples([few]), Examples(held), TuneParams())
    with pytest.raises(UsageError, match="too few to judge by"):
        Tuning(bundled(), Examples(kept), Examples([few.part(0, 1, "one")]), TuneParams())


def test_single_images_teach_too(parts):
    kept, held = parts
    images = [kept[0].part(t, t + 1, f"image {t}") for t in range(8)]
    work = Tuning(bundled(), Examples(images), Examples(held), TuneParams(steps=2, windows=1))
    assert [p.step for p in work.run()][-1] == 2


def test_the_file_says_what_it_is(parts, tmp_path):
    work = tuning(parts, steps=1)
    list(work.run())
    path = tmp_path / "mine.pt"
    save_tuned(path, work.best, load_config(bundled_model()), {"name": "mine", "base": "bundled"})
    network = load_network(find_model(path))
    for name, value in network.state_dict().items():
        assert torch.equal(value, work.best[name])
    assert read_checkpoint(path)["card"]["base"] == "bundled"
    scores = scores_of(network, parts[1][0])
    assert scores["objects"] == 6 and 0 < scores["one click"] <= 1 and 0 < scores["J"] <= 1
    assert (
        lines_of(scores, scores)[0]
        == f"one click: {scores['one click']:.3f} -> {scores['one click']:.3f}"
    )
    assert np.isfinite(list(scores.values())).all()


def test_a_look_computes_in_half_precision_where_the_training_does(parts, monkeypatch):
    """As on a GPU: the engine's clicks work in it, and beside it."""
    work = tuning(parts)
    half = lambda device: torch.autocast("cpu", torch.bfloat16)  # noqa: E731
    monkeypatch.setattr("napari_sam2track.training.fine_tuning._autocast", half)
    scores = work._validate(work._base)
    assert set(scores) == {"click", "box", "J", "any size"}
    assert scores["any size"] > 0.2
    work._step(Optimisers(work.network, 1e-4, 0.0), 1.0)
    network, movie = Network(work._judged), parts[1][0]
    monkeypatch.setattr("napari_sam2track.engine.propagation.fast_version", lambda network: network)
    with half("cpu"):
        row = movie.rows[0]
        _, y, x = row["centroid"].tolist()
        assert mask_of_click(network, movie.frames, int(row["frame"]), x + 0.5, y + 0.5).any()


def test_scores_begin_where_there_are_labels(parts):
    movie = parts[0][0]
    later = replace(movie, _cache=OrderedDict())
    later.__dict__["labelled"] = frozenset({3, 4})
    scores = scores_of(bundled(), later)
    assert scores["objects"] == len(np.unique(movie.read(3))) - 1
