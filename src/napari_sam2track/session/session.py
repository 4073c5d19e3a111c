"""A session: a movie, a model, prompts and parameters, from which a run is computed."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_sam2track.errors import PromptError
from napari_sam2track.formats.provenance import provenance
from napari_sam2track.frames import Frames
from napari_sam2track.models.registry import ModelInfo
from napari_sam2track.params import AutoParams, EngineParams, FramesParams, OutputParams
from napari_sam2track.prompts import PromptSet, prompts_to_dict
from napari_sam2track.session.checks import check_prompts, check_range
from napari_sam2track.session.decisions import Decisions
from napari_sam2track.session.model_cache import ModelCache
from napari_sam2track.session.session_file import FREE_ENGINE, ModelRef, SessionFile
from napari_sam2track.session.stale import Kept, Plan

if TYPE_CHECKING:
    from napari_sam2track.engine.network.network import Network


@dataclass(frozen=True)
class Session:
    """Inputs of a run, as a value; a `Runner` computes it.

    Attributes
    ----------
    frames
        The movie.
    model
        Entry of the registry; its weights are loaded when they are first needed.
    prompts
        Prompts of a person.
    engine
        How objects are followed.
    auto
        How objects are found; None where prompts give them.
    device
        As torch names it; ``auto``: the best there is, found when the network is loaded.
    decided
        Decisions of an earlier run that this one is to repeat; None: it decides anew.
    kept
        Frames of objects that runs do not change: a person accepted or edited them.
    free_from
        Lowest id of objects that are found: other labels may have lower ones.
    models
        The loaded network, shared with what `dataclasses.replace` makes of a session.
    """

    frames: Frames
    model: ModelInfo
    prompts: PromptSet = field(default_factory=PromptSet)
    engine: EngineParams = field(default_factory=EngineParams)
    auto: AutoParams | None = None
    device: str = "cpu"
    decided: Decisions | None = None
    kept: Kept = field(default_factory=dict)
    free_from: int = 1
    models: ModelCache = field(default_factory=ModelCache, repr=False, compare=False)

    @property
    def last(self) -> int:
        """The last frame of the range, included."""
        stop = self.engine.stop
        return self.frames.n_frames - 1 if stop is None else min(stop, self.frames.n_frames - 1)

    @property
    def where(self) -> str:
        """The device, chosen if that was left open."""
        from napari_sam2track.models.device import choose_device

        return choose_device("auto").device if self.device == "auto" else self.device

    def decide(self) -> Decisions:
        """Return the decisions of a new run: frame or window mode, the reason, and the size."""
        from napari_sam2track.engine.modes import choose_mode, choose_window_size

        made_for = self.models.image_size(self.model)
        height, width = self.frames.height, self.frames.width
        mode, reason = choose_mode(self.engine.mode, made_for, self.prompts, height, width)
        size = made_for
        if mode == "window":
            size, why = choose_window_size(self.engine.window_size, made_for, self.where)
            reason = f"{reason}; windows of {size} px, {why}" if size != made_for else reason
        return Decisions(mode, reason, size)

    def check(self, only: Collection[int] | None = None) -> None:
        """Refuse prompts and ranges that do not fit, before anything is computed.

        Parameters
        ----------
        only
            The objects that are to be followed; None: all.

        Raises
        ------
        PromptError
            If there are no prompts and nothing is to be found, or they do not fit the movie.
        UsageError
            If the range of frames does not fit the movie.
        """
        check_range(self.frames, self.engine)
        found = self.decided is not None and bool(self.decided.found)
        if self.auto is None and not self.prompts and not found:
            raise PromptError(
                "there are no prompts, so nothing to follow; give points, a box or masks"
            )
        chosen = PromptSet({k: p for k, p in self.prompts.items() if only is None or k[0] in only})
        check_prompts(self.frames, chosen, range(self.engine.start, self.last + 1))

    def plan(self, decided: Decisions) -> Plan:
        """Return the plan of a run: the prompt that each wanted frame follows from."""
        asked = self.engine.model_dump(exclude=FREE_ENGINE | {"mode", "window_size"})
        used = [decided.mode, decided.size]
        salt = json.dumps([asked, *used, self.models.sha256(self.model)], sort_keys=True).encode()
        return Plan(self.prompts, decided, self.engine, self.last, salt, self.kept)

    @property
    def network(self) -> Network:
        """The network with its weights, as a run begins with it."""
        size = (self.decided or self.decide()).size
        return self.models.network(self.model, self.where, size)

    # -- session file and provenance -----------------------------------------------------------

    def to_file(
        self,
        source: str,
        looked_at: FramesParams,
        output: OutputParams | None = None,
        *,
        fingerprint: str | None = None,
        verify: bool = True,
    ) -> SessionFile:
        """Return the session file, which replays a run of this session.

        Parameters
        ----------
        source
            Path of the movie.
        looked_at
            How the movie was opened.
        output
            Outputs in the folder of the run; None if they are not known.
        fingerprint
            Of the movie; None: frames are read for it.
        verify
            Whether the weights are read for their checksum; else that of the registry is taken.
        """
        from napari_sam2track import __version__

        info = self.model
        local = info.kind == "local"
        return SessionFile(
            software=f"napari-sam2track {__version__}",
            source=source,
            frames=looked_at,
            model=ModelRef(
                name=str(info.path) if local else info.name,
                config=info.config if local else None,
                sha256=self._sha256(verify),
            ),
            engine=self.engine,
            auto=self.auto,
            prompts=prompts_to_dict(self.prompts),
            fingerprint=fingerprint or self.frames.fingerprint(),
            output=output,
        )

    def _sha256(self, verify: bool) -> str | None:
        return self.models.sha256(self.model) if verify else self.model.sha256

    def provenance(
        self, source: str, frames: list[int], decided: Decisions | None, *, verify: bool = True
    ) -> dict[str, Any]:
        """Return the origin of results: movie, model, parameters, frames.

        Parameters
        ----------
        source
            What to call the movie.
        frames
            Those that have results.
        decided
            Decisions of the run; None if it did not begin.
        verify
            As in `to_file`.
        """
        return provenance(
            source=source,
            frames=frames,
            parameters={
                **self.engine.model_dump(),
                "mode_used": None if decided is None else decided.mode,
                "auto": None if self.auto is None else self.auto.model_dump(),
                "movie": self.frames.describe(),
            },
            model={"name": self.model.name, "sha256": self._sha256(verify)},
        )
