"""Places in a unit of length: the size of a pixel is in the file, is given, or is missed."""

from __future__ import annotations

import numpy as np
import pytest
from geff.core_io import write_arrays
from geff_spec import Axis, GeffMetadata

import napari_sam2track as st
from napari_sam2track.errors import FormatError, OutputError, UsageError
from napari_sam2track.formats.tracks_files import open_tracks, write_tracks
from napari_sam2track.params import ReadParams, WriteParams
from napari_sam2track.parsing.sizes import parsed_sizes

MISSED = "places are in micrometer, and nothing says how large a pixel is"


def geff(path, places, **axis):
    """One track along (y, x), its axes as given."""
    n, units = len(places), ("minute", axis.get("unit"), axis.get("unit"))
    more = {name: value for name, value in axis.items() if name != "unit"}
    axes = [
        Axis(name=name, type="time", unit=unit)
        if name == "t"
        else Axis(name=name, type="space", unit=unit, **more)
        for name, unit in zip("tyx", units, strict=True)
    ]
    values = np.column_stack([np.arange(n) * 5.0, np.array(places, float)])
    write_arrays(
        str(path),
        np.arange(n, dtype=np.uint64),
        {name: {"values": values[:, k], "missing": None} for k, name in enumerate("tyx")},
        np.array([(k, k + 1) for k in range(n - 1)], np.uint64).reshape(-1, 2),
        {},
        GeffMetadata(directed=True, axes=axes, node_props_metadata={}, edge_props_metadata={}),
    )
    return path


def first(path, **options):
    with open_tracks(path, options=ReadParams(**options)) as movie:
        return movie, movie.table.detections["centroid"][0].tolist()


def notes(movie):
    return " ".join(movie.provenance.get("notes", ()))


@pytest.fixture
def um(tmp_path):
    return geff(tmp_path / "um.geff", [(39.0, 19.5), (39.0, 20.15)], unit="micrometer")


def test_a_size_is_given(um):
    movie, place = first(um, pixel_size="0.065")
    assert place == pytest.approx([0, 600, 300])
    assert movie.table.frame_shape == (601, 311)
    assert (movie.scale.y, movie.scale.x, movie.scale.space_unit) == (0.065, 0.065, "micrometer")
    assert MISSED not in notes(movie)


@pytest.mark.parametrize("name", ["a.json", "a.csv", "a.geff", "a.xml"])
def test_a_missing_size_is_not_forgotten_on_the_way(um, tmp_path, name):
    movie, place = first(um)
    assert place == [0, 39, 19.5]
    assert MISSED in notes(movie)
    write_tracks(tmp_path / name, movie)
    again, _ = first(tmp_path / name)
    assert notes(again).count(MISSED) == 1
    for known in (movie, again):
        with pytest.raises(
            OutputError, match=r"in micrometer, .* so masks cannot be drawn; say it"
        ):
            write_tracks(tmp_path / "a.tif", known, options=WriteParams(radius=8))
    sized, place = first(tmp_path / name, pixel_size="0.065")
    assert place == pytest.approx([0, 600, 300])
    assert sized.table.frame_shape == (601, 311)
    assert MISSED not in notes(sized)
    assert "were divided by the size of a pixel" in notes(sized)
    write_tracks(tmp_path / "a.tif", sized, options=WriteParams(radius=2))
    with open_tracks(tmp_path / "a.tif") as labels:
        assert labels.table.frame_shape == (601, 311)
        assert labels.scale.x == 0.065


def test_places_in_pixels_stay_where_they_are(um, tmp_path):
    """A size is then the scale, in the formats of all programs."""
    movie, place = first(um, pixel_size="0.065")
    for name in ("a.json", "a.geff", "a.csv"):
        write_tracks(tmp_path / name, movie)
        again, same = first(tmp_path / name, pixel_size="y=0.2,x=0.1")
        assert same == pytest.approx(place)
        assert (again.scale.y, again.scale.x) == (0.2, 0.1)


def test_the_scale_of_an_axis_is_the_size_of_a_pixel(tmp_path):
    movie, place = first(geff(tmp_path / "a.geff", [(30, 60)], unit="micrometer", scale=0.3))
    assert place == pytest.approx([0, 100, 200])
    assert "0.3 micrometer, the scale of the axes, was taken for that of a pixel" in notes(movie)
    scaled = {"unit": "pixel", "scale": 0.3, "scaled_unit": "micrometer"}
    movie, place = first(geff(tmp_path / "b.geff", [(30, 60)], **scaled))
    assert (place, movie.scale.x, "notes" in movie.provenance) == ([0, 30, 60], 0.3, False)
    other = {"unit": "micrometer", "scale": 1000.0, "scaled_unit": "nanometer"}
    movie, place = first(geff(tmp_path / "c.geff", [(30, 60)], **other))
    assert place == [0, 30, 60]
    assert MISSED in notes(movie)


def test_volumes_need_the_distance_of_their_planes(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("track_id,frame,z,y,x\n1,0,2,1,1\n1,1,4,1,1\n")
    with pytest.raises(FormatError, match="has volumes, and --pixel-size does not say how far"):
        first(path, pixel_size="0.5")
    assert first(path, pixel_size="x=0.5,y=0.5,z=2")[1] == [1, 2, 2]


def test_areas_in_square_micrometers_are_no_pixels(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("track_id,frame,y [um],x [um],area\n1,0,5,6,0.9\n")
    assert first(path)[0].table.detections["area"].tolist() == [0]
    assert "columns not used: area" in notes(first(path)[0])
    assert first(path, pixel_size="0.1")[0].table.detections["area"].tolist() == [90]


def test_sizes_as_people_write_them():
    assert parsed_sizes("0.3") == (None, 0.3, 0.3)
    assert parsed_sizes("0.3, 0.2") == (None, 0.3, 0.2)
    assert parsed_sizes("1,0.3,0.2") == (1, 0.3, 0.2)
    assert parsed_sizes("z=1,Y=0.3,x=0.2") == (1, 0.3, 0.2)
    for text in ("z=1", "y=1", "x=1,x=1", "t=1,y=1,x=1", "z=1,0.3,0.2", "1=y,2=x"):
        with pytest.raises(ValueError, match="a pixel size is one number above 0, or two"):
            parsed_sizes(text)


def test_python_takes_a_number_and_has_the_notes(um):
    with pytest.warns(UserWarning, match=MISSED), st.open_tracks(um) as tracks:
        assert MISSED in " ".join(tracks.notes)
    with st.open_tracks(um, pixel_size=0.065) as tracks:
        assert tracks.table["y"].tolist() == pytest.approx([600, 600])
        assert tracks.notes == []
    with pytest.raises(UsageError, match=r"pixel_size=0.*one number above 0"):
        st.open_tracks(um, pixel_size=0)
