"""The log of a training: a CSV file with a row every so many steps."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from napari_sam2track.training.steps import Tally, mean_ious


def cut_log(path: Path, names: Sequence[str], stage: int, step: int) -> None:
    """Keep the rows of a log before a step of a stage: the rest is done again."""
    if not path.exists():
        return
    done, now = names[:stage], names[stage] if stage < len(names) else None
    with path.open(newline="") as file:
        head, *rows = csv.reader(file)
    kept = [r for r in rows if r[0] in done or (r[0] == now and int(r[1]) <= step and r[2] == "0")]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([head, *kept])


_COLUMNS = ("click", "box", "fix 1", "fix 2", "follow", "fix later")
_HELD_COLUMNS = ("follow after click", "follow after mask")


def write_row(
    path: Path,
    name: str,
    step: int,
    took: float,
    tallies: list[Tally],
    scores: dict[str, float] | None = None,
) -> None:
    """Add a row to the log: mean IoUs since the last one, or ``scores`` of held-out windows."""
    held_out = scores is not None
    scores = mean_ious(tallies) if scores is None else scores
    losses = [float(torch.as_tensor(t.loss).detach()) for t in tallies]
    columns = (*_COLUMNS, *_HELD_COLUMNS)
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(["stage", "step", "held out", "seconds a step", "loss", *columns])
        writer.writerow(
            [
                name,
                step,
                int(held_out),
                f"{took:.3f}" if took else "",
                f"{np.mean(losses):.4f}" if losses else "",
                *(f"{scores[c]:.4f}" if c in scores else "" for c in columns),
            ]
        )
