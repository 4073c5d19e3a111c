"""All parameters, each declared once: default, bounds, title, description.

The napari form, the command line's options, the session file and the provenance in exports
are all derived from these models, so a parameter that is not here does not exist. A title is
a form's label; a description is one sentence that reads well after an option's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from napari_sam2track.errors import UsageError
from napari_sam2track.parsing.sizes import parsed_sizes


class Params(BaseModel):
    """Base of all groups of parameters: they are values, and unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def named(cls, given: Mapping[str, Any]) -> Self:
        """Return parameters of which some are given by name.

        Raises
        ------
        UsageError
            If there is no such parameter, or a value is not valid.
        """
        try:
            return cls(**given)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(map(str, first["loc"]))
            if first["type"] == "extra_forbidden":
                known = ", ".join(cls.model_fields)
                raise UsageError(f"there is no parameter {name!r}; known are {known}") from error
            raise UsageError(f"{name}={first['input']!r}: {first['msg']}") from error


class LinkParams(Params):
    """Linking of objects that were segmented frame by frame into tracks."""

    min_iou: float = Field(
        default=0.1,
        gt=0.0,
        le=1.0,
        title="Minimum overlap",
        description="Two masks that touch can be the same object if their intersection over union "
        "is at least this, where the object is expected.",
    )
    max_gap: int = Field(
        default=1,
        ge=0,
        title="Longest gap",
        description="How many frames in a row an object may be missing, or hidden in the mask of "
        "another, and still keep its track; 0 ends a track at once.",
    )
    divisions: Literal["auto", "off"] = Field(
        default="auto",
        title="Divisions",
        description="Whether an object may become two: auto finds divisions, off finds none.",
    )
    motion: Literal["on", "off"] = Field(
        default="on",
        title="Motion",
        description="Whether to look where objects are expected (jumps of the stage, drift, "
        "growth), or only where they were.",
    )
    max_distance: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        title="Longest way",
        description="How far, in pixels, an object that overlaps with none may lie from where it "
        "is expected; 0 asks for overlap. If not given: one and a half diameters with motion, 0 "
        "without.",
    )
    binary: Literal["auto", "yes", "no"] = Field(
        default="auto",
        title="Binary masks",
        description="Whether the masks are foreground only and have to be split into connected "
        "parts; auto: if no frame holds more than one value.",
    )


class MaskParams(Params):
    """Outlines of objects."""

    mode: Literal["auto", "frame", "window"] = Field(
        default="auto",
        title="Mode",
        description="Look at the whole frame (frame) or at a square window around each object "
        "(window); auto: windows for small objects and always for the bundled model.",
    )
    fill_holes: int = Field(
        default=8,
        ge=0,
        title="Fill holes",
        description="Fill holes in a mask of up to this many pixels.",
    )
    min_part: int = Field(
        default=8,
        ge=0,
        title="Smallest part",
        description="Drop separate parts of a mask with fewer pixels than this.",
    )


class EngineParams(MaskParams):
    """Following of objects."""

    direction: Literal["forward", "backward", "both"] = Field(
        default="both",
        title="Direction",
        description="Where to follow each object from its first prompt.",
    )
    start: int = Field(
        default=0, ge=0, title="First frame", description="First frame of the range to work on."
    )
    stop: int | None = Field(
        default=None,
        ge=0,
        title="Last frame",
        description="Last frame of the range, included; all frames if not given.",
    )
    equality: Literal["fast", "exact"] = Field(
        default="fast",
        title="Equality",
        description="exact computes object by object, as SAM2's own predictor; fast computes "
        "objects in batches (the same weights, rounding may differ).",
    )
    later_prompts: Literal["refine", "fresh"] = Field(
        default="refine",
        title="Later prompts",
        description="Whether a prompt after an object's first one corrects what was followed "
        "(refine) or starts from the image alone (fresh).",
    )
    batch: int = Field(
        default=32,
        ge=1,
        le=1024,
        title="Batch",
        description="Most objects or windows that are computed at once.",
    )
    max_memory: int | None = Field(
        default=None,
        ge=1,
        title="Memory for batches",
        description="Megabytes of memory that batches may take while they are computed, which "
        "makes them smaller where need be; no limit if not given.",
    )
    window_size: int | None = Field(
        default=None,
        ge=64,
        le=1024,
        title="Window size",
        description="Side of the square, in pixels, that windows are resampled to; a multiple of "
        "32. If not given: what the model was made for, or 256 (on a GPU 512) for models that "
        "were made for whole frames.",
    )
    before: Literal["keep", "halfway"] = Field(
        default="keep",
        title="Before a prompt",
        description="Whether a later prompt of an object leaves the frames before it as they are "
        "(keep), or is followed backward as well, half-way to the prompt before it (halfway).",
    )
    divisions: Literal["suggest", "apply", "off"] = Field(
        default="suggest",
        title="Divisions",
        description="What to do when an object becomes two of comparable size (its mask falls "
        "apart for three frames; see divisions in touch): note it in divisions.csv (suggest), end "
        "it and follow two daughters from there (apply), or nothing (off).",
    )
    touching: Literal["on", "off"] = Field(
        default="off",
        title="Divisions in touch",
        description="Whether the network is asked, on every frame, if an object that is longer "
        "than wide has become two that still touch, as bacteria do (on). Takes about twice the "
        "time for such objects. Only in window mode, and only where divisions are looked for.",
    )
    give_up: int = Field(
        default=0,
        ge=0,
        title="Give up after",
        description="Stop following an object that was not there for so many frames in a row; 0 "
        "never stops.",
    )
    neighbours: Literal["on", "off"] = Field(
        default="on",
        title="Neighbours",
        description="Whether an object gives way where another one has the better claim on what "
        "it found (on), or is followed whatever others find (off). Only in window mode, and not "
        "with exact.",
    )
    max_conditioning: int = Field(
        default=8,
        ge=2,
        title="Prompted frames in memory",
        description="Most prompted frames of an object that are consulted at once.",
    )
    cache_memory: int = Field(
        default=0,
        ge=0,
        title="Memory for embeddings",
        description="Megabytes of memory for what was encoded, so that a correction in the same "
        "session need not encode it again; 0 keeps none, since a single run seldom meets the same "
        "pixels twice.",
    )
    keep_masks: bool = Field(
        default=True,
        title="Keep given masks",
        description="Show a mask prompt exactly as it was given, not as the model's coarser grid "
        "holds it.",
    )


