"""A model from a stranger runs no code, whichever command looks at it."""

import json

import pytest
import torch

from napari_sam2track.models import bundled_model, load_config

CALL = {
    "_target_": "pathlib.Path.touch",
    "_args_": [{"_target_": "pathlib.Path", "_args_": ["PWNED"]}],
}
TRICKS = {
    "a class": CALL,
    "a tuple": (CALL,),
    "nested": [{"x": ({"y": [CALL]},)}],
    "an interpolation": "${oc.env:HOME}",
    "a set": {1},
    "itself": "itself",
}


@pytest.fixture(params=TRICKS)
def evil(request, tmp_path, monkeypatch):
    """A checkpoint and a YAML file with a config that wants to call something."""
    monkeypatch.chdir(tmp_path)
    config = json.loads(json.dumps(load_config(bundled_model())))
    config["image_encoder"] = [config] if request.param == "itself" else TRICKS[request.param]
    torch.save({"model": {"a": torch.zeros(1)}, "config": config}, "evil.pt")
    text = json.dumps({"model": {**config, "image_encoder": CALL}})
    (tmp_path / "evil.yaml").write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        "image --image movie.tif --points 20,20 --out x.png --model evil.pt",
        "image --image movie.tif --points 20,20 --out x.png --model evil.pt --config evil.yaml",
        "video --video movie.tif --points 20,20 --out-dir r --model evil.pt",
        "video --video movie.tif --points 20,20 --out-dir r --model evil.pt --estimate",
        "video --session session.json --out-dir r",
        "selftest --model evil.pt",
        "train --data truth --base evil.pt --out my.pt --minutes 0.1",
        "models info evil.pt",
        "models verify evil.pt",
    ],
)
def test_nothing_is_called(sam2track, movie_path, sample, evil, command):
    from napari_sam2track.formats.labels.label_writers import write_labels
    from napari_sam2track.params import EngineParams, FramesParams
    from napari_sam2track.prompts import Point, Prompt, PromptSet, prompts_to_dict
    from napari_sam2track.session.session_file import ModelRef, SessionFile, write_session

    session = SessionFile(
        software="napari-sam2track",
        source=str(movie_path),
        frames=FramesParams(),
        model=ModelRef(name=str(evil / "evil.pt")),
        engine=EngineParams(),
        auto=None,
        prompts=prompts_to_dict(PromptSet({(1, 0): Prompt(points=(Point(20, 20),))})),
        fingerprint=None,
    )
    (evil / "session.json").write_text(write_session(session))
    (evil / "truth").mkdir()
    movie_path.rename(evil / "truth" / "movie.tif")
    movie_path.symlink_to(evil / "truth" / "movie.tif")
    truth = iter(sample.labels_tyx)
    write_labels(evil / "truth" / "movie_labels.tif", truth, len(sample.labels_tyx), {}, max_id=9)
    result = sam2track(*command.split())
    assert not (evil / "PWNED").exists()
    if not command.startswith("models"):
        assert result.exit_code == 1, result.output
        told = [line for line in result.output.splitlines() if line.startswith("Error")]
        assert len(told) == 1
        assert "Unexpected" not in told[0]
        assert "config" in told[0]
