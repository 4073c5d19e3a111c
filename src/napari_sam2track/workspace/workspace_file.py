"""Work that is put aside: a JSON file beside the labels, to resume later."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_sam2track.errors import FormatError
from napari_sam2track.params import EngineParams, FramesParams
from napari_sam2track.prompts import prompts_from_json, prompts_to_dict
from napari_sam2track.session.session_file import ModelRef, StoredEngineParams
from napari_sam2track.storage.output import write_text_atomic
from napari_sam2track.workspace.annotations import Annotations
from napari_sam2track.workspace.frame_sets import FrameSets, Ranges

NAME, LABELS = "work.json", "labels.zarr"


class WorkFile(BaseModel):
    """State of the work; the labels and the results of runs lie beside it.

    Attributes
    ----------
    image
        Name of the movie, for people.
    source
        Path of the movie; None if it was only in memory.
    frames
        Axes, channel and intensity.
    fingerprint
        Of the movie's content (`Frames.fingerprint`).
    saved
        Time, in ISO 8601, UTC.
    model, device, engine
        How the objects were followed.
    prompts, kept, approved
        See `Annotations`.
    names
        Names of objects.
    locked
        Objects that runs do not change.
    refused
        (parent, frame) of divisions that a person refused.
    parents
        Parent of each daughter.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["sam2track-work"] = "sam2track-work"
    version: Literal[1] = 1
    software: str
    image: str
    source: str | None = None
    frames: FramesParams = Field(default_factory=FramesParams)
    fingerprint: str
    saved: str
    model: ModelRef
    device: str = "auto"
    engine: StoredEngineParams = Field(default_factory=EngineParams)
    prompts: dict[str, Any]
    kept: Ranges = Field(default_factory=dict)
    approved: Ranges = Field(default_factory=dict)
    names: dict[int, str] = Field(default_factory=dict)
    locked: tuple[int, ...] = ()
    refused: tuple[tuple[int, int], ...] = ()
    parents: dict[int, int] = Field(default_factory=dict)

    def annotations(self) -> Annotations:
        """Return the annotations of a person.

        Raises
        ------
        FormatError
            If the prompts are not valid.
        """
        prompts = prompts_from_json(self.prompts, "the saved prompts")
        return Annotations(
            prompts, FrameSets.from_ranges(self.kept), FrameSets.from_ranges(self.approved)
        )


def work_of(annotations: Annotations, **about: Any) -> WorkFile:
    """Make a file of this version of the software, with the present time."""
    from napari_sam2track import __version__

    return WorkFile(
        software=f"napari-sam2track {__version__}",
        saved=datetime.now(UTC).isoformat(timespec="seconds"),
        prompts=prompts_to_dict(annotations.prompts),
        kept=annotations.kept.to_ranges(),
        approved=annotations.approved.to_ranges(),
        **about,
    )


def write_work(folder: Path, work: WorkFile) -> None:
    """Write the file into a folder of work; an earlier one is replaced.

    Raises
    ------
    OutputError
        If the disk is full or cannot be written to.
    """
    write_text_atomic(folder / NAME, work.model_dump_json(indent=1) + "\n", overwrite=True)


def read_work(folder: Path) -> WorkFile | None:
    """Return the work in a folder; None if there is none.

    Raises
    ------
    FormatError
        If the file is damaged, or of a newer version.
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        return WorkFile.model_validate(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, ValidationError) as error:
        raise FormatError(
            f"the saved work in {path} cannot be read ({str(error).splitlines()[0]}); start anew, "
            "which puts the folder aside"
        ) from error
