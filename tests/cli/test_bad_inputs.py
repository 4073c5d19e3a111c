"""Bad inputs: what is given, the exit code, and what the one sentence says.

Each ends with a code of 1 or 2, in one line on stderr that is no traceback and asks for no report.
"""

from __future__ import annotations

import json
import pickle
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

PLAIN = {"photometric": "minisblack"}
GREY = np.random.default_rng(0).integers(1, 200, (6, 24, 30)).astype(np.uint8)

Maker = Callable[[Path], Any]


def text(content: str) -> Maker:
    return lambda path: path.write_text(content, encoding="utf-8")


def raw(content: bytes) -> Maker:
    return lambda path: path.write_bytes(content)


def empty_folder(path: Path) -> None:
    path.mkdir()


def tiff(array: np.ndarray = GREY, **options: Any) -> Maker:
    return lambda path: tifffile.imwrite(path, array, **{**PLAIN, **options})


def cut(make: Maker, part: float) -> Maker:
    def made(path: Path) -> None:
        make(path)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * part)])

    return made


def files(**makers: Maker) -> Maker:
    """A folder of files; "__" in a name stands for "."."""

    def made(path: Path) -> None:
        path.mkdir()
        for name, make in makers.items():
            make(path / name.replace("__", "."))

    return made


def series(names: list[str], suffix: str = ".tif", shapes: Any = None) -> Maker:
    def made(path: Path) -> None:
        path.mkdir()
        for k, name in enumerate(names):
            image = np.zeros(shapes[k] if shapes else (6, 7), np.uint8)
            if suffix == ".tif":
                tifffile.imwrite(path / f"{name}.tif", image)
            else:
                Image.fromarray(image).save(path / f"{name}{suffix}")

    return made


def picture(mode: str, size: tuple[int, int] = (8, 6)) -> Maker:
    return lambda path: Image.new(mode, size).save(path)


def npy(array: Any) -> Maker:
    def made(path: Path) -> None:
        with path.open("wb") as file:
            np.save(file, array)

    return made


def npz(**arrays: Any) -> Maker:
    return lambda path: np.savez(path, **arrays)


def lying_png(path: Path) -> None:
    Image.new("L", (40, 40)).save(path)
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", 60_000, 60_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)


def ome(*images: tuple[str, np.ndarray]) -> Maker:
    def made(path: Path) -> None:
        with tifffile.TiffWriter(path, ome=True) as writer:
            for name, image in images:
                writer.write(image, metadata={"axes": "TYX", "Name": name}, **PLAIN)

    return made


def store(attributes: dict[str, Any], **shapes: tuple[int, ...]) -> Maker:
    def made(path: Path) -> None:
        group = zarr.create_group(path, zarr_format=2)
        for name, shape in shapes.items():
            group.create_array(name.strip("_"), shape=shape, dtype="u1")
        group.attrs.update(attributes)

    return made


def multiscale(axes: str, place: str = "0") -> dict[str, Any]:
    found = [{"name": letter} for letter in axes]
    return {"multiscales": [{"version": "0.4", "axes": found, "datasets": [{"path": place}]}]}


def zarr_json(content: str) -> Maker:
    return files(zarr__json=text(content))


def evil_pickle(path: Path) -> None:
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|O", "fortran_order": False, "shape": ()}
        )
        pickle.dump(print, file)


TRACKS = "track_id,frame,label,y,x,area,bbox_y0,bbox_x0,bbox_y1,bbox_x1,iou,parent_id\n"
ROW = "1,0,1,2,3,4,0,0,4,4,,0\n"


def tracks(**changes: Any) -> Maker:
    """Our JSON of one track, with changes by name at any depth."""
    content: dict[str, Any] = {
        "format": "sam2track-tracks",
        "version": 1,
        "provenance": {},
        "size": {"n_frames": 2, "height": 8, "width": 9},
        "tracks": [
            {
                **{"id": 1, "start": 0, "end": 0, "parent": None},
                "detections": [
                    {"frame": 0, "label": 1, "area": 4, "centroid": [2, 3], "bbox": [0, 0, 4, 4],
                     "iou": None}
                ],
            }
        ],
    }  # fmt: skip

    def changed(value: Any, key: str = "") -> Any:
        if key in changes:
            return changes[key]
        if isinstance(value, dict):
            return {k: changed(v, k) for k, v in value.items()}
        return [changed(v) for v in value] if isinstance(value, list) else value

    return text(json.dumps(changed(content)))


