"""Readers with a small good file each, which the fuzz tests damage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from napari_sam2track.formats.labels.open_labels import open_labels
from napari_sam2track.formats.tracks_files import open_tracks, write_tracks
from napari_sam2track.frames import open_frames
from napari_sam2track.labels import ArrayLabels
from napari_sam2track.params import ReadParams
from napari_sam2track.prompts import Point, Prompt, PromptSet, read_prompts
from napari_sam2track.prompts.prompts_json import prompts_to_json
from napari_sam2track.session.session_file import read_session
from napari_sam2track.tracks.editing.edit_syntax import parse_script
from napari_sam2track.tracks.tracked_movie import TrackedMovie, table_of


@dataclass(frozen=True)
class FuzzedReader:
    """A reader: `make` writes a good file or folder, `read` reads all of one."""

    make: Callable[[Path], Path]
    read: Callable[[Path], object]


def movie(dtype: str = "u1") -> np.ndarray:
    return np.random.default_rng(0).integers(1, 200, (6, 24, 30)).astype(dtype)


def labels() -> np.ndarray:
    found = np.zeros((6, 24, 30), np.uint16)
    for t in range(6):
        found[t, 4:10, 2 + t : 8 + t] = 1
    found[:3, 14:20, 5:12] = 2
    found[3:, 14:17, 5:12] = 3
    found[3:, 18:20, 5:12] = 4
    return found


def tracked() -> TrackedMovie:
    stack = ArrayLabels(labels().astype(np.uint32))
    return TrackedMovie(table_of(stack, {3: 2, 4: 2}), stack)


def read_frames(path: Path) -> None:
    with open_frames(path) as frames:
        for t in range(min(len(frames), 50)):
            frames.read(t)


def read_labels(path: Path) -> None:
    with open_labels(path) as stack:
        for t in range(min(stack.n_frames, 50)):
            stack.read(t)


def read_tracks(path: Path) -> None:
    with open_tracks(path, options=ReadParams(merges="cut")) as found:
        if found.labels is not None:
            for t in range(min(found.table.n_frames, 50)):
                found.labels.read(t)


def read_all_prompts(path: Path) -> None:
    read_prompts(path, (24, 30))


def tiff(**options: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        tifffile.imwrite(folder / "a.tif", movie("u2"), photometric="minisblack", **options)
        return folder / "a.tif"

    return make


def label_tiff(folder: Path) -> Path:
    write_tracks(folder / "a.tif", tracked())
    return folder / "a.tif"


def as_format(name: str, format: str | None = None) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        write_tracks(folder / name, tracked(), format=format)
        return folder / name

    return make


def picture(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        Image.fromarray(movie()[0]).save(folder / name)
        return folder / name

    return make


def mask_folder(folder: Path) -> Path:
    (folder / "masks").mkdir()
    for t, frame in enumerate(labels()):
        tifffile.imwrite(folder / "masks" / f"m{t:03d}.tif", frame, compression="zlib")
    return folder / "masks"


def text(name: str, content: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_text(content)
        return folder / name

    return make


def npy(folder: Path) -> Path:
    np.save(folder / "a.npy", movie())
    return folder / "a.npy"


def npz(folder: Path) -> Path:
    np.savez_compressed(folder / "a.npz", labels=labels())
    return folder / "a.npz"


def cellpose(folder: Path) -> Path:
    np.save(folder / "a_seg.npy", {"masks": labels()[0], "filename": "a.tif"})  # type: ignore[arg-type]
    return folder / "a_seg.npy"


def zarr_movie(folder: Path) -> Path:
    import zarr

    group = zarr.create_group(folder / "a.zarr", zarr_format=2)
    group.create_array("0", shape=(6, 24, 30), chunks=(2, 24, 30), dtype="u1")[:] = movie()
    axes = [{"name": name, "type": "time" if name == "t" else "space"} for name in "tyx"]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": [{"path": "0"}]}]
    return folder / "a.zarr"


def video(name: str, codec: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        import av

        with av.open(str(folder / name), "w") as container:
            stream = container.add_stream(codec, rate=10)
            stream.height, stream.width, stream.pix_fmt = 24, 30, "yuv420p"
            stream.time_base = Fraction(1, 10)
            for t, image in enumerate(movie()):
                frame = av.VideoFrame.from_ndarray(np.repeat(image[..., None], 3, 2), "rgb24")
                frame.pts = t
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return folder / name

    return make


def weights(folder: Path) -> Path:
    import torch

    state = {"a.weight": torch.arange(6.0), "b": torch.ones(2, 3)}
    torch.save({"model": state, "card": {"name": "x"}}, folder / "a.pt")
    return folder / "a.pt"


def read_weights(path: Path) -> None:
    from napari_sam2track.models.loading import read_checkpoint

    read_checkpoint(path)


def prompts_json(folder: Path) -> Path:
    prompts = PromptSet(
        {
            (1, 0): Prompt((Point(3, 4), Point(5, 6, False)), (1, 2, 8, 9)),
            (2, 3): Prompt((Point(1, 1),)),
        }
    )
    (folder / "p.json").write_text(prompts_to_json(prompts))
    return folder / "p.json"


def session(folder: Path) -> Path:
    from napari_sam2track.models.registry import find_model
    from napari_sam2track.params import EngineParams, FramesParams, OutputParams
    from napari_sam2track.session.session import Session

    frames = open_frames(movie())
    prompts = PromptSet({(1, 0): Prompt((Point(3, 4),))})
    made = Session(frames, find_model("bundled"), prompts, EngineParams(), None)
    file = made.to_file("movie.tif", FramesParams(), OutputParams())
    (folder / "session.json").write_text(file.model_dump_json(indent=1))
    return folder / "session.json"


def read_script(path: Path) -> None:
    parse_script(path.read_text("utf-8", "replace"), path.name)


def read_decided(path: Path) -> None:
    from napari_sam2track.session.decisions import Decisions

    found = read_session(path)
    found.prompt_set()
    if found.decisions is not None:
        Decisions.from_dict(found.decisions)


POINTS = (
    "index,axis-0,axis-1,axis-2,object_id,label\n0,0.0,3.0,4.0,1,positive\n"
    "1,0.0,5.0,6.0,1,negative\n2,3.0,7.5,8.0,2,positive\n"
)
SHAPES = (
    "index,shape-type,vertex-index,axis-0,axis-1\n0,rectangle,0,2,2\n0,rectangle,1,2,9\n"
    "0,rectangle,2,8,9\n0,rectangle,3,8,2\n1,polygon,0,10,10\n1,polygon,1,10,20\n1,polygon,2,18,15\n"
)
SCRIPT = "split 1@3\nmerge 3,4 # of one\nparent 4=2\ndelete 2@0:1\nswap 1,2@2\n"
ULTRACK = (
    "track_id,t,z,y,x,id,parent_track_id,parent_id\n1,0,0,10,10,11,-1,-1\n1,1,0,10,11,21,-1,11\n"
    "2,2,0,8,12,31,1,21\n3,2,0,13,12,32,1,21\n"
)
LINKED = (
    "t,y,x,id,parent_id,tracklet_id\n0,10,10,1,,1\n1,10,11,2,1,1\n2,8,12,3,2,2\n2,13,12,4,2,3\n"
)

WORDS = (
    "t [s],y_um,x_um,id,parent_id,area\n0,10,10,a,,4\n5,10,11,b,a,4\n10,8,12,c,b,4\n"
    "10,13,12,d,b,4\n"
)
BUDS = (
    "frame_i,Cell_ID,x_centroid,y_centroid,relative_ID,relationship\n0,1,1,1,-1,mother\n"
    "1,1,1,1,2,mother\n1,2,4,1,1,bud\n2,2,4,1,1,bud\n"
)
SPOTS = (
    "Label,ID,Spot frame,Spot position,Spot position,Spot track ID\n,,,X,Y,\n,,,(µm),(µm),\n"
    "a,0,0,10,10,0\nb,1,1,11,10,0\nc,2,2,12,8,0\nd,3,2,12,13,0\n"
)
LINKS = "Label,Source spot ID,Target spot ID\na,0,1\nb,1,2\nc,1,3\n"


def mastodon(folder: Path) -> Path:
    (folder / "t").mkdir()
    (folder / "t" / "a-Spot.csv").write_text(SPOTS)
    (folder / "t" / "a-Link.csv").write_text(LINKS)
    return folder / "t"


def read_mastodon(path: Path) -> None:
    read_tracks(path / "a-Spot.csv")


READERS: dict[str, FuzzedReader] = {
    "tracks-csv": FuzzedReader(as_format("a.csv"), read_tracks),
    "table-ultrack": FuzzedReader(text("a.csv", ULTRACK), read_tracks),
    "table-linked": FuzzedReader(text("a.csv", LINKED), read_tracks),
    "table-words": FuzzedReader(text("a.csv", WORDS), read_tracks),
    "table-buds": FuzzedReader(text("a.csv", BUDS), read_tracks),
    "table-links": FuzzedReader(mastodon, read_mastodon),
    "napari-csv-and-graph": FuzzedReader(as_format("napari", "napari"), read_tracks),
    "tracks-json": FuzzedReader(as_format("a.json"), read_tracks),
    "ctc": FuzzedReader(as_format("01_RES"), read_tracks),
    "davis": FuzzedReader(as_format("davis", "davis"), read_tracks),
    "geff": FuzzedReader(as_format("a.geff"), read_tracks),
    "trackmate": FuzzedReader(as_format("a.xml"), read_tracks),
    "labels-ome-zarr": FuzzedReader(as_format("a.zarr"), read_tracks),
    "labels-tiff-folder": FuzzedReader(as_format("folder"), read_tracks),
    "labels-tiff": FuzzedReader(label_tiff, read_labels),
    "labels-folder": FuzzedReader(mask_folder, read_labels),
    "labels-png": FuzzedReader(picture("a.png"), read_labels),
    "labels-npz": FuzzedReader(npz, read_labels),
    "labels-cellpose": FuzzedReader(cellpose, read_labels),
    "labels-zarr": FuzzedReader(zarr_movie, read_labels),
    "frames-zarr": FuzzedReader(zarr_movie, read_frames),
    "frames-tiff": FuzzedReader(tiff(), read_frames),
    "frames-imagej": FuzzedReader(tiff(imagej=True, metadata={"axes": "TYX"}), read_frames),
    "frames-ome": FuzzedReader(tiff(ome=True, metadata={"axes": "TYX"}), read_frames),
    "frames-deflate": FuzzedReader(tiff(compression="zlib", predictor=True), read_frames),
    "frames-lzw-tiled": FuzzedReader(tiff(compression="lzw", tile=(16, 16)), read_frames),
    "frames-npy": FuzzedReader(npy, read_frames),
    "frames-png": FuzzedReader(picture("a.png"), read_frames),
    "frames-jpeg": FuzzedReader(picture("a.jpg"), read_frames),
    "frames-mp4": FuzzedReader(video("a.mp4", "libx264"), read_frames),
    "frames-mkv": FuzzedReader(video("a.mkv", "ffv1"), read_frames),
    "frames-ts": FuzzedReader(video("a.ts", "mpeg2video"), read_frames),
    "prompts-json": FuzzedReader(prompts_json, read_all_prompts),
    "prompts-points": FuzzedReader(text("p.csv", POINTS), read_all_prompts),
    "prompts-shapes": FuzzedReader(text("p.csv", SHAPES), read_all_prompts),
    "session": FuzzedReader(session, read_decided),
    "edit-script": FuzzedReader(text("e.txt", SCRIPT), read_script),
    "weights": FuzzedReader(weights, read_weights),
}


def assert_good(name: str, folder: Path) -> Path:
    """Make the file of a reader, and see that it is read."""
    folder.mkdir(parents=True, exist_ok=True)
    path = READERS[name].make(folder)
    READERS[name].read(path)
    return path


def files_of(path: Path) -> list[Path]:
    """Files to damage: the file itself, or those in a folder."""
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
