"""A session as layers: what is there, and what is not."""

import gc
import json
import shutil

import numpy as np
import pytest
import tifffile
from napari.layers import Image, Labels, Layer, Points, Shapes, Tracks

from napari_sam2track._napari import session_layers, tracks_to_layers
from napari_sam2track._napari.geometry import open_layer
from napari_sam2track._napari.layer_tracks import tracked_movie
from napari_sam2track._napari.reader import get_reader
from napari_sam2track.errors import FormatError
from napari_sam2track.formats.tracks_files import write_tracks
from napari_sam2track.frames import open_frames
from napari_sam2track.labels import ArrayLabels
from napari_sam2track.masks import Mask
from napari_sam2track.params import EngineParams, FramesParams
from napari_sam2track.prompts import Point, Prompt, PromptSet, prompts_to_dict
from napari_sam2track.samples import dividing_nuclei
from napari_sam2track.session.session_file import ModelRef, SessionFile, write_session
from napari_sam2track.tracks.tracked_movie import TrackedMovie, table_of

SAMPLE = dividing_nuclei(6, 64, n_cells=4, divisions=0.15, seed=2)
PROMPTS = PromptSet(
    {
        (1, 0): Prompt((Point(3, 4), Point(9, 9, False)), (1, 2, 20, 30)),
        (2, 3): Prompt((Point(30, 31.5),)),
        (3, 1): Prompt(mask=Mask(np.ones((2, 3), bool), 5, 6)),
    }
)
GREY = np.random.default_rng(0).integers(100, 4000, (6, 64, 64)).astype(np.uint16)


@pytest.fixture
def texts(monkeypatch):
    """What the person is told."""
    texts = []
    for module in (tracks_to_layers, session_layers):
        monkeypatch.setattr(module, "tell", texts.append)
    return texts


def make(folder, images=GREY, stored="TYX", prompts=PROMPTS, **frames):
    """A folder of results, whose movie lies beside it."""
    folder.mkdir()
    movie = folder.parent / "movie.tif"
    tifffile.imwrite(movie, images, metadata={"axes": stored}, photometric="minisblack")
    params = FramesParams(**frames)
    with open_frames(movie, params.axes, params.channel, params.intensity, params.z) as opened:
        fingerprint = opened.fingerprint()
    session = SessionFile(
        software="napari-sam2track",
        source=str(movie),
        frames=params,
        model=ModelRef(name="sam2track_small"),
        engine=EngineParams(),
        auto=None,
        prompts=prompts_to_dict(prompts),
        fingerprint=fingerprint,
    )
    (folder / "session.json").write_text(write_session(session))
    labels = ArrayLabels(SAMPLE.labels_tyx)
    write_tracks(folder / "labels.tif", TrackedMovie(table_of(labels, SAMPLE.parents), labels))
    return folder


def restored(path):
    layers = get_reader(str(path))(str(path))
    return {type(layer): layer for layer in (Layer.create(*each) for each in layers)}


@pytest.mark.parametrize("asked", ["folder", "file"])
def test_all_comes_back(tmp_path, texts, asked):
    folder = make(tmp_path / "run", intensity="200,3000")
    layers = restored(folder if asked == "folder" else folder / "session.json")
    assert set(layers) == {Image, Labels, Tracks, Shapes, Points}
    assert texts == []
    image = layers[Image]
    assert image.name == "movie"
    assert tuple(image.contrast_limits) == (200, 3000)
    np.testing.assert_array_equal(np.asarray(image.data), GREY)
    np.testing.assert_array_equal(layers[Labels].data, SAMPLE.labels_tyx)
    assert layers[Tracks].graph == {c: [p] for c, p in SAMPLE.parents.items()}
    for layer in (image, layers[Labels]):
        ours = layer.metadata["sam2track"]
        assert ours["session"] == str(folder / "session.json")
        assert ours["parents"] == SAMPLE.parents
    assert image.metadata["sam2track"]["source"] == str(tmp_path / "movie.tif")
    assert layers[Points].data.tolist() == [[0, 3, 4], [0, 9, 9], [3, 30, 31.5]]
    assert layers[Points].features["object_id"].tolist() == [1, 1, 2]
    assert layers[Points].features["label"].tolist() == ["positive", "negative", "positive"]
    assert len(layers[Shapes].data) == 1
    masks = session_layers.read_session(folder / "session.json").prompt_set()
    assert masks == PROMPTS  # the mask, which no layer shows, is in the metadata
    assert (
        layers[Image].metadata["sam2track"]["prompts"]
        == json.loads((folder / "session.json").read_text())["prompts"]
    )
    layers.clear()
    del image, layer
    gc.collect()  # an open file would warn


