"""Weights on disk: their place, their integrity, and their download."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from enum import Enum
from functools import cache
from importlib import resources
from os import PathLike
from pathlib import Path
from typing import Any

from napari_sam2track.errors import ModelError, OutputError
from napari_sam2track.models.registry import ModelInfo, find_model
from napari_sam2track.storage.output import atomic_path

CACHE_VARIABLE = "SAM2TRACK_CACHE"

_BLOCK = 2**20


class Status(Enum):
    """State of a model's weights on this machine."""

    BUNDLED = "bundled"
    DOWNLOADED = "downloaded"
    LOCAL = "local file"
    MISSING = "not downloaded"
    ABSENT = "not installed"
    DAMAGED = "damaged"


def cache_dir() -> Path:
    """Return the folder for downloads: that in SAM2TRACK_CACHE, or the system's for caches."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    import pooch

    return Path(pooch.os_cache("sam2track"))


def model_path(info: ModelInfo) -> Path:
    """Return the path of a model's weights, whether they exist or not."""
    if info.path is not None:
        return info.path
    if info.kind == "bundled":
        folder = resources.files("napari_sam2track") / "models" / "weights"
        return Path(str(folder)) / info.filename
    return cache_dir() / info.filename


def status(info: ModelInfo, thorough: bool = False) -> Status:
    """Return the state of a model's weights.

    Parameters
    ----------
    info
        The model.
    thorough
        Compute the checksum as well (a second for the largest); otherwise only the size is
        compared, if it is known.
    """
    path = model_path(info)
    if not path.is_file():
        return Status.ABSENT if info.kind == "bundled" else Status.MISSING
    if _damage(info, path, thorough) is not None:
        return Status.DAMAGED
    return {
        "bundled": Status.BUNDLED,
        "meta": Status.DOWNLOADED,
        "local": Status.LOCAL,
    }[info.kind]


def ready_model(name: str | PathLike[str], config: str | None = None) -> ModelInfo:
    """Return the entry of a model whose weights are on this machine; see `find_model`.

    Raises
    ------
    ModelError
        If there is no such model, or its weights are not here yet.
    """
    info = find_model(Path(name) if isinstance(name, PathLike) else name, config)
    if status(info) is Status.MISSING and info.kind == "meta":
        raise ModelError(
            f"the model {info.name} is not on this machine yet; fetch it with: "
            f"sam2track models download {info.name}"
        )
    return info


def verify(info: ModelInfo) -> str:
    """Check that a model's weights are there and undamaged.

    Returns
    -------
    str
        The sha256 of the file, 64 hexadecimal digits.

    Raises
    ------
    ModelError
        If the file is missing, or its size or checksum is wrong; the message has advice.
    """
    path = model_path(info)
    if not path.is_file():
        raise ModelError(_missing(info, path))
    damage = _damage(info, path, thorough=True)
    if damage is not None:
        raise ModelError(
            f"the weights of {info.name} in {path} are damaged: {damage}; {_cure(info)}"
        )
    return file_sha256(path)


def download(
    info: ModelInfo,
    progress: Any = None,
    fetch: Callable[[str, str, Any], None] | None = None,
) -> Path:
    """Download a model's weights, unless they are there and undamaged.

    The file gets its name only when it is complete and its checksum is right.

    Parameters
    ----------
    info
        The model.
    progress
        Progress bar of bytes: ``total`` is set, ``update(n)``, ``reset()`` and ``close()``
        are called (as `pooch.HTTPDownloader` does).
    fetch
        Called with the URL, the name of a temporary file, and None; instead of HTTP.

    Returns
    -------
    Path
        The weights.

    Raises
    ------
    ModelError
        If the model cannot be downloaded, there is no network, the download is damaged, or the
        cache cannot be written; the message explains how to put the file there by hand.
    """
    path = model_path(info)
    if status(info, thorough=True) in (Status.BUNDLED, Status.DOWNLOADED, Status.LOCAL):
        return path
    if info.url is None:
        raise ModelError(_missing(info, path))
    import pooch
    import requests

    fetch = fetch or pooch.HTTPDownloader(progressbar=progress or False, chunk_size=_BLOCK)
    by_hand = f"or fetch {info.url} by hand (sha256 {info.sha256}) and put it at {path}"
    try:
        with atomic_path(path, overwrite=True) as part:
            fetch(info.url, str(part), None)
            found = file_sha256(part)
            if found != info.sha256:
                raise ModelError(
                    f"what was downloaded for {info.name} is not what it should be (its sha256 is "
                    f"{found}) and was deleted; try again, {by_hand}"
                )
    except requests.exceptions.RequestException as error:
        raise ModelError(
            f"{info.name} could not be downloaded ({_short(error)}); check the network and try "
            f"again, {by_hand}"
        ) from error
    except (OSError, OutputError) as error:
        raise ModelError(
            f"{info.name} could not be written to {path.parent} ({_short(error)}); free some "
            f"space, choose another folder with {CACHE_VARIABLE}, {by_hand}"
        ) from error
    return path


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file, 64 hexadecimal digits; cached until the file changes."""
    stat = path.stat()
    return _sha256(path, stat.st_mtime_ns, stat.st_size)


@cache
def _sha256(path: Path, _mtime_ns: int, _size: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _damage(info: ModelInfo, path: Path, thorough: bool) -> str | None:
    """Return the damage of a file; None if there is none."""
    size = path.stat().st_size
    if info.n_bytes is not None and size != info.n_bytes:
        return f"it has {size:,} bytes instead of {info.n_bytes:,}"
    if size == 0:
        return "it is empty"
    if thorough and info.sha256 is not None and file_sha256(path) != info.sha256:
        return f"its sha256 is {file_sha256(path)} instead of {info.sha256}"
    return None


def _missing(info: ModelInfo, path: Path) -> str:
    """Return the message about missing weights."""
    if info.kind == "bundled":
        return (
            f"the bundled model's weights are not in this installation (no {path}); install "
            "napari-sam2track again, or choose another model"
        )
    if info.kind == "local":
        return f"there is no file of weights {path}; check the path"
    return f"{info.name} is not on this machine yet ({path}); {_cure(info)}"


def _cure(info: ModelInfo) -> str:
    """Return advice about a file that is missing or damaged."""
    return {
        "bundled": "install napari-sam2track again",
        "meta": f"run: sam2track models download {info.name}",
        "local": "copy it again from where it came",
    }[info.kind]


def _short(error: Exception) -> str:
    """Return an error in one line: requests' messages hold whole stacks of reprs."""
    text = " ".join(str(error).split())
    return text if len(text) <= 160 else f"{type(error).__name__}: {text[:120]}…"