def trackmate(spots: str, links: str = "", image: str = "") -> Maker:
    return text(
        '<?xml version="1.0"?><TrackMate version="7"><Model spatialunits="pixel" timeunits="frame">'
        f'<AllSpots nspots="1"><SpotsInFrame frame="0">{spots}</SpotsInFrame></AllSpots>'
        f'<AllTracks><Track TRACK_ID="0">{links}</Track></AllTracks></Model>'
        f"<Settings><ImageData {image}/></Settings></TrackMate>"
    )


def spot(number: str = "1", frame: str = "0", x: str = "1") -> str:
    return f'<Spot ID="{number}" FRAME="{frame}" POSITION_X="{x}" POSITION_Y="1" RADIUS="2"/>'


def ctc(lines: str, names: tuple[str, ...] = ("mask000", "mask001")) -> Maker:
    def made(path: Path) -> None:
        series(list(names))(path)
        (path / "res_track.txt").write_text(lines)

    return made


#: Name of the input, what makes it, exit code, what the sentence says. They are given to
#: ``video``, ``track`` or ``convert``.
MOVIES: list[tuple[str, Maker | None, str]] = [
    ("nowhere.tif", None, "nowhere.tif does not exist; check the spelling"),
    ("a.tif", raw(b""), "a.tif is an empty file"),
    ("a.tif", raw(b"hello"), "a.tif cannot be read as TIFF"),
    ("a.tif", raw(b"II*\0\x08\0\0\0"), "a.tif holds no images"),
    ("a.tif", cut(tiff(), 0.5), "it says 6 images, and only the first"),
    ("a.tif", cut(tiff(compression="zlib"), 0.6), "is cut short"),
    ("a.tif", cut(tiff(imagej=True, metadata={"axes": "TYX"}), 0.7), "is cut short: it says 6"),
    ("a.tif", cut(tiff(ome=True, metadata={"axes": "TYX"}), 0.7), "is cut short"),
    ("a.tif", cut(tiff(bigtiff=True), 0.3), "is cut short"),
    ("a.tif", tiff(np.zeros((2, 3, 4, 5), "u1"), metadata={"axes": "TZYX"}), "choose a plane"),
    ("a.tif", tiff(np.zeros((2, 3), np.complex64)), "has pixels of type complex64"),
    ("a.png", raw(b""), "a.png is an empty file"),
    ("a.png", raw(b"\x89PNG\r\n\x1a\nrubbish"), "a.png cannot be read as an image"),
    ("a.png", cut(picture("RGB", (300, 300)), 0.3), "a.png cannot be read"),
    ("a.png", lying_png, "says 60000 x 60000 pixels, and is too small a file"),
    ("a.jpg", raw(b"\xff\xd8\xff\xe0rubbish"), "a.jpg cannot be read as an image"),
    ("a.npy", raw(b"\x93NUMPY"), "a.npy cannot be read as a numpy array"),
    ("a.npy", raw(b"nonsense"), "a.npy cannot be read as a numpy array"),
    ("a.npy", npy(np.zeros(5)), "an image needs at least rows and columns"),
    ("a.npy", npy(np.zeros((0, 4, 4))), "is empty: its shape is (0, 4, 4)"),
    ("a.npy", npy(np.array(["x"])), "has pixels of type <U1"),
    ("a.npy", npy(np.zeros((2, 3, 4, 5, 6))), "which of them is time cannot be guessed"),
    ("a.npy", cut(npy(GREY), 0.5), "only the first 2 of its 6 frames are whole"),
    ("a.npy", evil_pickle, "holds builtins.print, which is not an array"),
    ("a.npz", raw(b"PK\3\4"), "a.npz cannot be read as an .npz"),
    ("a.npz", npz(a=GREY, b=GREY), "holds a, b; name the one with the movie"),
    ("a.npz", npz(images=np.array([{}])), "holds Python objects"),
    ("a.mp4", raw(b"no video"), "a.mp4 cannot be read as a video"),
    ("a.mp4", text("#EXTM3U\n#EXTINF:1,\nx.ts\n"), "a.mp4 cannot be read as a video"),
    ("a.mkv", raw(b"\x1a\x45\xdf\xa3" + bytes(50)), "a.mkv cannot be read as a video"),
    ("a.czi", raw(b"ZISRAWFILE" + bytes(90)), "of a kind that is not known (.czi)"),
    ("a", raw(b"x"), "of a kind that is not known (no suffix)"),
    ("a.xyz", text("x,y\n1,2\n"), "of a kind that is not known (.xyz)"),
    ("folder", empty_folder, "folder has no images; known are"),
    ("folder", series(["a", "b"], ".png", [(6, 7), (6, 8)]), "b.png is 8 wide and 6 high"),
    ("folder", series(["a", "b"], ".png", [(6, 7), (6, 7, 3)]), "b.png has shape (6, 7, 3)"),
    ("folder", series(["a", "b"], ".tif", [(6, 7), (6, 9)]), "b.tif is 9 wide and 6 high"),
    ("folder", files(a__png=picture("L"), b__png=raw(b"x")), "b.png cannot be read as an image"),
    ("folder", files(a__tif=tiff(), b__tif=cut(tiff(), 0.4)), "b.tif is cut short"),
    ("a.zarr", empty_folder, "a.zarr cannot be read as zarr"),
    ("a.zarr", zarr_json("{"), "a.zarr cannot be read as zarr"),
    ("a.zarr", zarr_json("[1]"), "a.zarr cannot be read as zarr"),
    ("a.zarr", zarr_json('{"zarr_format": 3, "node_type": "array"}'), "cannot be read as zarr"),
    ("a.zarr", store({}), "a.zarr holds nothing, not one image"),
    ("a.zarr", store({}, a=(2, 3, 4), b=(2, 3, 4)), "a.zarr holds a, b, not one image"),
    ("a.zarr", store({"multiscales": []}, _0=(2, 3, 4)), "its list of multiscales is empty"),
    ("a.zarr", store(multiscale("yx"), _0=(2, 3, 4)), "2 axes in its OME metadata, but pixels"),
    ("a.zarr", store(multiscale("tyx", "../b"), _0=(2, 3, 4)), "which is outside of it"),
    ("a.zarr", store(multiscale("tyx", "9"), _0=(2, 3, 4)), "cannot be read as zarr"),
    ("a.zarr", store({"plate": {}}), "is a plate, and none of the images"),
    ("a.zarr", store({"plate": {"wells": [{"path": "A/1"}]}}), "is a plate, and none of the"),
    ("a.zarr", store({"well": {"images": [{"path": "7"}]}}), "cannot be read as zarr"),
]