class FramesParams(Params):
    """Choice of axes, channels, intensity and plane of a movie."""

    axes: str | None = Field(
        default=None,
        title="Axes",
        description="Axes of the movie, such as TYX, TCYX or ZYX; found out if not given.",
    )
    channel: str | None = Field(
        default=None,
        title="Channel",
        description="One channel, counted from 0, or up to three that become red, green and blue, "
        "such as 2,0,1.",
    )
    intensity: str | None = Field(
        default=None,
        title="Intensity",
        description="Pixel values that become black and white for the whole movie: lo,hi or "
        "percentiles such as p1,p99.8.",
    )
    z: int | None = Field(
        default=None,
        ge=0,
        title="Plane",
        description="Plane to work on, where a movie has both time and depth.",
    )
    series: str | None = Field(
        default=None,
        title="Series",
        description="Number or name of the image, in a file or store of several: a series of an "
        "OME-TIFF, a position, a well's image, a video of several; the first if not given.",
    )
    allow_truncated: bool = Field(
        default=False,
        title="Allow truncated",
        description="Use the whole frames of a file that was cut short or stopped early.",
    )


class AutoParams(Params):
    """Discovery of objects without prompts."""

    discover: int = Field(
        default=0,
        ge=0,
        title="Look for new objects every",
        description="Look for objects that nothing covers on the first frame and then every so "
        "many frames; 0 looks on the first frame, where no prompts are given.",
    )
    grid: int = Field(
        default=8,
        ge=1,
        le=64,
        title="Grid",
        description="Points along each side of the grid that is asked for masks (in each tile).",
    )
    min_quality: float = Field(
        default=0.6,
        ge=0,
        le=1,
        title="Least quality",
        description="Least predicted IoU of a mask.",
    )
    min_stability: float = Field(
        default=0.8,
        ge=0,
        le=1,
        title="Least stability",
        description="Least IoU between the masks at a low and at a high threshold.",
    )
    max_overlap: float = Field(
        default=0.5,
        ge=0,
        le=1,
        title="Most overlap",
        description="Of two masks that overlap by more than this IoU, the worse one is dropped.",
    )
    min_area: int = Field(
        default=30, ge=1, title="Least area", description="Smallest object, in pixels."
    )
    max_objects: int = Field(
        default=200, ge=1, title="Most objects", description="Most objects that are followed."
    )


class OutputParams(Params):
    """Outputs of a run in its folder."""

    save: Literal["tif", "zarr", "frames"] = Field(
        default="tif",
        title="Labels",
        description="labels.tif, labels.zarr (OME-Zarr), or one TIFF a frame.",
    )
    overlay: Literal["none", "video", "frames", "both"] = Field(
        default="video",
        title="Overlay",
        description="Pictures of the result: overlay.mp4, one PNG a frame.",
    )
    fps: float = Field(
        default=10.0,
        ge=0.1,
        le=240,
        title="Frames per second",
        description="Of the overlay video.",
    )
    keep_run: bool = Field(
        default=True,
        title="Keep the run",
        description="Keep the working files (.run in the folder), so that the run can be "
        "corrected, gone on with and undone.",
    )


