"""Settings of the plugin in napari's preferences, if napari has them; else the defaults."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

_PLUGIN = "napari-sam2track"
#: Parts of a key that napari spells differently.
_MODIFIERS = {"ctrl": "Control", "control": "Control", "cmd": "Meta", "meta": "Meta"} | {
    name: name.capitalize() for name in ("shift", "alt")
}


@dataclass(frozen=True)
class Keys:
    """Keys of actions, as napari spells them; empty: none."""

    toggle: str = "T"
    segment: str = "S"
    propagate: str = "Shift-S"
    next_object: str = "M"
    next_problem: str = "N"
    accept: str = "C"
    clear: str = "Shift-C"
    stop: str = "Escape"


@dataclass(frozen=True)
class PluginSettings:
    """Settings of a person for all movies.

    Attributes
    ----------
    device
        Device of the model: "auto", "cuda", "mps" or "cpu".
    cache_memory
        Megabytes of memory for embeddings.
    work_folder
        Folder of runs until they are saved; empty: a temporary folder.
    keys
        See `Keys`.
    """

    device: str = "auto"
    cache_memory: int = 256
    work_folder: str = ""
    keys: Keys = field(default_factory=Keys)


def settings() -> PluginSettings:
    """Return the present settings.

    napari has them from version 0.9 on; before it, and where the plugin is not registered, they
    are the defaults.
    """
    try:
        from napari.settings import get_plugin_settings

        found = get_plugin_settings(_PLUGIN)
    except (ImportError, KeyError):
        return PluginSettings()
    general = getattr(found, "general", None)
    keys = getattr(found, "keys", None)
    named = Keys()
    for each in fields(Keys):
        text = getattr(keys, each.name, None)
        if text is not None:
            named = replace(named, **{each.name: napari_key(str(text))})
    default = PluginSettings()

    def given(name: str) -> Any:
        return getattr(general, name, getattr(default, name))

    return PluginSettings(
        device=str(given("device")),
        cache_memory=int(given("cache_memory")),
        work_folder=str(given("work_folder")).strip(),
        keys=named,
    )


def napari_key(text: str) -> str:
    """Return a key as napari spells it: "Shift-S" for "shift+s".

    A text that is no key stays as it is; napari reports it on binding.
    """
    parts = [part for part in text.strip().replace("+", "-").split("-") if part]
    if not parts:
        return ""
    *modifiers, key = parts
    spelled = [_MODIFIERS.get(part.lower(), part) for part in modifiers]
    return "-".join([*spelled, key.upper() if len(key) == 1 else key[:1].upper() + key[1:]])
