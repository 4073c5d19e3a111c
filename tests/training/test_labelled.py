"""Labelled movies of users: found, opened, drawn from."""

import numpy as np
import pytest
import tifffile

from napari_sam2track.errors import UsageError
from napari_sam2track.params import FramesParams
from napari_sam2track.samples import dividing_nuclei, moving_cells
from napari_sam2track.training.data_folders import open_labelled
from napari_sam2track.training.labelled import Examples, split
from napari_sam2track.training.sampling import Drawing


def write(path, array, **more):
    tifffile.imwrite(path, array, photometric="minisblack", **more)


@pytest.fixture(scope="module")
def sample():
    return moving_cells(8, 140, 150, n_cells=5, seed=2)


@pytest.fixture
def folder(sample, tmp_path):
    write(tmp_path / "cells.tif", sample.images_tyx, metadata={"axes": "TYX"})
    write(tmp_path / "cells_labels.tif", sample.labels_tyx, metadata={"axes": "TYX"})
    return tmp_path


@pytest.fixture
def movie(folder):
    (found,) = open_labelled(folder)
    yield found
    found.close()


def test_files_beside_one_another(movie, sample):
    assert movie.name == "cells.tif"
    assert len(movie.rows) == sum(len(np.unique(t)) - 1 for t in sample.labels_tyx)
    np.testing.assert_array_equal(movie.read(3), sample.labels_tyx[3])


def test_folders_of_images_and_labels(folder, sample):
    for name, source in (("images", "cells.tif"), ("labels", "cells_labels.tif")):
        (folder / name).mkdir()
        (folder / source).rename(folder / name / "a.tif")
    (found,) = open_labelled(folder)
    assert found.name == "a.tif" and len(found.rows) > 30
    found.close()


@pytest.fixture
def challenge(tmp_path):
    """Sequence 01 with gold truth alone, 02 with silver truth as well."""
    sample = dividing_nuclei(5, 120, n_cells=4, seed=1)
    spans = {}
    for t, labels in enumerate(sample.labels_tyx):
        for i in np.unique(labels[labels > 0]).tolist():
            spans.setdefault(i, []).append(t)
    rows = [f"{i} {min(s)} {max(s)} {sample.parents.get(i, 0)}" for i, s in sorted(spans.items())]
    for k in ("01", "02"):
        for name in (k, f"{k}_GT/TRA", f"{k}_GT/SEG", "02_ST/SEG"):
            (tmp_path / name).mkdir(exist_ok=True, parents=True)
        (tmp_path / f"{k}_GT/TRA/man_track.txt").write_text("\n".join(rows) + "\n")
        for t, labels in enumerate(sample.labels_tyx):
            write(tmp_path / k / f"t{t:03d}.tif", labels.astype(np.uint8) * 20)
            write(tmp_path / f"{k}_GT/TRA/man_track{t:03d}.tif", labels.astype(np.uint16))
    for t, labels in enumerate(sample.labels_tyx):
        write(tmp_path / f"02_ST/SEG/man_seg{t:03d}.tif", labels.astype(np.uint16))
    write(tmp_path / "01_GT/SEG/man_seg002.tif", sample.labels_tyx[2].astype(np.uint16))
    return tmp_path


def test_a_dataset_of_the_cell_tracking_challenge(challenge):
    found = open_labelled(challenge)
    assert [m.name for m in found] == ["01", "02"]
    assert len(found[0].rows) > 10
    assert (
        found[1].rows[["track", "frame", "area"]].tolist()
        == found[0].rows[["track", "frame", "area"]].tolist()
    )
    for one in found:
        one.close()


def test_markers_are_no_masks(challenge):
    from skimage.morphology import disk, erosion

    path = challenge / "01_GT/TRA/man_track002.tif"
    write(path, erosion(tifffile.imread(path), disk(5)))
    with pytest.raises(UsageError, match="TRA holds markers, not masks: on frame 002 they cover"):
        open_labelled(challenge)


def test_a_file_for_each_frame_in_folders_beside_one_another(sample, tmp_path):
    for name, frames in (("cells", sample.images_tyx), ("cells_masks", sample.labels_tyx)):
        (tmp_path / name).mkdir()
        for t, frame in enumerate(frames):
            write(tmp_path / name / f"t{t:03d}.tif", frame)
    (found,) = open_labelled(tmp_path)
    assert found.name == "cells" and found.end == 8 and len(found.rows) > 30
    found.close()