LABELS: list[tuple[str, Maker | None, str]] = [
    ("nowhere", None, "nowhere does not exist: give a folder or a file"),
    ("a.tif", raw(b""), "a.tif is an empty file"),
    ("a.tif", raw(b"rubbish"), "a.tif cannot be read as TIFF"),
    ("a.tif", cut(tiff(), 0.5), "a.tif is cut short: it says 6 images"),
    ("a.tif", cut(tiff(compression="lzw"), 0.8), "a.tif is cut short"),
    ("a.tif", tiff(np.zeros((8, 9, 3), "u1"), photometric="rgb"), "is a colour image (3 samples"),
    ("a.tif", tiff(np.zeros((2, 3, 8, 9), "u1"), metadata={"axes": "TCYX"}), "without channels"),
    ("a.tif", tiff(GREY - 0.5), "holds fractions"),
    ("a.tif", tiff(np.full((8, 9), np.inf, "f4")), "holds fractions"),
    ("a.tif", tiff(-np.ones((8, 9), np.int16)), "holds the negative value -1"),
    ("a.tif", ome(("a", GREY), ("b", GREY.astype("u2"))), "holds 2 images: 0 (a), 1 (b); choose"),
    ("a.png", raw(b"x"), "a.png cannot be read as an image"),
    ("a.png", picture("RGB"), "is a colour image (RGB)"),
    ("a.png", picture("RGBA"), "is a colour image (RGBA)"),
    ("a.png", lying_png, "too small a file"),
    ("a.jpg", picture("L"), "which changes values when it is saved"),
    ("a.npy", npy(np.zeros((2, 2, 2, 2, 2, 2), "u1")), "which is neither (T, Y, X) nor"),
    ("a.npy", npy(np.zeros(4, "u1")), "labels need rows, columns"),
    ("a.npy", npy(np.array(["x"])), "labels need rows"),
    ("a.npy", evil_pickle, "which is not an array); if it is Cellpose's"),
    ("a.npz", npz(a=GREY, b=GREY), "holds a, b; name the one with the labels"),
    ("a.npz", npz(labels=np.asfortranarray(GREY)), "Fortran order"),
    ("a.xyz", raw(b"x"), "is not a kind of label image that can be read"),
    ("folder", empty_folder, "the folder"),
    ("folder", series(["a", "b"]), "has no frame number in its name"),
    ("folder", series(["a1", "b1"]), "are both frame 1"),
    ("folder", series(["m1", "m3"]), "but 2 is missing"),
    ("folder", series(["m1", "m9999999999999999999999"]), "beyond any movie"),
    ("folder", series(["m1", "m2"], ".tif", [(6, 7), (6, 8)]), "all frames must be of one size"),
    ("folder", series(["t0_z0_c0", "t0_z1_c0", "t1_z0_c0"]), "none for T 1, Z 1"),
    ("folder", series([f"t{t}_c{c}" for t in (0, 1) for c in (0, 1)]), "several channels"),
    ("a.zarr", zarr_json("5"), "a.zarr cannot be read as zarr"),
    ("a.zarr", store({}), "a.zarr holds nothing"),
    ("a.zarr", store(multiscale("tcyx"), _0=(2, 3, 4, 5)), "without channels"),
]

