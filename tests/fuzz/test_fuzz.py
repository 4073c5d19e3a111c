"""Damaged files end in our errors, soon and in bounded memory.

Some 60 mutations of each reader in CI. All of them, for one reader or every one::

    python -m fuzz.test_fuzz 2500 [READER ...]     # in tests/
"""

from __future__ import annotations

import logging
import random
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

import pytest

from fuzz.fuzzed_readers import READERS, assert_good, files_of
from fuzz.mutations import mutated
from napari_sam2track.errors import Sam2TrackError

CASES = 60
MOST_SECONDS = 2.0
MOST_BYTES = 512e6

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def peak() -> int:
    """Largest resident memory since it was reset, in bytes; 0 where the system does not say."""
    try:
        line = next(x for x in _STATUS.read_text().splitlines() if x.startswith("VmHWM"))
    except (OSError, StopIteration):
        return 0
    return int(line.split()[1]) * 1024


def reset_peak() -> None:
    try:
        _CLEAR.write_text("5")
    except OSError:
        return  # then the peak is that of the process


def damage(name: str, good: Path, place: Path, seed: int) -> tuple[Path, list[Path]]:
    """A copy of a good file or folder of which one file is damaged."""
    rng = random.Random(f"{name}-{seed}")
    if place.exists():
        shutil.rmtree(place)
    shutil.copytree(good.parent, place)
    path = place / good.name
    chosen = rng.choice(files_of(path))
    chosen.write_bytes(mutated(chosen.read_bytes(), rng))
    return path, [chosen]


def outcome(name: str, path: Path) -> tuple[str, float, float]:
    """What reading gives ("read", "refused", or a foreign exception), seconds, bytes."""
    before = peak()
    reset_peak()
    before = min(before, peak()) or before
    begin = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            READERS[name].read(path)
        found = "read"
    except Sam2TrackError:
        found = "refused"
    except Exception as error:  # noqa: BLE001  what is looked for
        frame = traceback.extract_tb(error.__traceback__)
        ours = [
            f for f in frame if "napari_sam2track" in f.filename and "/tests/" not in f.filename
        ]
        where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "?"
        found = f"{type(error).__name__} at {where}: {str(error)[:120]}"
    return found, time.perf_counter() - begin, peak() - before


def run(name: str, n: int, folder: Path) -> tuple[Counter[str], list[str]]:
    """Outcomes of n mutations, and what is wrong."""
    good = assert_good(name, folder / "good")
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    for seed in range(n):
        path, files = damage(name, good, folder / "bad", seed)
        found, seconds, n_bytes = outcome(name, path)
        counts[found.split(":")[0]] += 1
        if found not in ("read", "refused"):
            wrong.append(f"{name} {seed} ({files[0].name}): {found}")
        if seconds > MOST_SECONDS:
            wrong.append(f"{name} {seed}: {seconds:.1f} s")
        if n_bytes > MOST_BYTES:
            wrong.append(f"{name} {seed}: {n_bytes / 1e6:.0f} MB")
    return counts, wrong


@pytest.mark.parametrize("name", READERS)
@pytest.mark.filterwarnings("ignore")  # of parsers on damaged files
def test_damaged_files_end_in_our_errors(name: str, tmp_path: Path) -> None:
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    counts, wrong = run(name, CASES, tmp_path)
    # Time and memory of a loaded machine are no matter of correctness here.
    foreign = [line for line in wrong if not line.endswith((" s", " MB"))]
    assert not foreign, "\n".join(foreign)
    assert counts["refused"] > 0  # some of the damage is seen


def main() -> None:
    logging.disable(logging.CRITICAL)
    n = int(sys.argv[1])
    for name in sys.argv[2:] or READERS:
        with tempfile.TemporaryDirectory() as folder:
            begin = time.perf_counter()
            counts, wrong = run(name, n, Path(folder))
            seconds = time.perf_counter() - begin
            print(
                f"{name}: {dict(counts.most_common(4))}, {len(wrong)} wrong, {seconds:.0f} s",
                flush=True,
            )
            for line in wrong[:12]:
                print("   ", line, flush=True)


if __name__ == "__main__":
    main()
