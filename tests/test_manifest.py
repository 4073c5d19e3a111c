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
    assert [kind for _, _, kind in layers][:2] == ["image", "labels"]
    for data, attributes, kind in layers:
        assert data.ndim == (2 if kind == "tracks" else 3)
        assert attributes["name"]
        assert kind in ("image", "labels", "tracks")


@pytest.mark.parametrize("command", manifest.contributions.commands, ids=lambda c: c.id)
def test_titles_read_well_alone(command):
    """In the command palette they stand among those of all plugins."""
    assert command.title[0].isupper()
    assert command.title.split()[0] in ("Open", "Save", "Export", "Segment", "Link")
    assert 3 <= len(command.title.split()) <= 10
    assert not command.title.endswith(".")
    titles = [other.title for other in manifest.contributions.commands]
    assert titles.count(command.title) == 1


def test_no_reader_claims_what_many_can_read():
    for reader in manifest.contributions.readers:
        for pattern in reader.filename_patterns:
            stem, _, suffix = pattern.rpartition(".")
            assert suffix in ("geff", "xml") or stem not in ("", "*"), pattern


def test_menus_are_such_as_napari_has():
    from napari._app_model.constants import MenuId

    known = {menu.value for menu in MenuId if menu.value.startswith("napari/")}
    assert set(manifest.contributions.menus) <= known
