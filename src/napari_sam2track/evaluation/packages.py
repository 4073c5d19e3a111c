"""Scores of py-ctcmetrics and traccuracy, which read folders of the Cell Tracking Challenge."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from napari_sam2track.errors import FormatError, UsageError

CTC_METRICS = ("DET", "SEG", "TRA", "LNK", "CHOTA")


def check_installed() -> None:
    """Check that both packages are installed.

    Raises
    ------
    UsageError
        If not.
    """
    needed = {"ctc_metrics": "py-ctcmetrics", "traccuracy": "traccuracy"}
    missing = [package for module, package in needed.items() if find_spec(module) is None]
    if missing:
        raise UsageError(
            f"scores need {' and '.join(missing)}, which is not installed; "
            "pip install 'napari-sam2track[eval]'"
        )


def ctc_scores(result: Path, truth: Path, names: Collection[str] = CTC_METRICS) -> dict[str, float]:
    """Return `CTC_METRICS` of a folder of results against ground truth (with TRA and SEG).

    Scores that are not among `names` are NaN.

    Raises
    ------
    FormatError
        If py-ctcmetrics does not take the folder of results as valid.
    """
    from ctc_metrics import evaluate_sequence

    with _quiet():
        found = evaluate_sequence(str(result), str(truth), list(names), threads=1)
    if any(found[name] is None for name in names):
        raise FormatError(
            "py-ctcmetrics does not take the result for a valid one, which happens with frames of "
            "one pixel; score larger frames"
        )
    return {name: float(found[name]) if name in names else math.nan for name in CTC_METRICS}


def division_scores(result: Path, truth: Path) -> dict[str, float]:
    """Return precision, recall and F1 of divisions, exactly in time and up to a frame off."""
    from traccuracy import run_metrics
    from traccuracy.loaders import load_ctc_data
    from traccuracy.matchers import CTCMatcher, IOUMatcher
    from traccuracy.metrics import DivisionMetrics

    with _quiet():
        data = [
            load_ctc_data(str(folder), str(folder / text), run_checks=False)
            for folder, text in ((truth / "TRA", "man_track.txt"), (result, "res_track.txt"))
        ]
        try:
            reports, _ = run_metrics(data[0], data[1], CTCMatcher(), [DivisionMetrics(1)])
        except TypeError:  # its metric takes pairs only, and here two true objects are one
            pairs = IOUMatcher(iou_threshold=0.5, one_to_one=True)
            reports, _ = run_metrics(data[0], data[1], pairs, [DivisionMetrics(1)])
    exact = reports[0]["results"]["Frame Buffer 0"]
    near = reports[0]["results"]["Frame Buffer 1"]
    return {
        "division precision": float(exact["Division Precision"]),
        "division recall": float(exact["Division Recall"]),
        "division F1": float(exact["Division F1"]),
        "division F1 ±1": float(near["Division F1"]),
    }


@contextmanager
def _quiet() -> Iterator[Any]:
    """Hide output and warnings of the packages: bars, divisions by zero on empty sets."""
    with (
        warnings.catch_warnings(),
        redirect_stderr(io.StringIO()),
        redirect_stdout(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield
