"""Labelled movies of users: found, opened, drawn from."""

import numpy as np
import pytest
import tifffile

from napari_sam2track.errors import UsageError
from napari_sam2track.samples import dividing_nuclei, moving_cells
from napari_sam2track.training.labelled import Examples, open_labelled, split
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


def test_a_dataset_of_the_cell_tracking_challenge(tmp_path):
    sample = dividing_nuclei(5, 120, n_cells=4, seed=1)
    for k, gold in (("01", "GT"), ("02", "GT"), ("02", "ST")):
        (tmp_path / k).mkdir(exist_ok=True)
        folder = tmp_path / f"{k}_{gold}" / "TRA"
        folder.mkdir(parents=True)
        spans = {}
        for t, labels in enumerate(sample.labels_tyx):
            write(tmp_path / k / f"t{t:03d}.tif", labels.astype(np.uint8) * 20)
            write(folder / f"man_track{t:03d}.tif", labels.astype(np.uint16))
            for i in np.unique(labels[labels > 0]).tolist():
                spans.setdefault(i, []).append(t)
        parents = sample.parents
        rows = [f"{i} {min(s)} {max(s)} {parents.get(i, 0)}" for i, s in sorted(spans.items())]
        (folder / "man_track.txt").write_text("\n".join(rows) + "\n")
    found = open_labelled(tmp_path)
    assert [m.name for m in found] == ["01", "02"]
    assert len(found[0].rows) > 10
    for one in found:
        one.close()


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
    labels[2, 50:70, 50:70] = 0  # a gap: it is known not to be there
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
