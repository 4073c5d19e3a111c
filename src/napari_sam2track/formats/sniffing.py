"""Detects the format of a file or folder: by its content where possible, else by its name."""

from __future__ import annotations

import json
from pathlib import Path

from napari_sam2track.errors import FormatError
from napari_sam2track.parsing.csv_table import csv_names

#: Labels in the folder of a run's results, best first.
_RESULTS = ("labels.tif", "labels.zarr", "labels")
_CTC_TEXTS = ("res_track.txt", "man_track.txt")


def format_of_input(path: Path) -> tuple[str, Path]:
    """Return the name of the format of a file or folder, and the path to open in it.

    Raises
    ------
    FormatError
        If it is in none.
    """
    return _of_folder(path) if path.is_dir() else _of_file(path)


def _of_folder(path: Path) -> tuple[str, Path]:
    from napari_sam2track.frames.zarr_store import is_zarr

    if path.suffix.lower() == ".geff":
        return "geff", path
    if is_zarr(path):
        return ("geff" if _is_geff(path) else "ome-zarr"), path
    if (path / "session.json").is_file():
        for name in _RESULTS:
            if (path / name).exists():
                return format_of_input(path / name)
        raise FormatError(f"{path} is the folder of a run, but holds no labels; run it again")
    if ctc_folder(path) is not None:
        return "ctc", path
    if (path / "tracks.csv").is_file():
        return _of_file(path / "tracks.csv")
    pngs = sorted(path.glob("*.png"))
    if pngs and _has_palette(pngs[0]):
        return "davis", path
    return "tiff-folder", path


def ctc_folder(path: Path) -> Path | None:
    """Return the file of tracks of a Cell Tracking Challenge folder, also in ``TRA``; else None."""
    for folder in (path, path / "TRA"):
        for name in _CTC_TEXTS:
            if (folder / name).is_file():
                return folder / name
    return None


def _is_geff(path: Path) -> bool:
    """Return whether the attributes of a zarr group are those of a GEFF."""
    for name in ("zarr.json", ".zattrs"):
        try:
            content = json.loads((path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(content, dict) and name == "zarr.json":
            content = content.get("attributes")
        if isinstance(content, dict) and "geff" in content:
            return True
    return False


def _has_palette(path: Path) -> bool:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.mode == "P"
    except (OSError, SyntaxError, ValueError):
        return False


def _of_file(path: Path) -> tuple[str, Path]:
    from napari_sam2track.frames.tiff import is_tiff

    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return _of_csv(path), path
    if suffix == ".parquet":
        raise FormatError(
            f"{path} is Parquet, which is not read; save it as CSV, with pandas: "
            "read_parquet(...).to_csv(..., index=False)"
        )
    if suffix == ".json":
        return _of_json(path), path
    if suffix == ".txt" and path.name in _CTC_TEXTS:
        return "ctc", path.parent
    known = {
        ".xml": "trackmate",
        ".tif": "tiff",
        ".tiff": "tiff",
        ".npy": "array",
        ".npz": "array",
        ".png": "array",
    }
    if suffix in known:
        return known[suffix], path
    if is_tiff(path):
        return "tiff", path
    raise FormatError(
        f"{path} is no kind of file with tracks that can be read; give a Cell Tracking Challenge "
        "folder, .geff, .json, .csv, TrackMate .xml, or labels as TIFF, .zarr, .npy or a folder"
    )


def _of_csv(path: Path) -> str:
    """Return the format of a CSV, ours or that of another program, by its columns."""
    columns = set(csv_names(path))
    if {"track_id", "frame", "label", "parent_id", "bbox_y0"} <= columns:
        return "csv"
    if {"state", "score"} <= columns:
        raise FormatError(
            f"{path} is the table of a run, without parents; give the folder of the run, which "
            "holds the masks"
        )
    return "table"


def _of_json(path: Path) -> str:
    """Return the format of a JSON if it is ours; others with tracks are written, not read."""
    with path.open("rb") as file:
        head = file.read(4096)
    if b'"annotations"' in head or b'"videos"' in head:
        raise FormatError(
            f"{path} looks like COCO, which is written, not read; give another format"
        )
    return "json"