@pytest.mark.parametrize("end", [".ome.tif", ".tif", ".png"])
def test_labels_are_found_by_name(end, sample, tmp_path):
    from PIL import Image

    name = "a.png" if end == ".png" else "a.ome.tif"
    for path, image in ((name, sample.images_tyx[0]), (f"a_labels{end}", sample.labels_tyx[0])):
        if end == ".png":
            Image.fromarray(image.astype(np.uint8)).save(tmp_path / path)
        else:
            write(tmp_path / path, image)
    (found,) = open_labelled(tmp_path)
    assert found.name == name and len(found.rows) == 5
    found.close()


def test_of_several_channels_the_one_asked_for_is_shown(sample, tmp_path):
    both = np.stack([np.zeros_like(sample.images_tyx), sample.images_tyx], 1)
    write(tmp_path / "a.tif", both, imagej=True, metadata={"axes": "TCYX"})
    write(tmp_path / "a_labels.tif", sample.labels_tyx)
    for asked, seen in ((None, False), (FramesParams(channel="1"), True)):
        (found,) = open_labelled(tmp_path, asked)
        assert found.frames.read(0).any() == seen
        found.close()


def test_results_of_ours_know_what_was_corrected(folder, sample):
    from typer.testing import CliRunner

    from napari_sam2track.cli import app
    from napari_sam2track.samples import centre_pixels

    (y, x), *_ = centre_pixels(sample.labels_tyx[0]).values()
    out = folder / "out"
    args = ["video", "--video", str(folder / "cells.tif"), "--out-dir", str(out)]
    args += ["--points", f"{x},{y}", "--stop", "2", "--threads", "1"]
    done = CliRunner().invoke(app, args)
    assert done.exit_code == 0, done.output
    (found,) = open_labelled(out)
    assert found.corrected == {(1, 0)}
    assert {int(r["frame"]) for r in found.rows} == {0, 1, 2}
    heavy = Examples([found], weight=10.0)._odds[1]
    assert heavy.max() / heavy.min() == pytest.approx(10)
    found.close()


def test_windows_show_the_objects_and_their_truth(movie, sample):
    drawn = Examples([movie]).draw(np.random.default_rng(0), 6, Drawing(3, 2, 64))
    assert drawn.images.shape == (3, 6, 64, 64, 3)
    assert drawn.masks.shape == (3, 12, 64, 64)
    assert drawn.known.all()
    assert (drawn.masks[0].flatten(1).sum(1) >= 40).all()
    image = drawn.images[..., 0].float()
    for k in range(6):  # cells are bright
        inside = drawn.masks[:, 2 * k] | drawn.masks[:, 2 * k + 1]
        assert image[:, k][inside].mean() > image[:, k][~inside].mean()
    again = Examples([movie]).draw(np.random.default_rng(0), 6, Drawing(3, 2, 64))
    assert (again.images == drawn.images).all()


def test_after_its_last_frame_nothing_is_known_of_an_object(tmp_path):
    labels = np.zeros((4, 80, 80), np.uint16)
    labels[:2, 20:40, 20:40] = 1
    labels[:, 50:70, 50:70] = 2
    labels[2, 50:70, 50:70] = 0  # a gap: it is known not to be there, since
    labels[2, 5:15, 5:15] = 3  # the frame is labelled
    write(tmp_path / "a.tif", (labels > 0).astype(np.uint8) * 200)
    write(tmp_path / "a_seg.tif", labels)
    (movie,) = open_labelled(tmp_path)
    how = Drawing(4, 2, 64, zoom=(2.5, 2.5), jitter=0)
    seen = set()
    for seed in range(12):
        drawn = Examples([movie]).draw(np.random.default_rng(seed), 1, how)
        for k in range(2):
            seen.add(
                tuple(
                    zip(
                        drawn.known[:, k].tolist(),
                        (drawn.masks[:, k].any((1, 2))).tolist(),
                        strict=True,
                    )
                )
            )
    yes, gap, no = (True, True), (True, False), (False, False)
    assert {(yes, yes, no, no), (yes, yes, gap, yes)} <= seen
    movie.close()


