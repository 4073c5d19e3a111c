import errno
import json

import numpy as np
import pytest
import tifffile

from napari_sam2track.errors import OutputError, UsageError
from napari_sam2track.formats.labels.label_writers import write_labels
from napari_sam2track.formats.labels.open_labels import open_labels

NOTE = {"software": "napari-sam2track", "version": "1", "model": None, "source": "Zürich"}


def movie(max_id: int, n: int = 3) -> np.ndarray:
    labels = np.zeros((n, 5, 3), np.uint32)  # three columns: not to be taken for colours
    labels[:, 1, 1] = max_id
    return labels


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("max_id", [7, 65_535, 65_536, 2**32 - 1])
@pytest.mark.parametrize("name", ["a.tif", "a.zarr", "folder"])
def test_round_trip(tmp_path, name, max_id, n):
    labels = movie(max_id, n)
    write_labels(tmp_path / name, iter(labels), n, NOTE, max_id=max_id)
    with open_labels(tmp_path / name) as stack:
        assert stack.n_frames == n
        np.testing.assert_array_equal(np.stack([stack.read(t) for t in range(n)]), labels)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_tiff_has_axes_provenance_and_the_smallest_type(tmp_path):
    write_labels(tmp_path / "a.tif", movie(7), 3, NOTE, max_id=7)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert tiff.series[0].axes == "TYX"
        assert tiff.series[0].dtype == np.uint16
        assert tiff.pages[0].compression.name == "ADOBE_DEFLATE"
        assert tiff.is_imagej
        assert json.loads(tiff.imagej_metadata["Info"])["napari_sam2track"] == NOTE
        assert not tiff.is_bigtiff


def test_tiff_that_might_not_fit_is_a_bigtiff(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_sam2track.formats.labels.label_writers._CLASSIC_TIFF_BYTES", 50)
    write_labels(tmp_path / "a.tif", movie(7), 3, NOTE, max_id=7)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert tiff.is_bigtiff


def test_zarr_is_ome_zarr_with_one_chunk_a_frame(tmp_path):
    import zarr

    write_labels(tmp_path / "a.zarr", movie(7), 3, NOTE, max_id=7)
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="r")
    assert group.metadata.zarr_format == 3
    assert group["0"].chunks == (1, 5, 3)
    ome = group.attrs["ome"]
    assert ome["version"] == "0.5"
    assert [axis["name"] for axis in ome["multiscales"][0]["axes"]] == ["t", "y", "x"]
    assert "image-label" in ome
    assert group.attrs["napari_sam2track"] == NOTE


def test_folder_has_a_note(tmp_path):
    write_labels(tmp_path / "a", movie(7), 3, NOTE, max_id=7)
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == [
        *(f"labels_000{t}.tif" for t in range(3)),
        "provenance.json",
    ]
    note = json.loads((tmp_path / "a" / "provenance.json").read_text())
    assert note.pop("sam2track_tracks")["shape"] == [3, 5, 3]
    assert note == NOTE


@pytest.mark.parametrize("name", ["a.tif", "a.zarr", "folder"])
def test_ids_never_wrap_and_nothing_is_left_behind(tmp_path, name):
    labels = movie(7)
    labels[2, 0, 0] = 65_537
    with pytest.raises(OutputError, match="frame 2 holds id 65537, more than uint16 can hold"):
        write_labels(tmp_path / name, labels, 3, NOTE, max_id=7)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.tif", "a.zarr", "folder"])
def test_a_full_disk_is_one_sentence_and_nothing_is_left_behind(tmp_path, name, monkeypatch):
    def frames():
        yield from movie(7)[:2]
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OutputError, match="the disk is full; free some space"):
        write_labels(tmp_path / name, frames(), 3, NOTE, max_id=7)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.tif", "a.zarr", "folder"])
def test_existing_output_is_refused_and_replaced_when_asked(tmp_path, name):
    write_labels(tmp_path / name, movie(7), 3, NOTE, max_id=7)
    with pytest.raises(OutputError, match="exists already"):
        write_labels(tmp_path / name, movie(8), 3, NOTE, max_id=8)
    write_labels(tmp_path / name, movie(9, 2), 2, NOTE, overwrite=True, max_id=9)
    with open_labels(tmp_path / name) as stack:
        assert stack.n_frames == 2
        assert stack.read(1).max() == 9
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_failed_replacement_leaves_the_old_output(tmp_path):
    write_labels(tmp_path / "folder", movie(7), 3, NOTE, max_id=7)
    with pytest.raises(ValueError, match="there are 2 frames, not 3"):
        write_labels(tmp_path / "folder", movie(8, 2), 3, NOTE, overwrite=True, max_id=8)
    with open_labels(tmp_path / "folder") as stack:
        assert stack.read(0).max() == 7


def test_frames_have_to_be_as_announced(tmp_path):
    with pytest.raises(ValueError, match=r"frame 2 of shape .* is not one of 2"):
        write_labels(tmp_path / "a.zarr", movie(7, 3), 2, NOTE, max_id=7)
    with pytest.raises(ValueError, match="there are 2 frames, not 3"):
        write_labels(tmp_path / "a", movie(7, 2), 3, NOTE, max_id=7)
    with pytest.raises(ValueError, match=r"frame 1 of shape \(2, 2\)"):
        write_labels(tmp_path / "b", [movie(7)[0], np.zeros((2, 2), np.uint32)], 2, NOTE, max_id=7)


def test_other_suffixes(tmp_path):
    with pytest.raises(UsageError, match=r"cannot be written as '.mp4'"):
        write_labels(tmp_path / "a.mp4", movie(7), 3, NOTE, max_id=7)


@pytest.mark.parametrize("shape", [(1, 1), (3, 1), (2, 3, 1), (1, 4)])
def test_narrow_images(tmp_path, shape):
    frames = [np.full(shape, t + 1, np.uint32) for t in range(5)]
    write_labels(tmp_path / "a.tif", frames, 5, NOTE, max_id=5)
    assert tifffile.imread(tmp_path / "a.tif").shape == (5, *shape)
    with open_labels(tmp_path / "a.tif") as stack:
        assert all((stack.read(t) == frames[t]).all() for t in range(5))


@pytest.mark.parametrize("name", ["a.tif", "a"])
def test_narrow_images_that_a_tiff_would_turn(tmp_path, name):
    frames = [np.full((2, 3, 1), 70_000, np.uint32)] * 3
    with pytest.raises(OutputError, match=r"that are one pixel wide; write \.zarr instead"):
        write_labels(tmp_path / name, frames, 3, NOTE, max_id=70_000)
    assert list(tmp_path.iterdir()) == []


def test_spans_may_grow_while_frames_are_taken(tmp_path):
    """Also from nothing: the first frames may be empty."""
    import zarr

    spans = {}

    def frames():
        for t in range(3):
            if t:
                spans[1] = (1, t)
            yield np.full((2, 3), min(t, 1), np.uint32)

    path = tmp_path / "a.zarr"
    write_labels(path, frames(), 3, NOTE, max_id=1, spans=spans)
    (row,) = zarr.open(path).attrs["ome"]["image-label"]["properties"]
    assert row == {"label-value": 1, "parent": 0, "begin": 1, "end": 2}
