import numpy as np

from napari_sam2track.training.synthetic.clips import ClipSet, describe
from napari_sam2track.training.synthetic.contact_sheet import sheet


def test_a_sheet_shows_frames_and_truth(clips):
    picture = sheet(clips, n_clips=5, n_times=3)
    assert picture.shape == (2 * 164, 2 * (4 * 160 + 4), 3)  # an even number of clips
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture[:160, :160], clips.images[0, 0])
    np.testing.assert_array_equal(picture[:160, 320:480], clips.images[0, -1])
    inside = clips.labels[0, -1] > 0
    assert (picture[:160, 480:640] != clips.images[0, -1])[inside].any(-1).mean() > 0.9


def test_a_set_is_described_by_what_is_in_it(clips, spec):
    card = describe(clips, spec)
    ids = [np.unique(c[c > 0]) for c in clips.labels]
    assert card["objects"] == sum(map(len, ids))
    assert card["masks"] == sum(len(np.unique(f[f > 0])) for c in clips.labels for f in c)
    assert sum(card["families"].values()) == card["clips"] == len(clips)
    assert (card["frames"], card["side"], card["seed"]) == (5, 160, spec.seed)
    divided = sum((clips.ended[k][i] < 5).sum() for k, i in enumerate(ids))
    assert card["that divide"] == divided
    assert card["that are gone from a later frame"] >= card["that come back"]
    unseen = describe(clips, ClipSet(6, 5, 160, 3, unseen=True))
    assert set(unseen["looks"]).isdisjoint(card["looks"])