CONVERTED: list[tuple[str, Maker | None, str]] = [
    ("nowhere.csv", None, "nowhere.csv does not exist: give a file or a folder"),
    ("a.csv", text(""), "a.csv is an empty table"),
    ("a.csv", raw(b"\0\1\2"), "a.csv is no text"),
    (
        "a.csv",
        text(TRACKS + "1,zero,1,2,3,4,0,0,4,4,,0\n"),
        "line 2: frame is 'zero', not a number",
    ),
    ("a.csv", text(TRACKS + "1,0,1,nan,3,4,0,0,4,4,,0\n"), "line 2: y is missing"),
    ("a.csv", text(TRACKS + "1,0,1,inf,3,4,0,0,4,4,,0\n"), "line 2: y is infinite"),
    ("a.csv", text(TRACKS + "1_0,0,1,2,3,4,0,0,4,4,,0\n"), "track_id is '1_0', not a number"),
    (
        "a.csv",
        text(TRACKS + "1,0,1,2,5,3,4,0,0,4,4,,0\n"),
        "line 2 has 13 values, more than the 12",
    ),
    ("a.csv", text(TRACKS + "1,0,1,2\n"), "line 2 has 4 values, fewer than"),
    ("a.csv", text(TRACKS + "1,-1,1,2,3,4,0,0,4,4,,0\n"), "line 2: frame is -1"),
    ("a.csv", text(TRACKS + "1,999999999,1,2,3,4,0,0,4,4,,0\n"), "frame is 999999999; frames are"),
    ("a.csv", text(TRACKS + "0,0,1,2,3,4,0,0,4,4,,0\n"), "track_id is 0; ids are"),
    ("a.csv", text(TRACKS + "99999999999,0,1,2,3,4,0,0,4,4,,0\n"), "track_id is 99999999999"),
    ("a.csv", text(TRACKS + "1,0,1,2,3,-4,0,0,4,4,,0\n"), "area is -4"),
    ("a.csv", text(TRACKS + "1,0,1,2,3,4,0,0,1e12,4,,0\n"), "bbox_y1 is 1000000000000"),
    ("a.csv", text(TRACKS + ROW + ROW), "track 1 is twice in frame 0"),
    ("a.csv", text(TRACKS + "1,0,1,2,3,4,0,0,4,4,,7\n"), "parents name tracks that do not exist"),
    ("a.csv", text("a,b\n1,2\n"), "has the columns a, b, and none for frame, track, y, x"),
    ("a.csv", text("t,y,x\n0,1,2\n"), "and none for track is known"),
    ("a.csv", text("id,t,y,x,id\n1,0,1,2,1\n"), "has the column 'id' 2 times"),
    ("a.csv", text("ID,t,y,x\n1,0,1,1e300\n"), "x is 1e300, beyond any movie"),
    ("a.csv", text("ID,t,y,x,parent_track\n1,0,1,1,5\n"), "track 1 has the parent 5, which"),
    ("a.csv", text("t,y,x,id,parent_node\n0,1,1,5,6\n"), "no object has this id"),
    (
        "a.csv",
        text("t,y,x,id,parent\n0,1,1,5,\n1,1,1,6,77\n"),
        "neither ids of objects nor of tracks",
    ),
    ("a.csv", text("SPOT_SOURCE_ID,SPOT_TARGET_ID\n1,2\n"), "holds links without places"),
    ("a.csv", text("TRACK_INDEX,NUMBER_SPOTS\n0,2\n"), "one line for each track, without places"),
    ("a.csv", text("object_id,frame,state,score,y,x\n1,0,ok,1,1,1\n"), "is the table of a run"),
    ("a.parquet", raw(b"PAR1"), "is Parquet, which is not read; save it as CSV"),
    ("a.json", text(""), "a.json is not valid JSON"),
    ("a.json", text("["), "a.json is not valid JSON"),
    ("a.json", text("[" * 100_000), "a.json is not valid JSON (it is nested too deep)"),
    ("a.json", text("[]"), "is JSON, but not a file of tracks"),
    ("a.json", text('{"annotations": []}'), "looks like COCO, which is written, not read"),
    ("a.json", raw(b"\xff\xfe\xfd"), "a.json cannot be read as text (it is not text in UTF-8)"),
    ("a.json", tracks(version=2), "is of version 2"),
    ("a.json", tracks(version="x"), "is not valid at version"),
    ("a.json", tracks(n_frames=10**9), "larger than any"),
    ("a.json", tracks(frame=10**9, start=10**9, end=10**9), "do not fit a movie of 2 frames"),
    ("a.json", tracks(height=-1), "is not valid at size.height"),
    ("a.json", tracks(area=10**30), "a.json"),
    ("a.json", tracks(id=0), "is not valid at tracks.0.id"),
    ("a.json", tracks(id=2**40), "is not valid at tracks.0.id"),
    ("a.json", tracks(start=1), "track 1 says 1 to 0"),
    ("a.json", tracks(parent=5), "parents name tracks that do not exist"),
    ("a.json", tracks(parent=1), "track 1 is its own parent"),
    ("a.json", tracks(centroid=[1]), "is not valid at tracks.0.detections.0.centroid"),
    ("a.json", tracks(centroid=[1, 2, 3]), "has 3 coordinates"),
    ("a.json", tracks(iou=7), "is not valid at tracks.0.detections.0.iou"),
    ("a.xml", text(""), "a.xml cannot be read as XML"),
    ("a.xml", text("<Other/>"), "its root is <Other>, so it is not a TrackMate file"),
    ("a.xml", text('<!DOCTYPE x [<!ENTITY a "b">]><TrackMate/>'), "defines XML entities"),
    ("a.xml", trackmate(spot(frame="100000000")), "the frame of spot 1 is 100000000; frames are"),
    ("a.xml", trackmate(spot(frame="x")), "could not convert string to float"),
    ("a.xml", trackmate(spot(x="nan")), "which is nowhere"),
    ("a.xml", trackmate(spot(number="x")), "invalid literal"),
    ("a.xml", trackmate(spot() + spot()), "spot 1 is there twice"),
    ("a.xml", trackmate('<Spot ID="1" FRAME="0"/>'), "spot 1 has no POSITION_X"),
    ("a.xml", trackmate(spot(), '<Edge SPOT_SOURCE_ID="1" SPOT_TARGET_ID="9"/>'), "is not there"),
    ("a.xml", trackmate(spot(number=str(2**70))), "larger than TrackMate's numbers"),
    ("01_RES", ctc("1 0 1 0\n2 0 1\n"), "res_track.txt"),
    ("01_RES", ctc("x y z w\n"), "res_track.txt"),
    ("01_RES", ctc("1 0 1 7\n"), "the parent 7 of track 1 has no line"),
    ("01_RES", ctc("1 0 1 0\n", ("mask000", "mask002")), "but 1 is missing"),
    ("a.geff", empty_folder, "is not GEFF"),
    ("a.geff", zarr_json("{"), "is not GEFF"),
    ("a.geff", zarr_json('{"attributes": {"geff": {"geff_version": "9.0"}}}'), "of version 9.0"),
    ("a.geff", zarr_json('{"attributes": {"geff": {"geff_version": "1.0"}}}'), "is not valid GEFF"),
    ("a.xyz", raw(b"x"), "is no kind of file with tracks that can be read"),
    ("a.tif", cut(tiff(), 0.5), "a.tif is cut short"),
]

