import re

import pytest

from napari_sam2track.engine import official_predictor
from napari_sam2track.formats.labels.open_labels import open_labels


def test_the_demo_beats_doing_nothing(sam2track, tmp_path):
    result = sam2track("demo", "--out-dir", tmp_path / "demo", "--threads", 1)
    assert result.exit_code == 0, result.output
    scores = {}
    for line in result.stdout.splitlines():
        numbers = re.findall(r"\d\.\d{3}", line)
        if len(numbers) == 3:
            scores[line] = [float(n) for n in numbers]
    ours, still, otsu = scores.values()
    assert ours[1] > still[1]
    assert ours[1] > otsu[1]
    assert ours[1] > 0.6
    with open_labels(tmp_path / "demo" / "results" / "labels.tif") as stack:
        assert stack.n_frames == 24
    assert "napari " in result.stdout
    results = tmp_path / "demo" / "results"
    nothing = sam2track("video", "--out-dir", results, "--resume", "--estimate")
    assert "To compute: 0 object-frames" in nothing.stderr
    again = sam2track("demo", "--out-dir", tmp_path / "demo")
    assert again.exit_code == 1
    assert "--overwrite" in again.stderr
    other = tmp_path / "mine"
    other.mkdir()
    (other / "movie.tif").write_text("precious")
    assert sam2track("demo", "--out-dir", other).exit_code == 1
    assert (other / "movie.tif").read_text() == "precious"


@pytest.mark.slow
def test_selftest_agrees_with_sam2(sam2track):
    result = sam2track("selftest", "--frames", 6)
    assert result.exit_code == 0, result.output
    assert "All as promised" in result.stdout


def test_selftest_says_when_it_does_not(sam2track, monkeypatch):

    wrong = official_predictor.Comparison(2, 100, 50, 0.5, 1.0, 1.0)
    monkeypatch.setattr(official_predictor, "compare", lambda *args: wrong)
    result = sam2track("selftest", "--frames", 2)
    assert result.exit_code == 1
    assert "larger than promised: one click (exact), one click (fast)" in result.stderr


def test_info_names_what_is_here(sam2track):
    result = sam2track("info")
    assert result.exit_code == 0, result.output
    for text in ("napari-sam2track", "torch", "threads", "cache", "model bundled", "device auto"):
        assert text in result.stdout
