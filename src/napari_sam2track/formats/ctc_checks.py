"""Checks of a folder against the rules of the Cell Tracking Challenge: all errors, in one pass.

The rules are those of the challenge's evaluation software, as py-ctcmetrics and traccuracy have
them too; masks are read one at a time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FormatError
from napari_sam2track.formats.ctc_text import Line, parsed_lines
from napari_sam2track.formats.findings import Finding, error, shortened, warning
from napari_sam2track.formats.labels.open_labels import open_frame
from napari_sam2track.formats.sniffing import ctc_folder
from napari_sam2track.frames.axes import size_text
from napari_sam2track.frames.file_names import last_number
from napari_sam2track.progress import ProgressHook, no_progress
from napari_sam2track.tracks.lineage import lineage_problems
from napari_sam2track.tracks.regions import cut_mask, measure_regions


def check_ctc(path: Path, progress: ProgressHook = no_progress) -> list[Finding]:
    """Return everything that is wrong with a folder of results or of ground truth.

    Parameters
    ----------
    path
        The folder, or its parent with ``TRA`` inside.
    progress
        May show progress.

    Returns
    -------
    list
        Errors and warnings; no errors means that the challenge accepts it.
    """
    text = ctc_folder(path)
    if text is None:
        return [error(f"{path} holds neither res_track.txt nor man_track.txt")]
    lines, found = _lines(text)
    prefix = "mask" if text.name == "res_track.txt" else "man_track"
    files, more = _images(text.parent, prefix)
    found += more
    if not files:
        return [*found, error(f"{text.parent} holds no masks ({prefix}000.tif and so on)")]
    present: dict[int, set[int]] = {}
    shape = None
    for number, file in progress(sorted(files.items()), len(files), "Checking"):
        try:
            labels, dtype = _read(file)
        except FormatError as problem:
            found.append(error(str(problem)))
            continue
        shape = shape or labels.shape
        found += _image(labels, dtype, shape, file.name)
        present[number] = set(measure_regions(labels).labels.tolist())
        found += _parts(labels, file.name)
    return found + _agreement(lines, present, range(max(files) + 1))


def _lines(text: Path) -> tuple[dict[int, Line], list[Finding]]:
    """Return the tracks of the text, and errors among them."""
    lines: dict[int, Line] = {}
    found: list[Finding] = []
    for line in parsed_lines(text):
        if isinstance(line, str):
            found.append(error(line))
            continue
        label, begin, end, parent = line
        if label in lines:
            found.append(error(f"track {label} has two lines in {text.name}"))
            continue
        lines[label] = line
        if not 1 <= label <= 0xFFFF:
            found.append(error(f"track {label}: labels are 1 to 65535, as masks have 16 bits"))
        if parent < 0:
            found.append(error(f"track {label} has the parent {parent}: it is a label, or 0"))
        if begin < 0:
            found.append(error(f"track {label} begins in frame {begin}: frames count from 0"))
        if end < begin:
            found.append(error(f"track {label} ends in frame {end}, before it begins in {begin}"))
    if not lines:
        found.append(error(f"{text.name} has no tracks: an empty result is not valid"))
    parents = {line.label: line.parent for line in lines.values() if line.parent > 0}
    when = {line.label: (line.begin, line.end) for line in lines.values()}
    found += [
        Finding(problem.severity, problem.text)
        for problem in lineage_problems(when, parents)
        if problem.kind != "one child"  # the challenge's way to go on after a gap
    ]
    return lines, found


def _images(folder: Path, prefix: str) -> tuple[dict[int, Path], list[Finding]]:
    """Return the masks of a Cell Tracking Challenge folder by frame number, and their errors.

    Unlike `open_labels` it continues where numbers are missing.
    """
    files: dict[int, Path] = {}
    found: list[Finding] = []
    widths = set()
    for path in sorted(folder.glob(f"{prefix}*.tif")):
        number = last_number(path)
        if number is None:
            found.append(error(f"{path.name} has no frame number in its name"))
            continue
        widths.add(len(path.stem.removeprefix(prefix)))
        if number in files:
            found.append(error(f"{files[number].name} and {path.name} are both frame {number}"))
        files.setdefault(number, path)
    missing = sorted(set(range(max(files, default=-1) + 1)) - files.keys())
    if missing:
        found.append(error(f"there is no mask of frames {shortened(missing)}"))
    if len(widths) > 1:
        found.append(warning("the frame numbers have different numbers of digits"))
    return files, found


def _read(file: Path) -> tuple[NDArray[np.uint32], np.dtype[Any]]:
    """Return a mask and the type that it has in the file."""
    with open_frame(file) as mask:
        return mask.read(0), np.dtype(mask.array.dtype).newbyteorder("=")


def _image(
    labels: NDArray[np.uint32], dtype: np.dtype[Any], shape: tuple[int, ...], name: str
) -> list[Finding]:
    """Return the errors of a mask as an image."""
    found = []
    if labels.shape != shape:
        found.append(
            error(
                f"{name} has {size_text(labels.shape)} pixels, the masks before "
                f"{size_text(shape)}: all frames must be of one size"
            )
        )
    if dtype != np.uint16:
        found.append(warning(f"{name} holds {dtype}; masks are 16-bit unsigned (uint16)"))
    if not labels.any():
        found.append(warning(f"{name} is empty"))
    return found


def _parts(labels: NDArray[np.uint32], name: str) -> list[Finding]:
    """Return errors for labels that are not in one piece."""
    from scipy import ndimage

    regions, found = measure_regions(labels), []
    around = np.ones((3,) * labels.ndim, bool)
    for k in range(len(regions)):
        parts = ndimage.label(cut_mask(labels, regions, k), around)[1]
        if parts > 1:
            found.append(warning(f"label {regions.labels[k]} in {name} is in {parts} parts"))
    return found


def _agreement(
    lines: dict[int, Line], present: dict[int, set[int]], frames: range
) -> list[Finding]:
    """Return the differences between the text and the masks."""
    found: list[Finding] = []
    for label, begin, end, _ in lines.values():
        if end >= len(frames):
            found.append(error(f"track {label} goes on to frame {end}, of {len(frames)} frames"))
        missing = [
            t
            for t in range(max(begin, 0), min(end + 1, len(frames)))
            if t in present and label not in present[t]
        ]
        if missing:
            found.append(
                error(
                    f"track {label} ({begin} to {end}) has no mask in frames {shortened(missing)}"
                )
            )
        beyond = [t for t, seen in present.items() if label in seen and not begin <= t <= end]
        if beyond:
            found.append(
                error(
                    f"track {label} ({begin} to {end}) has masks in frames {shortened(beyond)} too"
                )
            )
    for label in sorted(set().union(*present.values()) - lines.keys()):
        where = [t for t, seen in present.items() if label in seen]
        found.append(error(f"label {label} has no line, but masks in frames {shortened(where)}"))
    return found
