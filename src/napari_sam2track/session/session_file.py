"""The session file: versioned JSON that replays a run."""

from __future__ import annotations

from pathlib import Path, PureWindowsPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from napari_sam2track.errors import FormatError, FramesError
from napari_sam2track.params import (
    AutoParams,
    EngineParams,
    FramesParams,
    OutputParams,
)
from napari_sam2track.parsing.json_text import read_json
from napari_sam2track.prompts import PromptSet, prompts_from_json

FORMAT = "sam2track-session"
#: Engine parameters that decide which frames are computed, not their results.
FREE_ENGINE = {
    *("start", "stop", "direction", "before", "batch", "max_memory", "divisions"),
    *("touching", "cache_memory"),
}


def _without_retired(stored: Any) -> Any:
    """Leave out what only files of before name; it never changed a result."""
    return {k: stored[k] for k in stored if k != "cache_disk"} if type(stored) is dict else stored


#: Parameters of the engine, as a file holds them.
StoredEngineParams = Annotated[EngineParams, BeforeValidator(_without_retired)]


class ModelRef(BaseModel):
    """The network: a name of the registry or a path, its config, and the weights' sha256."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    config: str | None = None
    sha256: str | None = None


class SessionFile(BaseModel):
    """Inputs of a run, as they are stored.

    Attributes
    ----------
    source
        Path of the movie.
    frames
        Axes, channel and intensity.
    model
        See `ModelRef`.
    engine
        How objects are followed.
    auto
        How objects are found, where no prompts were given; else None.
    prompts
        Prompts of a person, as `prompts_to_dict` returns them.
    decisions
        Decisions of the run (`Decisions.to_dict`); None before it began.
    fingerprint
        Of the movie's content (`Frames.fingerprint`); None if unknown.
    mode
        Mode of the network, once that was decided.
    output
        Outputs in the folder of the run; None if they are not known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["sam2track-session"] = "sam2track-session"
    version: Literal[1] = 1
    software: str
    source: str
    frames: FramesParams = Field(default_factory=FramesParams)
    model: ModelRef
    engine: StoredEngineParams = Field(default_factory=EngineParams)
    auto: AutoParams | None = None
    prompts: dict[str, Any]
    fingerprint: str | None = None
    mode: Literal["frame", "window"] | None = None
    decisions: dict[str, Any] | None = None
    output: OutputParams | None = None

    def prompt_set(self) -> PromptSet:
        """The prompts as values.

        Raises
        ------
        FormatError
            If they are not valid.
        """
        return prompts_from_json(self.prompts, "the session's prompts")

    def same_run(self, other: SessionFile) -> list[str]:
        """Return the names of the fields that decide every result and differ between two sessions.

        Prompts, ranges and directions may differ: they decide what is computed again.
        """
        decisive = ("frames", "model", "fingerprint")
        differ = [name for name in decisive if getattr(self, name) != getattr(other, name)]
        mine, theirs = _decisive(self.engine), _decisive(other.engine)
        differ += [f"engine.{name}" for name in mine if mine[name] != theirs[name]]
        return differ

    def asks_other(self, other: SessionFile) -> bool:
        """Return whether the inputs differ, apart from the movie's path and the outputs."""
        same = {"software": "", "output": None, "source": ""}
        return self.model_copy(update=same) != other.model_copy(update=same)


def _decisive(engine: EngineParams) -> dict[str, Any]:
    return engine.model_dump(exclude=FREE_ENGINE)


def write_session(session: SessionFile) -> str:
    """Return the text of a session file."""
    return session.model_dump_json(indent=2) + "\n"


def read_session(path: Path) -> SessionFile:
    """Read a session file.

    Raises
    ------
    FormatError
        If it is missing, not JSON, or not a session of a known version.
    """
    if not path.is_file():
        raise FormatError(f"there is no session file {path}; check the path")
    content = read_json(path, way_out="give the session.json that a run wrote")
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise FormatError(f"{path} is not a session file: it does not say format {FORMAT!r}")
    if content.get("version") != 1:
        raise FormatError(
            f"{path} is a session of version {content.get('version')}, but only version 1 is "
            "known; update napari-sam2track"
        )
    try:
        return SessionFile.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise FormatError(f"{path}: {place}: {first['msg']}") from error


def movie_beside(session: SessionFile, path: Path) -> Path:
    """Return the movie of a session; see `movie_of_session`.

    Raises
    ------
    FramesError
        If it is not there.
    """
    found = movie_of_session(session, path)
    if found is None:
        raise FramesError(
            f"the movie of {path}, {session.source}, is not there; say where it is with --video"
        )
    return found


def movie_of_session(session: SessionFile, path: Path) -> Path | None:
    """Return the movie of a session: where it was, or beside the session file; None if missing."""
    folder = path.absolute().parent
    was = folder / session.source  # an absolute one stays as it is
    # The session may come from another system.
    name = PureWindowsPath(session.source).name
    places = (was, folder / name, folder.parent / name, folder.parent.parent / name)
    return next((place for place in places if name and place.exists()), None)
