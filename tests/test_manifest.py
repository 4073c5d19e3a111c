"""What napari reads before it imports anything of ours."""

from importlib.metadata import entry_points, metadata

import pytest
from npe2 import PluginManifest
from npe2.manifest.utils import import_python_name

NAME = "napari-sam2track"
manifest = PluginManifest.from_distribution(NAME)
python_names = {command.id: command.python_name for command in manifest.contributions.commands}


def test_it_is_ours():
    assert manifest.name == metadata(NAME)["Name"] == NAME
    (entry,) = entry_points(group="napari.manifest", name=NAME)
    assert entry.value == "napari_sam2track:napari.yaml"
    assert "Framework :: napari" in metadata(NAME).get_all("Classifier")


@pytest.mark.parametrize("command", python_names)
def test_commands_can_be_imported(command):
    assert callable(import_python_name(python_names[command]))


def test_each_command_is_offered_somewhere():
    contributions = manifest.contributions
    offered = {
        item.command
        for kind in ("widgets", "readers", "writers", "sample_data")
        for item in getattr(contributions, kind) or ()
    }
    offered |= {item.command for menu in (contributions.menus or {}).values() for item in menu}
    assert offered == set(python_names)


@pytest.mark.parametrize("sample", manifest.contributions.sample_data, ids=lambda s: s.key)
def test_samples_open(sample):
    layers = import_python_name(python_names[sample.command])()
    assert layers
    for data, attributes, kind in layers:
        assert data.ndim == 3
        assert attributes["name"]
        assert kind in ("image", "labels")