#: What is wrong with the options: exit code 2.
OPTIONS: list[tuple[tuple[str, ...], str]] = [
    (("convert", "GOOD", "o.json", "--columns", "x"), "'x' is not MEANING=COLUMN"),
    (("convert", "GOOD", "o.json", "--columns", "y=Q"), "there is no column 'Q'; the columns are"),
    (("convert", "GOOD", "o.json", "--pixel-size", "0"), "--pixel-size 0 cannot be used"),
    (("convert", "GOOD", "o.json", "--pixel-size", "a,b"), "--pixel-size a,b cannot be used"),
    (("convert", "GOOD", "o.xyz"), "has the unknown suffix '.xyz'"),
    (("convert", "GOOD", "o.json", "--from", "nonsense"), "there is no format 'nonsense'"),
    (("convert", "GOOD", "o.json", "--from", "mots"), "can be written, not read"),
    (("convert", "GOOD", "o", "--to", "table"), "can be read, not written"),
]


def check(result: Any, code: int, message: str, given: Path | str) -> None:
    sentence = result.stderr.strip().splitlines()
    assert result.exit_code == code, result.output
    errors = [line for line in sentence if line.startswith("Error: ")]
    assert len(errors) == 1, result.stderr
    assert "Traceback" not in result.stderr
    assert "please report" not in result.stderr
    assert message.lower() in errors[0].lower()
    assert len(errors[0]) < 900 + len(str(given))


