"""The prompts file as pydantic models: checked on the way in, so that errors name the place."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from napari_sam2track.labels import id_in_model
from napari_sam2track.parsing.bounds import MAX_FRAMES, MAX_SIDE

_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=0)]
_Frame = Annotated[int, Field(ge=0, lt=MAX_FRAMES)]
_Pixel = Annotated[int, Field(gt=-MAX_SIDE, lt=MAX_SIDE)]
_Side = Annotated[int, Field(ge=0, le=MAX_SIDE)]
_Id = Annotated[int, BeforeValidator(id_in_model)]

#: More pixels than any frame: a damaged file must not ask for all the memory.
_MAX_AREA = 2**28


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MaskModel(_Strict):
    """A cropped mask as run lengths, row by row, beginning with the pixels outside."""

    y0: _Pixel
    x0: _Pixel
    height: _Side
    width: _Side
    runs: tuple[_Count, ...]

    @model_validator(mode="after")
    def _runs_fill_the_crop(self) -> Self:
        area = self.height * self.width
        if area > _MAX_AREA:
            raise ValueError(f"a mask of {self.height} x {self.width} pixels is too large")
        if sum(self.runs) != area:
            raise ValueError(
                f"runs add up to {sum(self.runs)} pixels, not to {self.height} x {self.width}"
            )
        return self


class FrameModel(_Strict):
    """Prompts of one object on one frame."""

    frame: _Frame
    points: tuple[tuple[_Finite, _Finite, Literal[0, 1]], ...] = ()
    box: tuple[_Finite, _Finite, _Finite, _Finite] | None = None
    mask: MaskModel | None = None


class ObjectModel(_Strict):
    """Prompts of one object."""

    id: _Id
    frames: tuple[FrameModel, ...]


class PromptsModel(_Strict):
    """Content of the file."""

    format: Literal["sam2track-prompts"]
    version: Literal[1]
    objects: tuple[ObjectModel, ...]
