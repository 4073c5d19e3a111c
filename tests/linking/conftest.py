import numpy as np
import pytest

from napari_sam2track.labels import ArrayLabels
from napari_sam2track.samples import LabelSample
from napari_sam2track.tracks.tracked_movie import map_labels


def scrambled(sample: LabelSample, seed: int = 0) -> np.ndarray:
    """The labels with ids that mean nothing: new ones in every frame."""
    rng = np.random.default_rng(seed)
    out = np.empty_like(sample.labels_tyx)
    for t, frame in enumerate(sample.labels_tyx):
        ids = np.unique(frame[frame > 0])
        new = rng.permutation(len(ids)).astype(np.uint32) + 1
        out[t] = map_labels(frame, ids, new)
    return out


def true_links(sample: LabelSample) -> set[tuple[int, int, int]]:
    """(track, its next detection's track, frame of that): within tracks, and to daughters."""
    last: dict[int, int] = {}
    links = set()
    for t, frame in enumerate(sample.labels_tyx):
        for track in np.unique(frame[frame > 0]).tolist():
            before = track if track in last else sample.parents.get(track)
            if before is not None:
                links.add((before, track, t))
            last[track] = t
    return links


def found_links(sample: LabelSample, masks: np.ndarray, table) -> set[tuple[int, int, int]]:
    """The same of a result, in terms of the true tracks."""
    truth = [
        dict(
            zip(
                *np.unique(np.stack([m, s], -1)[m > 0].reshape(-1, 2), axis=0).T.tolist(),
                strict=True,
            )
        )
        for m, s in zip(masks, sample.labels_tyx, strict=True)
    ]
    ends: dict[int, int] = {}
    links = set()
    for rows in table.tracks():
        ends[int(rows["track"][0])] = truth[rows["frame"][-1]][int(rows["label"][-1])]
    for rows in table.tracks():
        names = [truth[f][v] for f, v in rows[["frame", "label"]].tolist()]
        parent = table.parents.get(int(rows["track"][0]))
        if parent is not None:
            names = [ends[parent], *names]
            frames = rows["frame"].tolist()
        else:
            frames = rows["frame"].tolist()[1:]
        links |= set(zip(names, names[1:], frames, strict=False))
    return links


@pytest.fixture
def errors():
    """Links that are wrong, links that are missing, and how many there are in truth."""

    def count(sample: LabelSample, params) -> tuple[int, int, int]:
        from napari_sam2track.linking import link_all

        masks = scrambled(sample)
        table = link_all(ArrayLabels(masks), params)
        truth, found = true_links(sample), found_links(sample, masks, table)
        return len(found - truth), len(truth - found), len(truth)

    return count
