"""Settings: what napari keeps, or the defaults."""

import builtins

import pytest
from npe2 import PluginManifest

from napari_sam2track._napari.settings import Keys, PluginSettings, napari_key, settings


def test_the_manifest_has_the_same_defaults():
    groups = PluginManifest.from_distribution("napari-sam2track").contributions.configurations
    declared = {
        name: {key: each.default for key, each in group.properties.items()}
        for name, group in groups.items()
    }
    ours = vars(PluginSettings())
    assert declared["general"] == {name: ours[name] for name in ours if name != "keys"}
    assert declared["keys"] == vars(Keys())


def test_an_older_napari_has_the_defaults(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "napari.settings":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    assert settings() == PluginSettings()


def test_what_napari_keeps_counts(monkeypatch, tmp_path):
    api = pytest.importorskip("napari.settings")
    if not hasattr(api, "get_plugin_settings"):
        pytest.skip("napari before 0.9 has no settings for plugins")
    from napari_sam2track._napari import settings as module

    kept = type("Kept", (), {})()
    kept.general = type("General", (), {"device": "cpu", "cache_memory": 7})()
    kept.keys = type("Some", (), {"propagate": "ctrl+shift+p", "accept": " "})()
    monkeypatch.setattr(api, "get_plugin_settings", {module._PLUGIN: kept}.__getitem__)
    found = settings()
    assert (found.device, found.cache_memory, found.work_folder) == ("cpu", 7, "")
    assert (found.keys.propagate, found.keys.accept) == ("Control-Shift-P", "")
    assert found.keys.stop == "Escape"


def test_napari_itself_gives_them(request):
    """With the real manifest, in a folder of the test's."""
    api = pytest.importorskip("napari.settings")
    if not hasattr(api, "get_plugin_settings"):
        pytest.skip("napari before 0.9 has no settings for plugins")
    request.getfixturevalue("plugin_settings")  # napari's own; a plugin manager of its own, too
    plugins = request.getfixturevalue("npe2pm")
    assert settings() == PluginSettings()  # it is not registered there
    plugins.register(PluginManifest.from_distribution("napari-sam2track"))
    assert settings() == PluginSettings()
    kept = api.get_plugin_settings("napari-sam2track")
    kept.general.device, kept.keys.segment = "cpu", "shift+f"
    found = settings()
    assert (found.device, found.keys.segment) == ("cpu", "Shift-F")


@pytest.mark.parametrize(
    ("typed", "spelled"),
    [("shift+s", "Shift-S"), ("Shift-C", "Shift-C"), ("t", "T"), ("escape", "Escape"), ("", "")],
)
def test_keys_are_spelled_as_napari_does(typed, spelled):
    assert napari_key(typed) == spelled
