import time
from dataclasses import replace

import numpy as np
import pytest

from napari_sam2track.formats.tracks_files import open_tracks
from napari_sam2track.labels import ArrayLabels, Scale
from napari_sam2track.params import SuspectParams
from napari_sam2track.samples import moving_cells
from napari_sam2track.tracks.suspects.find import KINDS, find_suspects
from napari_sam2track.tracks.table import DETECTION, TrackTable
from napari_sam2track.tracks.tracked_movie import table_of

N = 12


def suspects(array, parents=None, **params):
    labels = ArrayLabels(array)
    return find_suspects(table_of(labels, parents), labels, SuspectParams(**params))


def disk(array, t, track, y, x, radius=6.0):
    yy, xx = np.indices(array.shape[1:])
    array[t][(yy - y) ** 2 + (xx - x) ** 2 <= radius**2] = track


@pytest.fixture
def flow():
    """Twelve disks on a grid that all move 3 pixels a frame; 5 divides in frame 6 to 21 and 22."""
    array = np.zeros((N, 150, 220), np.uint32)
    for t in range(N):
        for k in range(12):
            y, x = 25 + 35 * (k // 4), 25 + 45 * (k % 4) + 3 * t
            if k + 1 == 5 and t >= 6:
                disk(array, t, 21, y - 6, x, 4.5)
                disk(array, t, 22, y + 6, x, 4.5)
            else:
                disk(array, t, k + 1, y, x)
    return array


PARENTS = {21: 5, 22: 5}


def test_nothing_is_wrong_with_a_clean_movie(flow):
    assert suspects(flow, PARENTS) == []
    assert suspects(np.zeros((4, 5, 5), np.uint32)) == []


def swap(a, p):
    for frame in a[5:]:
        one, two = frame == 2, frame == 6
        frame[one], frame[two] = 6, 2
    return a, p


def drop(a, p):
    a[4][a[4] == 3] = 0
    return a, p


def merge(a, p):
    a[4][a[4] == 7] = 3
    return a, p


def cut_in_two(a, p):
    a[6:][a[6:] == 8] = 30
    return a, p


def stop(a, p):
    a[6:][a[6:] == 10] = 0
    return a, p


def appear(a, p):
    a[:6][a[:6] == 10] = 0
    return a, p


def lose_parents(a, p):
    return a, {}


def lonely_child(a, p):
    return a, {21: 5}


def shrink(a, p):
    a[5][(a[5] == 11) & (np.indices(a.shape[1:])[0] > 93)] = 0
    return a, p


def hole(a, p):
    y, x = np.argwhere(a[5] == 4).mean(axis=0).astype(int)
    a[5, y - 1 : y + 2, x - 1 : x + 2] = 0
    return a, p


def speck(a, p):
    a[5, 70:73, 5:8] = 9
    return a, p


def blink(a, p):
    disk(a, 5, 40, 75, 15)
    return a, p


def wrong_daughter(a, p):
    a[6:][a[6:] == 22] = 0
    disk(a, 6, 23, 120, 200, 2)
    return a, {21: 5, 23: 5}


def early_child(a, p):
    return a, {**p, 22: 1}


def late_child(a, p):
    a[8:][a[8:] == 12] = 0
    disk(a, 2, 41, 75, 8)
    disk(a, 9, 42, 75, 8)
    disk(a, 9, 43, 75, 205)
    return a, {**p, 42: 41, 43: 41}


@pytest.mark.parametrize(
    ("plant", "tracks", "frame", "kind", "text"),
    [
        (swap, {2, 6}, 5, "jump", "diameters more than expected"),
        (drop, {3}, 4, "lost", "not in frame 4"),
        (merge, {3, 7}, 4, "lost", "not in frame 4"),
        (cut_in_two, {8}, 5, "end", "ends where 30 begins in frame 6: one track?"),
        (stop, {10}, 5, "end", "ends inside the frame"),
        (appear, {10}, 6, "begin", "begins inside the frame, without a parent"),
        (lose_parents, {5}, 5, "end", "ends where 21 begins"),
        (lonely_child, {5, 22}, 5, "division", "has one child only, 21"),
        (shrink, {11}, 5, "area", "times"),
        (hole, {4}, 5, "holes", "of its area are holes"),
        (speck, {9}, 5, "parts", "of its pixels are not connected with the rest"),
        (blink, {40}, 5, "short", "is in 1 frame only"),
        (early_child, {22, 1, 5}, 6, "lineage", "its parent 1 goes on to frame 11"),
        (late_child, {42, 43, 41, 12}, 9, "lineage", "6 frames after its parent 41"),
        (wrong_daughter, {5, 23}, 5, "division", "has daughters of"),
    ],
)
def test_planted_errors_come_first(flow, plant, tracks, frame, kind, text):
    found = suspects(*plant(flow, dict(PARENTS)))
    first = [s for s in found[: 2 * len(tracks)] if s.track in tracks and s.frame == frame]
    assert found[0].track in tracks
    assert any(kind in s.kinds for s in first), found[:4]
    assert any(text in s.text for s in first)
    others = [s for s in found if s.track not in tracks and abs(s.frame - frame) > 1]
    assert all(s.score < found[0].score for s in others)
    assert all(0 < s.score <= 1 and set(s.kinds) <= set(KINDS) for s in found)
    scores = [s.score for s in found]
    assert scores == sorted(scores, reverse=True)


def test_a_drift_of_the_stage_is_no_jump(flow):
    moved = flow.copy()
    for t in range(6, N):
        moved[t] = np.roll(flow[t], 14, axis=0)
    kinds = {kind for s in suspects(moved, PARENTS, min_score=0.2) for kind in s.kinds}
    assert "jump" not in kinds
    assert "overlap" not in kinds


def test_leaving_is_no_error():
    array = np.zeros((N, 60, 80), np.uint32)
    for t in range(N):
        disk(array, t, 1, 30, 40 + 5 * t)
        disk(array, t, 2, 30, 20)
    found = suspects(array)
    assert {s.track for s in found} == {1}
    assert max(s.score for s in found) < 0.5
    assert "border" in {kind for s in found for kind in s.kinds}
    assert suspects(array, min_score=0.5) == []


def test_without_masks_the_table_alone_is_judged(flow):
    array, parents = merge(flow, dict(PARENTS))
    table = table_of(ArrayLabels(array), parents)
    found = find_suspects(table)
    assert {(s.track, s.frame) for s in found[:3]} >= {(7, 4), (3, 4)}
    assert not {"overlap", "parts", "holes"} & {kind for s in found for kind in s.kinds}


def test_thresholds_matter(flow):
    array, parents = shrink(flow, dict(PARENTS))
    assert suspects(array, parents)
    assert suspects(array, parents, area_change=3.0, min_iou=0.1, jump=2) == []


def test_volumes_and_flat_voxels(flow):
    """A volume of a few thick planes is judged as its plane is."""
    array, parents = drop(flow, dict(PARENTS))
    deep = np.zeros((N, 5, *array.shape[1:]), np.uint32)
    deep[:, 1:4] = array[:, None]
    labels = ArrayLabels(deep)
    found = find_suspects(table_of(labels, parents), labels, scale=Scale(z=4.0, y=0.5, x=0.5))
    assert (found[0].track, found[0].frame, found[0].kinds[0]) == (3, 4, "lost")
    assert all(s.track == 3 for s in found if s.score > 0.3)


def test_the_size_of_a_pixel_is_only_a_proportion(flow):
    array, parents = swap(flow, dict(PARENTS))
    table = table_of(ArrayLabels(array), parents)
    small = Scale(y=0.1, x=0.1)
    assert find_suspects(table, scale=small) == find_suspects(table)


def test_progress_is_shown(flow):
    seen = []

    def progress(items, total, doing):
        seen.append((total, doing))
        return items

    labels = ArrayLabels(flow)
    find_suspects(table_of(labels, PARENTS), labels, progress=progress)
    assert seen == [(N, "Looking")]


def plant_many(array, seed):
    """A swap, a merged mask and a lost one, each of other tracks; where they are."""
    rng = np.random.default_rng(seed)
    order = (rng.permutation(10) + 1).tolist()
    planted = set()
    for frame in array[12:]:
        one, two = frame == order[0], frame == order[1]
        frame[one], frame[two] = order[1], order[0]
    planted |= {(order[0], 12), (order[1], 12)}
    array[7][array[7] == order[2]] = order[3]
    planted |= {(order[2], 7), (order[3], 7)}
    array[16][array[16] == order[4]] = 0
    planted.add((order[4], 16))
    return array, planted


@pytest.mark.parametrize("seed", range(4))
def test_cells_that_wander(seed):
    array = moving_cells(24, 200, 260, 10, seed=seed).labels_tyx.astype(np.uint32)
    assert [s for s in suspects(array) if s.score > 0.5] == []
    wrong, planted = plant_many(array, seed)
    found = suspects(wrong)[: len(planted)]
    assert {(s.track, s.frame) for s in found} <= planted | {(i, t + 1) for i, t in planted}


def test_truth_of_bacteria(shared_data):
    with open_tracks(shared_data / "bacteria" / "01_GT" / "TRA") as movie:
        assert movie.labels is not None
        assert [s for s in find_suspects(movie.table, movie.labels) if s.score > 0.3] == []
        orphans = find_suspects(replace(movie.table, parents={}), movie.labels)
        mothers = set(movie.table.parents.values())
        assert {s.track for s in orphans if "end" in s.kinds} == mothers


def without_pixels(array, parents, frames):
    """The table of a movie of which, in some frames, only places are known."""
    table = table_of(ArrayLabels(array), parents)
    rows = table.detections.copy()
    rows["area"][np.isin(rows["frame"], frames)] = 0
    return replace(table, detections=rows)


def test_places_without_sizes_are_no_odd_divisions(flow):
    assert find_suspects(without_pixels(flow, PARENTS, range(N))) == []


def test_masks_of_which_some_are_missing(flow):
    table = without_pixels(flow, PARENTS, [3, 4])
    flow[3:5] = 0
    kinds = {kind for s in find_suspects(table, ArrayLabels(flow)) for kind in s.kinds}
    assert not kinds & {"overlap", "parts", "holes"}


def test_what_ends_is_looked_for_near_by_whatever_the_number_of_tracks():
    n = 4000  # pairs of all would take minutes
    rows = np.zeros(6 * n, DETECTION)
    rows["frame"] = np.repeat(np.arange(6), n)
    rows["track"] = rows["label"] = np.arange(1, 6 * n + 1)
    y, x = np.divmod(np.tile(np.arange(n), 6), 80)
    rows["centroid"] = np.stack([0 * y, 20 * y + 50, 20 * x + 50], axis=1)
    rows["bbox"] = np.concatenate([rows["centroid"], rows["centroid"] + 1], axis=1)
    rows["area"] = 50
    began = time.perf_counter()
    found = find_suspects(TrackTable(rows, 6, (1100, 1700)))
    assert time.perf_counter() - began < 15
    text = {(s.track, s.frame): s.text for s in found}
    assert f"ends where {n + 5} begins in frame 1: one track?" in text[5, 0]
