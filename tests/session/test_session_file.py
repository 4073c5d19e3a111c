import json

import pytest

from napari_sam2track.errors import FormatError
from napari_sam2track.params import AutoParams, EngineParams, FramesParams
from napari_sam2track.prompts import Point, Prompt, PromptSet, prompts_to_dict
from napari_sam2track.session.session_file import ModelRef, SessionFile, read_session, write_session


@pytest.fixture
def session():
    return SessionFile(
        software="napari-sam2track",
        source="movie.tif",
        frames=FramesParams(axes="TYX", intensity="p1,p99"),
        engine=EngineParams(mode="window", stop=8),
        auto=AutoParams(discover=5),
        model=ModelRef(name="bundled", sha256="ab"),
        prompts=prompts_to_dict(
            PromptSet({(4, 2): Prompt(points=(Point(1.5, 2), Point(3, 4, False)))})
        ),
        fingerprint="0" * 32,
    )


def test_round_trip(session, tmp_path):
    path = tmp_path / "session.json"
    path.write_text(write_session(session))
    again = read_session(path)
    assert again == session
    assert again.prompt_set() == session.prompt_set()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "is not a session file: it does not say format"),
        ({"version": 2}, "session of version 2, but only version 1"),
        ({"engine": {"mode": "wide"}}, r"engine\.mode: Input should be"),
        ({"surprise": 1}, "surprise: Extra inputs"),
    ],
)
def test_what_is_wrong_is_named(session, tmp_path, change, message):
    path = tmp_path / "session.json"
    path.write_text(json.dumps(json.loads(write_session(session)) | change))
    with pytest.raises(FormatError, match=message):
        read_session(path)


def test_missing_and_broken_files(tmp_path):
    with pytest.raises(FormatError, match="there is no session file"):
        read_session(tmp_path / "no.json")
    (tmp_path / "cut.json").write_text('{"format": ')
    with pytest.raises(FormatError, match="is not valid JSON"):
        read_session(tmp_path / "cut.json")


def test_prompts_and_ranges_do_not_make_it_another_run(session):
    other = session.model_copy(update={"prompts": {}, "auto": None})
    assert session.same_run(other) == []
    engine = session.engine.model_copy(update={"stop": 3, "direction": "forward", "batch": 1})
    assert session.same_run(session.model_copy(update={"engine": engine})) == []
    engine = session.engine.model_copy(update={"fill_holes": session.engine.fill_holes + 1})
    assert session.same_run(session.model_copy(update={"engine": engine})) == ["engine.fill_holes"]