@pytest.mark.parametrize(("name", "make", "message"), MOVIES)
def test_movies(sam2track: Any, tmp_path: Path, name: str, make: Maker, message: str) -> None:
    if make is not None:
        make(tmp_path / name)
    args = ("--out-dir", tmp_path / "o", "--points", "2,2", "--overlay", "none")
    result = sam2track("video", "--video", tmp_path / name, *args)
    check(result, 1, message, tmp_path)
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(("name", "make", "message"), LABELS)
def test_labels(sam2track: Any, tmp_path: Path, name: str, make: Maker, message: str) -> None:
    if make is not None:
        make(tmp_path / name)
    result = sam2track("track", "--pred-dir", tmp_path / name, "--out", tmp_path / "o.json")
    check(result, 1, message, tmp_path)
    assert not (tmp_path / "o.json").exists()


@pytest.mark.parametrize(("name", "make", "message"), CONVERTED)
def test_tracks(sam2track: Any, tmp_path: Path, name: str, make: Maker, message: str) -> None:
    if make is not None:
        make(tmp_path / name)
    result = sam2track("convert", tmp_path / name, tmp_path / "o.json.json")
    check(result, 1, message, tmp_path)
    assert not (tmp_path / "o.json.json").exists()


@pytest.mark.parametrize(("args", "message"), OPTIONS)
def test_options(sam2track: Any, tmp_path: Path, args: tuple[str, ...], message: str) -> None:
    good = tmp_path / "good.csv"
    good.write_text("track_id,t,y,x\n1,0,1,1\n1,1,1,2\n")
    command, _, out, *rest = args
    result = sam2track(command, good, tmp_path / out, *rest)
    check(result, 2, message, tmp_path)


def test_there_are_many() -> None:
    assert len(MOVIES) + len(LABELS) + len(CONVERTED) + len(OPTIONS) >= 150