@pytest.mark.parametrize("kind", ["grey", "channels", "depth", "colour"])
def test_the_session_sees_the_same_in_the_layer(tmp_path, texts, kind):
    """What `frames` in the metadata says makes of the layer what the session looked at."""
    images, axes, frames = {
        "grey": (GREY, "TYX", {}),
        "channels": (np.stack([GREY, GREY[::-1]], 1), "TCYX", {"channel": "1,0"}),
        "depth": (np.stack([GREY, GREY[::-1]], 1), "TZYX", {"axes": "TZYX", "z": 1}),
        "colour": (np.stack([GREY >> 4] * 3, -1).astype(np.uint8), "TYXS", {}),
    }[kind]
    folder = make(tmp_path / "run", images, axes, **frames)
    layers = restored(folder)
    image = layers[Image]
    asked = FramesParams(**image.metadata["sam2track"]["frames"])
    params = FramesParams(**frames)
    with open_frames(
        tmp_path / "movie.tif", params.axes, params.channel, params.intensity, params.z
    ) as was:
        now = open_layer(image, asked)
        assert now.fingerprint() == was.fingerprint()
        assert now.channels == was.channels
        if kind != "channels":  # napari has one window for all channels of a layer
            np.testing.assert_array_equal(now.read(2), was.read(2))
    assert texts == []
    if kind == "channels":
        assert image.data.shape == (6, 2, 64, 64)
        assert layers[Labels].data.shape == (6, 1, 64, 64)
        assert layers[Points].ndim == layers[Shapes].ndim == 4
        assert layers[Tracks].data.shape[1] == 5
        table = tracked_movie(layers[Labels]).table
        assert table.frame_shape == (64, 64)
        assert table.parents == SAMPLE.parents


def test_the_movie_may_have_moved_with_the_session(tmp_path, texts):
    make(tmp_path / "run")
    (tmp_path / "elsewhere").mkdir()
    for name in ("run", "movie.tif"):
        shutil.move(tmp_path / name, tmp_path / "elsewhere" / name)
    assert Image in restored(tmp_path / "elsewhere" / "run")
    assert texts == []


def test_sources_of_other_systems_are_found(tmp_path, texts):
    folder = make(tmp_path / "run")
    session = json.loads((folder / "session.json").read_text())
    session["source"] = "C:\\Users\\me\\movie.tif"
    (folder / "session.json").write_text(json.dumps(session))
    assert restored(folder)[Image].name == "movie"


def test_without_the_movie_the_rest_is_there(tmp_path, texts):
    folder = make(tmp_path / "run")
    (tmp_path / "movie.tif").unlink()
    assert set(restored(folder)) == {Labels, Tracks, Shapes, Points}
    assert len(texts) == 1
    assert "movie.tif" in texts[0]
    assert "is not there any more; put it beside the session" in texts[0]


def test_another_movie_of_that_name_is_noticed(tmp_path, texts):
    folder = make(tmp_path / "run")
    tifffile.imwrite(tmp_path / "movie.tif", GREY[:4] + 1, photometric="minisblack")
    assert Image in restored(folder)
    assert len(texts) == 2
    assert "its pixels differ" in texts[0]
    assert "are of another size than the movie: (6, 64, 64)" in texts[1]


def test_without_labels_the_rest_is_there(tmp_path, texts):
    folder = make(tmp_path / "run")
    (folder / "labels.tif").unlink()
    assert set(restored(folder)) == {Image, Shapes, Points}
    assert "holds no labels (yet)" in texts[0]
    texts.clear()
    (folder / "labels.tif").write_bytes(b"II*\0damaged")
    assert set(restored(folder)) == {Image, Shapes, Points}
    assert "are left out" in texts[0]


def test_a_session_of_any_name_has_no_folder_of_results(tmp_path, texts):
    folder = make(tmp_path / "run")
    (folder / "session.json").rename(folder / "mine.sam2track.json")
    assert set(restored(folder / "mine.sam2track.json")) == {Image, Shapes, Points}
    assert texts == []


def test_nothing_left_is_an_error(tmp_path, texts):
    folder = make(tmp_path / "run", prompts=PromptSet())
    (folder / "labels.tif").unlink()
    (tmp_path / "movie.tif").unlink()
    with pytest.raises(FormatError, match=r"neither its movie .* put the movie beside it"):
        restored(folder)


def test_large_labels_stay_in_their_file(tmp_path, texts, monkeypatch):
    monkeypatch.setattr(tracks_to_layers, "IN_MEMORY", 1000)
    folder = make(tmp_path / "run", np.stack([GREY, GREY], 1), "TCYX")
    labels = restored(folder)[Labels]
    assert labels.data.shape == (6, 1, 64, 64)
    np.testing.assert_array_equal(labels.data[3, 0], SAMPLE.labels_tyx[3])


def test_napari_shows_it(viewer, tmp_path):
    folder = make(tmp_path / "run")
    viewer.open(folder / "session.json", plugin="napari-sam2track")
    assert [layer.name for layer in viewer.layers] == [
        "movie",
        "movie [labels]",
        "movie [tracks]",
        "movie [boxes]",
        "movie [prompts]",
    ]
    assert viewer.dims.nsteps == (6, 64, 64)
