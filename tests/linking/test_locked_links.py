import numpy as np
import pytest

from napari_sam2track.errors import UsageError
from napari_sam2track.labels import ArrayLabels
from napari_sam2track.linking import LockedLink, link_all, locked_links
from napari_sam2track.params import LinkParams


def movie():
    """Two squares at rest for four frames; label 3 divides in the last."""
    frames = np.zeros((4, 30, 40), np.uint32)
    frames[:, 3:11, 3:11] = 1
    frames[:, 3:11, 12:20] = 2
    frames[:3, 20:28, 10:20] = 3
    frames[3, 20:28, 10:15] = 4
    frames[3, 20:28, 16:20] = 5
    return frames


def tracks(locked=(), **params):
    table = link_all(ArrayLabels(movie()), LinkParams(**params), locked)
    rows = {int(r["track"][0]): r[["frame", "label"]].tolist() for r in table.tracks()}
    return rows, table.parents


def test_nothing_locked():
    rows, parents = tracks()
    assert rows[1] == [(t, 1) for t in range(4)]
    assert parents == {4: 3, 5: 3}


def test_a_locked_pair_goes_before_all_else():
    rows, _ = tracks([LockedLink(1, 1, 2, 2)])
    assert rows[1] == [(0, 1), (1, 1), (2, 2), (3, 2)]
    assert [(2, 1), (3, 1)] in [r[-2:] for r in rows.values()]


def test_a_locked_link_over_a_gap_keeps_its_ends_for_itself():
    rows, parents = tracks([LockedLink(0, 1, 3, 2)], max_gap=0)
    assert rows[1] == [(0, 1), (3, 2)]
    assert parents == {5: 3, 6: 3}


def test_a_locked_division():
    rows, parents = tracks([LockedLink(1, 1, 2, 1), LockedLink(1, 1, 2, 2)])
    daughters = [child for child, parent in parents.items() if parent == 1]
    assert sorted(rows[d][0] for d in daughters) == [(2, 1), (2, 2)]
    assert rows[2] == [(0, 2), (1, 2)]


def test_a_locked_pair_is_no_division():
    rows, parents = tracks([LockedLink(2, 3, 3, 4)])
    assert parents == {}
    assert rows[3] == [(0, 3), (1, 3), (2, 3), (3, 4)]


def test_all_links_of_an_earlier_result_give_it_again():
    table = link_all(ArrayLabels(movie()), LinkParams())
    rows = table.detections.copy()
    swap = (rows["frame"] >= 2) & (rows["track"] <= 2)
    rows["track"][swap] = 3 - rows["track"][swap]
    from dataclasses import replace

    wrong = replace(table, detections=rows)
    again = link_all(ArrayLabels(movie()), LinkParams(), locked_links(wrong))
    names = ["track", "frame", "label"]
    np.testing.assert_array_equal(again.detections[names], wrong.detections[names])
    assert again.parents == wrong.parents
    only_3 = locked_links(wrong, [3])
    assert {(k.label, k.next_label) for k in only_3} == {(3, 3), (3, 4), (3, 5)}
    partly = link_all(ArrayLabels(movie()), LinkParams(), only_3)
    np.testing.assert_array_equal(partly.detections[names], table.detections[names])


@pytest.mark.parametrize(
    ("links", "message"),
    [
        ([LockedLink(2, 1, 2, 2)], "does not go forward in time"),
        ([LockedLink(0, 1, 1, 1), LockedLink(0, 2, 1, 1)], "locked to two objects before it"),
        ([LockedLink(0, 1, 1, k) for k in (1, 2, 3)], "divide into two at most"),
        ([LockedLink(0, 1, 1, 1), LockedLink(0, 1, 2, 2)], "begin in different frames"),
        (
            [LockedLink(50, 3, 51, 3)],
            "a link is locked in frame 5., but the movie has frames 0 to 3",
        ),
        ([LockedLink(-1, 3, 0, 3)], "a link is locked in frame -1"),
        ([LockedLink(1, 9, 2, 1)], "label 9 is locked in frame 1, but it is not in the masks"),
    ],
)
def test_locks_that_cannot_hold_are_refused(links, message):
    with pytest.raises(UsageError, match=message):
        tracks(links)


@pytest.mark.parametrize("max_gap", [0, 1, 4])
def test_all_locked_links_hold_where_objects_come_and_go(max_gap):
    from napari_sam2track.tracks.tracked_movie import table_of

    rng = np.random.default_rng(0)
    y, x = np.ogrid[:100, :200]
    frames = np.zeros((10, 100, 200), np.uint32)
    for t in range(10):
        for k in range(8):
            if rng.random() > 0.25:
                frames[t][np.hypot(y - 50 - t, x - 20 - 24 * k) <= 6] = k + 1
    locked = locked_links(table_of(ArrayLabels(frames)))
    table = link_all(ArrayLabels(frames), LinkParams(max_gap=max_gap), locked)
    assert len(locked) > 40
    assert any(link.next_frame > link.frame + 1 for link in locked)
    assert set(locked) == set(locked_links(table))


def test_unknown_tracks_cannot_be_locked():
    table = link_all(ArrayLabels(movie()), LinkParams())
    with pytest.raises(UsageError, match=r"cannot lock track 99: .* 5 tracks with ids up to 5"):
        locked_links(table, [3, 99])
