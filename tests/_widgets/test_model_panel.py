"""Choosing and fetching models, with a download that is not one."""

import threading

import pytest

from napari_sam2track._napari.background import Background
from napari_sam2track._widgets import model_panel
from napari_sam2track._widgets.model_panel import ModelPanel
from napari_sam2track.errors import ModelError
from napari_sam2track.models.registry import bundled_model, find_model
from napari_sam2track.params import EngineParams


@pytest.fixture
def thread():
    made = Background("test-files", turns=False)
    yield made
    made.close()


@pytest.fixture
def panel(qtbot, thread, tmp_path, monkeypatch):
    monkeypatch.setenv("SAM2TRACK_CACHE", str(tmp_path))
    panel = ModelPanel(thread, "auto", 64)
    qtbot.addWidget(panel)
    panel.show()
    return panel


def choose(panel, name):
    panel._model.setCurrentIndex([m.name for m in panel._models].index(name))


def test_the_bundled_model_is_there_and_others_say_that_they_are_not(panel):
    assert panel.model() == bundled_model() and panel.missing == ""
    assert not panel._load.isVisible()
    choose(panel, "sam2.1_hiera_tiny")
    assert "not downloaded" in panel.missing and panel._load.isVisible()
    assert "156 MB" in panel._model.currentText()


def test_a_download_shows_how_far_it_is_and_ends(panel, thread, qtbot, monkeypatch):
    half, go_on = threading.Event(), threading.Event()

    def download(info, meter):
        meter.total = 100
        meter.update(50)
        half.set()
        assert go_on.wait(10)
        meter.update(50)

    monkeypatch.setattr(model_panel, "download", download)
    choose(panel, "sam2.1_hiera_tiny")
    told = []
    panel.told.connect(lambda level, text: told.append((level, text)))
    panel._load.click()
    assert half.wait(10)
    qtbot.waitUntil(lambda: panel._bar.value() == 500, timeout=5000)
    go_on.set()
    thread.finish(10)
    assert told == [("info", "The model sam2.1_hiera_tiny is there")]
    assert not panel._bar.isVisible() and panel._load.text() == "Download"


def test_a_download_can_be_cancelled(panel, thread, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()

    def download(info, meter):
        begun.set()
        assert go_on.wait(10)
        meter.update(1)
        raise AssertionError("it went on")

    monkeypatch.setattr(model_panel, "download", download)
    choose(panel, "sam2.1_hiera_tiny")
    told = []
    panel.told.connect(lambda level, text: told.append((level, text)))
    panel._load.click()
    assert begun.wait(10) and panel._load.text() == "Cancel"
    panel._load.click()
    go_on.set()
    thread.finish(10)
    assert told == [("info", "The download was cancelled")]


def test_what_goes_wrong_is_told(panel, thread, monkeypatch):
    def download(info, meter):
        raise ModelError("there is no network; fetch it by hand")

    monkeypatch.setattr(model_panel, "download", download)
    choose(panel, "sam2.1_hiera_tiny")
    told = []
    panel.told.connect(lambda level, text: told.append((level, text)))
    panel._load.click()
    thread.finish(10)
    assert told == [("error", "there is no network; fetch it by hand")]


def test_parameters_and_device(panel):
    engine = EngineParams(give_up=5, batch=8)
    panel.set_value(find_model("bundled"), engine, "cpu")
    assert (panel.engine(), panel.device()) == (engine, "cpu")
    panel.set_running(True)
    assert not panel._model.isEnabled()
