"""Kill commands, go on, and compare with what was never killed.

    python benchmarks/faults.py every            at every rename, removal and new folder
    python benchmarks/faults.py random --kills 5 at random times, in seven kinds of runs
    python benchmarks/faults.py two              two commands on one folder at once
    python benchmarks/faults.py signals          SIGTERM, SIGHUP, SIGINT, once and twice
    python benchmarks/faults.py all

``every`` runs a command in a forked process whose audit hook (PEP 578) counts changes of names and
sends itself SIGKILL just before the chosen one, so that all of them are tried; then the next
command a person would type. A run has to end as the run that was never killed; an undo or a
correction in one of its two states, with labels, table and session that agree, and to be undone
and done again from there; a conversion whole or not at all, with nothing left behind.
``random`` starts real processes and kills them after a random time, again while they resume.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr

from napari_sam2track.cli import app
from napari_sam2track.samples import centre_pixels, moving_cells
from napari_sam2track.storage.durable import EXCHANGE

CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", EXCHANGE}
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
Args = Sequence[object]


# -- running commands ------------------------------------------------------------------------------


def forked(args: Args, kill_at: int | None = None) -> tuple[int, int]:
    """Run a command in a forked process, killed before a change of names if one is given.

    Returns
    -------
    code, changes
        Exit code (negative: of the signal), and how many changes there were.
    """
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(out)
        os._exit(_in_child([str(a) for a in args], kill_at, into))
    os.close(into)
    with os.fdopen(out) as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), int(told or 0)


def _in_child(args: list[str], kill_at: int | None, into: int) -> int:
    """What a forked process does; its exit code."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    seen = 0

    def hook(event: str, _: object) -> None:
        nonlocal seen
        if event in CHANGES:
            if seen == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            seen += 1

    sys.addaudithook(hook)
    try:
        app(args, standalone_mode=False)
        code = 0
    except BaseException as error:  # noqa: BLE001 (whatever it is, it is the exit code)
        code = getattr(error, "exit_code", 1)
    os.write(into, str(seen).encode())
    return code


def started(args: Args) -> subprocess.Popen[str]:
    """A command in a process of its own."""
    command = [sys.executable, "-m", "napari_sam2track", *map(str, args)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )


def done(args: Args) -> str:
    """Run a command that has to end well; what it told."""
    process = started(args)
    told = "".join(process.communicate())
    assert process.returncode == 0, told
    return told


# -- what is compared ------------------------------------------------------------------------------


def results(folder: Path) -> dict[str, Any]:
    """What a person sees of a run, and what the run knows."""
    found: dict[str, Any] = {}
    for name in ("tracks.csv", "divisions.csv"):
        if (folder / name).exists():
            found[name] = (folder / name).read_text()
    if (folder / "session.json").exists():
        found["session"] = json.loads((folder / "session.json").read_text())["prompts"]
    if (folder / "labels.tif").exists():
        found["labels"] = tifffile.imread(folder / "labels.tif")
    if (folder / "labels.zarr").exists():
        found["labels"] = np.asarray(zarr.open_group(folder / "labels.zarr", mode="r")["0"])
    if (folder / "labels").exists():
        pages = sorted((folder / "labels").glob("*.tif"))
        found["labels"] = np.stack([tifffile.imread(page) for page in pages])
    inner = folder / ".run" / "session.json"
    if inner.exists():
        found["run"] = json.loads(inner.read_text())["prompts"]
    found["names"] = sorted(p.name for p in folder.iterdir()) if folder.exists() else []
    return found


