"""The beginning of work, in all orders in which things can happen; no window is needed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import pytest

from napari_sam2track._napari import project_start
from napari_sam2track._napari.project_setup import Ready
from napari_sam2track._napari.project_start import ProjectStart, StartRequest, StartState
from napari_sam2track.errors import FramesError, UsageError
from napari_sam2track.params import FramesParams

PARAMS = FramesParams()


@dataclass(frozen=True, eq=False)
class Found:
    frames: object
    geometry: object = field(default_factory=lambda: SimpleNamespace(shape=(3, 4, 5)))
    params: object = PARAMS
    folder: str = "folder"
    earlier: object = None


@dataclass
class Listener:
    """Notes what it is told."""

    told: list = field(default_factory=list)

    def start_found(self, found):
        self.told.append(("found", found.frames))

    def start_opening(self, request, found):
        self.told.append(("opening", request.layer))

    def start_measured(self, done, total):
        self.told.append(("measured", done, total))

    def start_opened(self, request, ready):
        self.told.append(("opened", request.layer))

    def start_failed(self, error, was):
        self.told.append(("failed", str(error), was))


class Jobs(list):
    """A background whose jobs end when the test says so."""

    submit = list.append


@pytest.fixture
def given_back(monkeypatch):
    monkeypatch.setattr(project_start, "find_work", lambda layer, params: Found(layer))
    folders = []
    monkeypatch.setattr(project_start, "give_back", folders.append)
    return folders


@pytest.fixture
def start(given_back):
    return ProjectStart(Jobs(), Listener())


def told(start):
    return start._listener.told


def look(start, layer="a"):
    start.look_at(layer, PARAMS)
    return start._background[-1], replace(start._candidate, folder="known")


def ready(found):
    return Ready(found, None, None, False)


def test_from_an_image_to_all_that_a_project_needs(start):
    job, found = look(start)
    assert start.state is StartState.READING
    job.on_item(found)
    assert start.state is StartState.FOUND
    start.start(StartRequest("a", PARAMS))
    assert start.state is StartState.OPENING
    start._background[-1].on_item((1, 3))
    start._background[-1].on_item(ready(found))
    assert start.state is StartState.NOTHING
    assert told(start) == [("found", "a"), ("opening", "a"), ("measured", 1, 3), ("opened", "a")]


def test_a_request_waits_until_it_is_known_what_there_is(start):
    start.start(StartRequest("a", PARAMS))  # nothing was looked at yet
    assert start.state is StartState.READING
    start.look_at("a", FramesParams(channel="1"))  # another channel: the person still waits
    start._background[-1].on_item(start._candidate)
    assert start.state is StartState.OPENING
    assert told(start)[-1] == ("opening", "a")


def test_another_image_ends_the_wait(start):
    start.start(StartRequest("a", PARAMS))
    first = start._background[-1]
    job, found = look(start, "b")
    first.on_item(Found("a"))  # late, and of no interest
    assert start.state is StartState.READING
    job.on_item(found)
    assert (start.state, told(start)) == (StartState.FOUND, [("found", "b")])


def test_the_failure_of_an_image_that_was_left_is_none(start):
    first, _ = look(start, "a")
    job, found = look(start, "b")
    start.start(StartRequest("b", PARAMS))
    first.on_error(FramesError("a is gone"))
    job.on_item(found)
    assert told(start) == [("found", "b"), ("opening", "b")]


def test_an_image_that_cannot_be_read(start):
    job, _ = look(start)
    start.start(StartRequest("a", PARAMS))
    job.on_error(FramesError("it is damaged"))
    assert start.state is StartState.NOTHING
    assert told(start) == [("failed", "it is damaged", StartState.READING)]


def test_an_image_that_changed_meanwhile_is_read_again(start, monkeypatch):
    job, found = look(start)
    start.start(StartRequest("a", PARAMS))
    other = replace(found, geometry=SimpleNamespace(shape=(9, 9, 9)))
    monkeypatch.setattr(project_start, "find_work", lambda layer, params: other)
    job.on_item(found)
    assert told(start)[-1][1].startswith("the image is another one by now: it is read again")
    assert start.state is StartState.READING
    start._background[-1].on_item(other)
    assert told(start)[-1] == ("found", "a")


def test_start_twice_and_look_while_opening(start):
    job, found = look(start)
    job.on_item(found)
    start.start(StartRequest("a", PARAMS))
    n = len(start._background)
    start.start(StartRequest("a", PARAMS))
    start.look_at("b", PARAMS)
    assert len(start._background) == n
    start._background[-1].on_item(ready(found))
    assert told(start)[-1] == ("opened", "a")


def test_failing_to_open(start):
    job, found = look(start)
    job.on_item(found)
    start.start(StartRequest("a", PARAMS))
    start._background[-1].on_error(UsageError("it is open elsewhere"))
    assert start.state is StartState.NOTHING
    assert told(start)[-1] == ("failed", "it is open elsewhere", StartState.OPENING)


def test_closed_meanwhile(start, given_back):
    job, found = look(start)
    job.on_item(found)
    start.start(StartRequest("a", PARAMS))
    before = len(told(start))
    start.close()
    start._background[-1].on_item((1, 3))
    start._background[-1].on_error(UsageError("late"))
    start._background[-1].on_item(ready(found))
    assert given_back == ["known"]
    start.look_at("b", PARAMS)
    start.start(StartRequest("b", PARAMS))
    assert (start.state, len(told(start))) == (StartState.CLOSED, before)