def _checked_sizes(text: str | None) -> str | None:
    """Refuse what is not one to three sizes."""
    if text is not None:
        parsed_sizes(text)
    return text


#: Size of a pixel as text: one number, or y,x, or z,y,x.
PixelSize = Annotated[str | None, AfterValidator(_checked_sizes)]


class LabelsParams(Params):
    """Choice of what is read of files of labels."""

    axes: str | None = Field(
        default=None,
        title="Axes",
        description="Axes of label images, such as TYX or TZYX (of a folder, those of one file, "
        "such as ZYX); found out if not given.",
    )
    series: str | None = Field(
        default=None,
        title="Series",
        description="Number or name of the image that holds the labels, in a file or store of "
        "several.",
    )
    allow_truncated: bool = Field(
        default=False,
        title="Allow truncated",
        description="Use the whole frames of a file of labels that was cut short.",
    )
    gaps: bool = Field(
        default=False,
        title="Gaps",
        description="Read a folder in which frame numbers are missing; its frames are then taken "
        "one after another.",
    )


class ReadParams(LabelsParams):
    """Reading of files of tracks and labels."""

    join: Literal["gaps", "single", "none"] = Field(
        default="gaps",
        title="Join",
        description="Cell Tracking Challenge: which tracks that are their parent's only child "
        "become one track with it: those after a gap (gaps), all (single), or none.",
    )
    merges: Literal["refuse", "cut"] = Field(
        default="refuse",
        title="Merges",
        description="What to do where two tracks become one, which our tracks cannot hold: refuse "
        "the file, or cut all links but the one from the nearest object.",
    )
    visible: bool = Field(
        default=False,
        title="Visible only",
        description="TrackMate: leave out spots and tracks that its filters hide.",
    )
    columns: str | None = Field(
        default=None,
        title="Columns",
        description="Meaning of columns of a table of tracks, such as frame=T,track=cell_id,y=cy; "
        "also x, z, id, parent, parent_track, parent_id and area.",
    )
    pixel_size: PixelSize = Field(
        default=None,
        title="Pixel size",
        coerce_numbers_to_str=True,
        description="Size of a pixel, where places are in a physical unit: 0.065, or y,x, or "
        "z,y,x, in the unit of the file.",
    )

    def pixel_sizes(self) -> tuple[float, float, float] | None:
        """Return the size of a pixel along z, y and x; None if it was not given."""
        return None if self.pixel_size is None else parsed_sizes(self.pixel_size)


class WriteParams(Params):
    """Writing of tracks and labels."""

    renumber: bool = Field(
        default=False,
        title="Renumber",
        description="Number tracks anew from 1 where a format has no room for the ids.",
    )
    radius: float | None = Field(
        default=None,
        gt=0,
        title="Radius",
        description="Draw tracks of which only the places are known as discs (in 3D: balls) of "
        "this radius in pixels, for formats that hold masks.",
    )


class SuspectParams(Params):
    """Thresholds at which a track looks wrong."""

    min_iou: float = Field(
        default=0.4,
        gt=0,
        le=1,
        title="Least overlap",
        description="Overlap (IoU) of a mask with the one before, moved as it was expected to, "
        "below which it is a suspect.",
    )
    jump: float = Field(
        default=0.5,
        gt=0,
        title="Jump",
        description="Distance in object diameters, beyond what its neighbours and its own past "
        "explain, above which an object has jumped.",
    )
    area_change: float = Field(
        default=1.5,
        gt=1,
        title="Area change",
        description="Factor between the areas in two frames, beside the usual growth of the "
        "track, above which it is a suspect.",
    )
    min_length: int = Field(
        default=3,
        ge=1,
        title="Least length",
        description="Tracks in fewer frames than this are suspects.",
    )
    border: float = Field(
        default=1.0,
        ge=0,
        title="Border",
        description="Distance to the border of the frame, in object diameters, within which "
        "objects may come and go.",
    )
    daughter_ratio: float = Field(
        default=0.5,
        gt=0,
        le=1,
        title="Daughters",
        description="Area of the smaller daughter over that of the larger, below which a division "
        "is a suspect.",
    )
    min_score: float = Field(
        default=0.05,
        ge=0,
        le=1,
        title="Least score",
        description="Suspects with a lower score, from 0 (nothing) to 1 (surely wrong), are left "
        "out.",
    )


class MeasureParams(Params):
    """Measures of every object in every frame."""

    shape: Literal["none", "basic", "all"] = Field(
        default="basic",
        title="Shape",
        description="none: area, centroid and bounding box; basic: perimeter, axes, eccentricity "
        "and orientation as well; all: solidity, extent and more, which is slow.",
    )