def equal(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Whether two folders hold the same."""
    if a.keys() != b.keys():
        return False
    return all(
        np.array_equal(a[k], b[k]) if isinstance(a[k], np.ndarray) else a[k] == b[k] for k in a
    )


def agrees(state: dict[str, Any]) -> bool:
    """Whether labels, table, session and what the run knows belong together."""
    rows = [line.split(",") for line in state["tracks.csv"].splitlines()[1:]]
    table = {(int(row[1]), int(row[0])) for row in rows if int(row[6])}
    pixels = {(t, i) for t, one in enumerate(state["labels"]) for i in np.unique(one).tolist() if i}
    return table == pixels and state["session"] == state["run"]


def content(path: Path) -> dict[str, bytes]:
    """All files of an output."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    return {str(p.relative_to(path.parent)): p.read_bytes() for p in sorted(files)}


def hidden_in(folder: Path) -> list[str]:
    """What is left where a person would not look."""
    names = [p.name for p in folder.glob(".*") if p.name != ".run"]
    run = folder / ".run"
    if run.exists():
        names += [str(p.relative_to(run)) for p in run.rglob("*.part")]
        names += [p.name for p in run.glob("staged")]
        names += [p.name for p in (run / "journals").glob("*") if not p.name.isdigit()]
    return names


# -- the report ------------------------------------------------------------------------------------


@dataclass
class Row:
    """One line of the report."""

    name: str
    tried: int = 0
    bad: list[str] = field(default_factory=list)

    def check(self, good: bool, what: str) -> None:
        """Count one try."""
        self.tried += 1
        if not good:
            self.bad.append(what)
            print(f"   {self.name}: {what}", flush=True)

    def show(self) -> None:
        """Print the line."""
        print(f"{self.name:<44} tried {self.tried:>5}   failed {len(self.bad):>3}", flush=True)


@dataclass
class Place:
    """Where all happens: two movies, runs of them, labels."""

    folder: Path

    def __post_init__(self) -> None:
        sample = moving_cells(12, 120, 150, 3, seed=2)
        self.movie = self.folder / "movie.tif"
        tifffile.imwrite(self.movie, sample.images_tyx, photometric="minisblack")
        points = [f"3@{x},{y}" for y, x in centre_pixels(sample.labels_tyx[3]).values()]
        self.prompted: list[object] = ["--video", self.movie, "--threads", "1"]
        for text in points:
            self.prompted += ["--points", text]
        y, x = centre_pixels(sample.labels_tyx[8])[2]
        self.correction = ["--resume", "--correct", f"2=8@{x},{y} {x + 2},{y + 1}"]
        self.dividing, first = self._dividing()
        self.divided = ["--video", self.dividing, "--mask-prompts", first, "--threads", "1"]

    def _dividing(self) -> tuple[Path, Path]:
        yy, xx = np.mgrid[:120, :140]
        images = np.random.default_rng(1).normal(50, 5, (12, 120, 140))
        for t in range(12):
            for sign in (-1, 1):
                images[t][np.hypot(yy - 60, xx - 70 - sign * (4 + max(0, t - 3) * 2.5)) < 10] += 100
            images[t][np.hypot(yy - 100, xx - 20) < 9] += 90
        movie, first = self.folder / "dividing.tif", self.folder / "first.tif"
        tifffile.imwrite(movie, images.clip(0, 255).astype(np.uint8), photometric="minisblack")
        tifffile.imwrite(first, (np.hypot(yy - 60, xx - 70) < 12).astype(np.uint16))
        return movie, first

    def fresh(self, start: Path | None = None) -> Path:
        """An empty place in a folder of its own, or a copy of another."""
        out = self.folder / "try" / "out"
        shutil.rmtree(out.parent, ignore_errors=True)
        out.parent.mkdir()
        if start is not None:
            (shutil.copytree if start.is_dir() else shutil.copyfile)(start, out)
        return out

    def made(self, name: str, args: Args, start: Path | None = None) -> Path:
        """A folder with what a command makes; it is made once."""
        out = self.folder / name
        if not out.exists():
            if start is not None:
                shutil.copytree(start, out)
            assert forked(["video", "--out-dir", out, *args])[0] == 0
        return out


# -- at every change of names ----------------------------------------------------------------------


def kill_points(args: Args, start: Callable[[], Path], most: int) -> list[int]:
    """The changes that a command makes: all, or so many and the last ten, where names change."""
    out = start()
    code, n = forked([part if part != "OUT" else out for part in args])
    assert code == 0, args
    return chosen(n, most)


def chosen(n: int, most: int) -> list[int]:
    """So many of ``n`` numbers, evenly, and all of the last ten."""
    return sorted({*range(0, n, -(-n // most)), *range(max(n - 10, 0), n)})


def every_run(place: Place, most: int) -> list[Row]:
    """A first run, a correction and its undo, killed at every change of names."""
    rows = []
    plain, pictures = ["--overlay", "none"], ["--overlay", "frames"]
    for name, args in (
        ("video", [*place.prompted, *plain]),
        ("video --save zarr", [*place.prompted, *plain, "--save", "zarr", "--stop", "4"]),
        ("video in frames", [*place.prompted, "--save", "frames", "--stop", "4", *pictures]),
        ("video, divisions", [*place.divided, *plain, "--divisions", "apply", "--discover", "6"]),
    ):
        row = Row(f"every change: {name}")
        whole = results(place.made("whole " + name, args))
        command = ["video", "--out-dir", "OUT", *args]
        for k in kill_points(command, place.fresh, most):
            out = place.fresh()
            forked(["video", "--out-dir", out, *args], kill_at=k)
            begun = (out / ".run" / "session.json").exists()
            again = ["--resume", "--threads", "1"] if begun else [*args, "--overwrite"]
            code, _ = forked(["video", "--out-dir", out, *again])
            same = code == 0 and equal(results(out), whole)
            row.check(same and not hidden_in(out), f"killed at {k}: exit {code}, {hidden_in(out)}")
        row.show()
        rows.append(row)
    return [*rows, _every_correction(place, most), _every_undo(place, most)]


def _every_correction(place: Place, most: int) -> Row:
    row = Row("every change: --correct")
    first = place.made("first", [*place.prompted, "--overlay", "none"])
    corrected = place.made("corrected", place.correction, first)
    before, after = results(first), results(corrected)
    assert not equal(before, after)
    command = ["video", "--out-dir", "OUT", *place.correction]
    for k in kill_points(command, lambda: place.fresh(first), most):
        out = place.fresh(first)
        journals = len(list((out / ".run" / "journals").iterdir()))
        forked(["video", "--out-dir", out, *place.correction], kill_at=k)
        numbered = [p for p in (out / ".run" / "journals").iterdir() if p.name.isdigit()]
        begun = len(numbered) > journals
        killed = place.folder / "killed"
        shutil.rmtree(killed, ignore_errors=True)
        shutil.copytree(out, killed)
        said = json.loads((out / ".run" / "session.json").read_text())["prompts"]
        code, _ = forked(["video", "--out-dir", out, "--resume"])
        expected = after if said == after["run"] else before
        good = code == 0 and equal(results(out), expected) and not hidden_in(out)
        row.check(good, f"killed at {k}, then --resume: exit {code}, {hidden_in(out)}")
        if not begun:  # the last run is still the first one: there is nothing of it to take back
            continue
        out = place.fresh(killed)
        for wanted in (before, None, before):
            code, _ = forked(["video", "--out-dir", out, "--undo"])
            state = results(out)
            good = code == 0 and agrees(state) and (wanted is None or equal(state, wanted))
            row.check(good, f"killed at {k}, then --undo: exit {code}")
    row.show()
    return row


def _every_undo(place: Place, most: int) -> Row:
    row = Row("every change: --undo")
    first = place.made("first", [*place.prompted, "--overlay", "none"])
    corrected = place.made("corrected", place.correction, first)
    before, after = results(first), results(corrected)
    for k in kill_points(
        ["video", "--out-dir", "OUT", "--undo"], lambda: place.fresh(corrected), most
    ):
        out = place.fresh(corrected)
        forked(["video", "--out-dir", out, "--undo"], kill_at=k)
        killed = place.folder / "killed"
        shutil.rmtree(killed, ignore_errors=True)
        shutil.copytree(out, killed)
        for first_command in (["--undo"], ["--resume"]):
            out = place.fresh(killed)
            code, _ = forked(["video", "--out-dir", out, *first_command])
            state = results(out)
            good = code == 0 and (equal(state, before) or equal(state, after))
            row.check(good and not hidden_in(out), f"killed at {k}, then {first_command}: {code}")
            for _ in range(2):
                other = after if equal(state, before) else before
                code, _ = forked(["video", "--out-dir", out, "--undo"])
                state = results(out)
                row.check(code == 0 and equal(state, other), f"killed at {k}, not done again")
    row.show()
    return row


def every_output(place: Place, most: int) -> list[Row]:
    """Conversions, edits and tables, where there is something to replace and where there is not."""
    labels = place.made("first", [*place.prompted, "--overlay", "none"]) / "labels.tif"
    rows = []
    for name, command in (
        ("a.geff", ["convert", labels]),
        ("a.zarr", ["convert", labels]),
        ("01_RES", ["convert", labels]),
        ("folder", ["convert", labels]),
        ("a.csv", ["convert", labels]),
        ("a.xml", ["convert", labels]),
        ("t.json", ["track", "--pred-dir", labels, "--out"]),
        ("e.tif", ["edit", labels, "--delete", "1", "--out"]),
        ("m.csv", ["measure", labels, "--out"]),
        ("in place.tif", ["edit --in-place"]),
        ("in place", ["edit --in-place"]),
    ):
        rows.append(_every_output(place, name, command, labels, most))
    return rows


def _every_output(place: Place, name: str, command: Args, labels: Path, most: int) -> Row:
    in_place = command[0] == "edit --in-place"
    row = Row(f"every change: {command[0]} {name}")

    ready = place.folder / "ready" / name.replace(" ", "-").replace(".", "-")
    ready.mkdir(parents=True)
    assert forked(["convert", labels, ready / name])[0] == 0

    def start() -> Path:
        out = place.fresh().with_name(name)
        shutil.copytree(ready, out.parent, dirs_exist_ok=True)
        return out

    def of(out: Path) -> list[object]:
        if in_place:
            return ["edit", out, "--in-place", "--delete", "2"]
        return [*command, out, *(["--overwrite"] if out.exists() else [])]

    def wiped(found: dict[str, bytes]) -> dict[str, bytes]:
        """Without the note of the path itself, which differs from place to place."""
        return {k: v.replace(str(place.folder).encode(), b"") for k, v in found.items()}

    old = wiped(content(start()))
    for there in (True,) if in_place else (True, False):
        out = start() if there else place.fresh().with_name(name)
        code, n = forked(of(out))
        assert code == 0, name
        new = wiped(content(out.parent))
        for k in chosen(n, most):
            out = start() if there else place.fresh().with_name(name)
            was = wiped(content(out.parent))
            forked(of(out), kill_at=k)
            forked(["validate", out])  # the next command of any kind
            visible = {k: v for k, v in wiped(content(out.parent)).items() if "/.partial" not in k}
            whole = visible in (was, new)
            code = 0
            if not in_place or visible == was:
                code, _ = forked(of(out))
            end = wiped(content(out.parent))
            row.check(
                whole and code == 0 and end == new, f"killed at {k}, there {there}: {whole} {code}"
            )
    assert old
    row.show()
    return row


# -- at random times -------------------------------------------------------------------------------


def at_random(place: Place, kills: int, seed: int) -> list[Row]:
    """Seven kinds of runs in real processes."""
    chance = random.Random(seed)
    quiet = ["--overlay", "none"]
    first = place.made("first", [*place.prompted, *quiet])
    corrected = place.made("corrected", place.correction, first)
    kinds: list[tuple[str, Path | None, list[object]]] = [
        ("prompted", None, list(place.prompted)),
        ("divide", None, [*place.divided, "--divisions", "apply", *quiet]),
        ("discover", None, [*place.divided, "--divisions", "apply", "--discover", "6"]),
        ("zarr", None, [*place.prompted, "--save", "zarr", *quiet]),
        ("frames", None, [*place.prompted, "--save", "frames", "--overlay", "frames"]),
        ("correct", first, place.correction),
        ("undo", corrected, ["--undo"]),
    ]
    rows = []
    for name, start, args in kinds:
        row = Row(f"random: {name}")
        whole = place.fresh(start)
        began = time.perf_counter()
        done(["video", "--out-dir", whole, *args])
        seconds = time.perf_counter() - began
        wanted = [results(whole)] + ([] if start is None else [results(start)])
        for _ in range(kills):
            out = place.fresh(start)
            command, times = args, 0
            while True:
                process = started(["video", "--out-dir", out, *command])
                time.sleep(chance.uniform(0.3, 1.0) * seconds)
                process.kill()
                process.communicate()
                times += 1
                if (out / ".run" / "session.json").exists():
                    command = ["--resume"]
                if chance.random() < 0.6:
                    break
            if command is args and start is None:
                command = [*args, *(["--overwrite"] if out.exists() else [])]
            told = started(["video", "--out-dir", out, *command])
            text = "".join(told.communicate())
            state = results(out) if out.exists() else {}
            good = told.returncode == 0 and any(equal(state, one) for one in wanted)
            row.check(
                good and not hidden_in(out), f"{times} kills, exit {told.returncode}: {text[-200:]}"
            )
        row.show()
        rows.append(row)
    return rows


# -- two at once, and signals ----------------------------------------------------------------------


def two_at_once(place: Place) -> list[Row]:
    """Commands that meet on one folder: one of them is refused, nothing is lost."""
    first = place.made("first", [*place.prompted, "--overlay", "none"])
    row = Row("two corrections at once")
    for _ in range(5):
        out = place.fresh(first)
        both = [
            started(["video", "--out-dir", out, "--resume", "--correct", text])
            for text in ("1=5@40,40", "3=6@80,60")
        ]
        told = ["".join(p.communicate()) for p in both]
        codes = sorted(p.returncode for p in both)
        prompts = json.loads((out / ".run" / "session.json").read_text())["prompts"]["objects"]
        frames = sum(len(one["frames"]) for one in prompts)
        refused = sum("nother sam2track writes to" in text for text in told)
        row.check(
            (codes, frames) == ([0, 0], 5) or (codes, frames, refused) == ([0, 1], 4, 1),
            f"exits {codes}, {frames} prompts, {refused} refused",
        )
    row.show()
    other = Row("a run and --overwrite at once")
    for _ in range(3):
        out = place.fresh()
        run = started(["video", "--out-dir", out, *place.prompted, "--overlay", "none"])
        while run.poll() is None and not list(out.glob(".run/frames/*.frame")):
            time.sleep(0.005)
        second = started(
            ["video", "--out-dir", out, *place.prompted, "--overwrite", "--direction", "forward"]
        )
        text = "".join(second.communicate())
        run.communicate()
        held = second.returncode == 1 and "nother sam2track writes to" in text
        late = second.returncode == 0  # the first had ended before the second looked
        row_good = run.returncode == 0 and (held or late) and agrees(results(out))
        other.check(row_good, f"exits {run.returncode}, {second.returncode}: {text[-200:]}")
    other.show()
    return [row, other]


def signals(place: Place) -> list[Row]:
    """Told to stop, a run ends as with Ctrl-C: results are there, and it goes on from them."""
    whole = results(place.made("first", [*place.prompted, "--overlay", "none"]))
    row = Row("signals")
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        for times in (1, 2):
            out = place.fresh()
            run = started(["video", "--out-dir", out, *place.prompted, "--overlay", "none"])
            while run.poll() is None and len(list(out.glob(".run/frames/*.frame"))) < 2:
                time.sleep(0.005)
            for _ in range(times):
                run.send_signal(number)
            text = "".join(run.communicate())
            good = run.returncode == 128 + number and "Traceback" not in text
            good &= times == 2 or (out / "labels.tif").exists()
            code, _ = forked(["video", "--out-dir", out, "--resume"])
            row.check(
                good and code == 0 and equal(results(out), whole) and not hidden_in(out),
                f"{number.name} x {times}: exit {run.returncode}, then {code}: {text[-200:]}",
            )
    row.show()
    return [row]


def preload() -> None:
    """Import what commands import late, so that forked processes have it."""
    from napari_sam2track import engine, formats
    from napari_sam2track.models import build_network, bundled_model, load_config
    from napari_sam2track.session.runner import Runner

    build_network(load_config(bundled_model()))
    for package in (engine, formats):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    assert Runner


def main() -> None:
    """Do what is asked for; exit code 1 if anything failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    choices = ("every", "outputs", "random", "two", "signals", "all")
    parser.add_argument("what", choices=choices)
    parser.add_argument("--kills", type=int, default=5, help="rounds of each kind at random times")
    parser.add_argument(
        "--most", type=int, default=200, help="changes that are tried of one command (and its last)"
    )
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    preload()
    with tempfile.TemporaryDirectory() as name:
        place, rows = Place(Path(name)), []
        if args.what in ("every", "all"):
            rows += every_run(place, args.most)
        if args.what in ("every", "outputs", "all"):
            rows += every_output(place, args.most)
        if args.what in ("two", "all"):
            rows += two_at_once(place)
        if args.what in ("signals", "all"):
            rows += signals(place)
        if args.what in ("random", "all"):
            rows += at_random(place, args.kills, args.seed)
    print(f"\ntried {sum(r.tried for r in rows)}, failed {sum(len(r.bad) for r in rows)}")
    sys.exit(any(row.bad for row in rows))


if __name__ == "__main__":
    main()