def test_split(movie):
    (kept,), (held,) = split([movie], 0.25)
    assert (kept.first, kept.end, held.first, held.end) == (0, 6, 6, 8)
    assert len(kept.rows) + len(held.rows) == len(movie.rows)
    assert max(t for p in kept.places.values() for t in p) == 5
    three = [movie.part(0, 8, name) for name in "abc"]
    assert [[m.name for m in part] for part in split(three, 0.2)] == [["a", "b"], ["c"]]


def test_what_is_no_data_is_refused(tmp_path, sample):
    with pytest.raises(UsageError, match="is no folder"):
        open_labelled(tmp_path / "nothing")
    with pytest.raises(UsageError, match="holds no images with labels"):
        open_labelled(tmp_path)
    write(tmp_path / "a.tif", sample.images_tyx)
    write(tmp_path / "a_masks.tif", sample.labels_tyx[:, :100])
    with pytest.raises(UsageError, match=r"has \(T, Y, X\) \(8, 100, 150\) and its images have"):
        open_labelled(tmp_path)


def test_frames_without_labels_teach_nothing(sample, tmp_path):
    sparse = np.where(np.arange(8)[:, None, None] % 3 == 0, sample.labels_tyx, 0)
    write(tmp_path / "a.tif", sample.images_tyx)
    write(tmp_path / "a_labels.tif", sparse)
    (movie,) = open_labelled(tmp_path)
    assert movie.labelled == {0, 3, 6}
    drawn = Examples([movie]).draw(np.random.default_rng(0), 4, Drawing(4, 2, 64))
    assert drawn.known.sum(0).tolist() == [2] * 8
    assert (drawn.masks.any((-2, -1)) | ~drawn.known).all()
    held = Examples([movie.part(5, 8, "held")])  # 6 alone has labels
    assert held.longest == 2
    assert len(held.draw(np.random.default_rng(0), 3, Drawing(2, 1, 64)).images) == 2
    with pytest.raises(UsageError, match="held: no object can be shown in a window over 3 frames"):
        held.draw(np.random.default_rng(0), 1, Drawing(3, 1, 64))
    movie.close()


def test_objects_that_no_window_shows_end_the_search(tmp_path):
    labels = np.zeros((2, 90, 90), np.uint16)
    labels[:, 40, 10:80] = 1
    write(tmp_path / "a.tif", labels.astype(np.uint8))
    write(tmp_path / "a_seg.tif", labels)
    (movie,) = open_labelled(tmp_path)
    with pytest.raises(UsageError, match="no object can be shown"):
        Examples([movie]).draw(np.random.default_rng(0), 1, Drawing(1, 1, 64, zoom=(1.5, 1.5)))
    movie.close()


def test_something_stays_on_either_side(movie):
    for part in (0.01, 0.99):
        (kept,), (held,) = split([movie], part)
        assert kept.first < kept.end == held.first < held.end
        two = split([movie, movie.part(0, 4, "b")], part)
        assert [len(side) for side in two] == [1, 1]
    with pytest.raises(UsageError, match="one has a single frame: nothing would be left to judge"):
        split([movie.part(0, 1, "one")], 0.2)


def test_few_frames_of_labels_are_kept(movie, monkeypatch):
    monkeypatch.setattr("napari_sam2track.training.labelled._KEPT_BYTES", 1)
    for t in range(8):
        movie.read(t)
    assert list(movie._cache) == [4, 5, 6, 7]


def test_windows_are_not_much_larger_than_the_frame(tmp_path):
    labels = np.zeros((1, 200, 200), np.uint16)
    labels[0, 10:190, 10:190] = 1
    write(tmp_path / "a.tif", labels.astype(np.uint8))
    write(tmp_path / "a_seg.tif", labels)
    (movie,) = open_labelled(tmp_path)
    how = Drawing(1, 1, 64, zoom=(4, 4), sides=(20, 1e5))
    drawn = Examples([movie]).draw(np.random.default_rng(0), 1, how)
    side = 180 / drawn.masks[0, 0].any(0).sum().item() * 64
    assert 500 < side < 800  # three times the object; not twelve times
    movie.close()
