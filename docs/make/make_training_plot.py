"""Draw the log of a training (`python -m napari_sam2track.training WORK` leaves it in WORK).

python docs/make/make_training_plot.py WORK/log.csv docs/images/training.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import pandas as pd

NAMES = {
    "click": "one click",
    "fix 2": "two corrections",
    "box": "a box",
    "follow": "following",
}


def continued(log: pd.DataFrame) -> pd.DataFrame:
    """The log with a column of steps that goes on from stage to stage; `end` on the last ones."""
    ends = log.groupby("stage", sort=False)["step"].max().cumsum()
    before = ends.shift(fill_value=0)
    return log.assign(at=log["step"] + log["stage"].map(before), end=log["stage"].map(ends))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log", type=Path)
    parser.add_argument("picture", type=Path)
    args = parser.parse_args()
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    log = continued(pd.read_csv(args.log))
    shown, judged = log[log["held out"] == 0], log[log["held out"] == 1]
    figure, (top, bottom) = plt.subplots(
        2, 1, figsize=(9, 6), sharex=True, height_ratios=(3, 1), layout="constrained"
    )
    for n, (column, name) in enumerate(NAMES.items()):
        for _, stage in shown.groupby("stage", sort=False):
            label = name if stage[column].notna().any() else None
            smooth = stage[column].rolling(5, min_periods=1, center=True).mean()
            known = [line.get_label() for line in top.lines]
            top.plot(stage["at"], smooth, f"C{n}", label=None if label in known else label)
        held = judged["follow after mask"] if column == "follow" else judged[column]
        top.plot(judged["at"], held, f"C{n}o")
    top.plot([], [], "ko", label="held out, deepest clicks (following: from a mask)")
    top.set(ylabel="mean IoU")
    top.legend(loc="upper left", fontsize="small", ncols=2)
    for _, stage in shown.groupby("stage", sort=False):
        bottom.plot(stage["at"], stage["loss"] / stage["loss"].iloc[0], "k")
    bottom.set(xlabel="step", ylabel="loss, of the\nstage's first", ylim=(0, None))
    for name, stage in log.groupby("stage", sort=False):
        for axes in (top, bottom):
            axes.axvline(stage["end"].iloc[0], color="0.8", zorder=0)
        top.text(stage["at"].min(), 1.01, name, transform=top.get_xaxis_transform(), size="small")
    figure.savefig(args.picture, dpi=110)
    print(args.picture)


if __name__ == "__main__":
    main()
