"""docs/reference/files-read.md says what the registries say.

``SAM2TRACK_UPDATE_DOCS=1 pytest tests/formats/test_files_read_page.py`` writes it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from napari_sam2track.formats.catalogue import FORMATS, MASKS, PARENTS, SCALE
from napari_sam2track.formats.table_columns import MEANINGS, PROGRAMS
from napari_sam2track.frames.containers import KINDS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "files-read.md"

HEAD = """\
# Files that are read

What an input says and is not used is named in a note: a line on stderr, or a message in the dock.
So is what was chosen by default, with the option that changes it. This page is made from the
registries that the readers use.
"""


def table(*rows: tuple[str, ...]) -> str:
    head, *body = rows
    lines = [head, tuple("---" for _ in head), *body]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def suffixes(found: tuple[str, ...]) -> str:
    return " ".join(f"`{suffix}`" for suffix in found if suffix) or "by content"


def page() -> str:
    images = table(
        ("file or folder", "suffixes", "as a movie", "as labels", "not used"),
        *(
            (k.title, suffixes(k.suffixes), k.movies or "no", k.labels or "no", k.not_kept or "-")
            for k in KINDS
        ),
    )
    held = {MASKS: "masks", PARENTS: "parents", SCALE: "scale"}
    tracks = table(
        ("`--from`", "what", "read", "not kept"),
        *(
            (
                f"`{entry.name}`",
                entry.title,
                ", ".join(["tracks", *(text for key, text in held.items() if key in entry.holds)]),
                entry.limits or "-",
            )
            for entry in FORMATS
            if entry.read is not None
        ),
    )
    programs = table(
        ("program", "its file", "columns that tell it", "first frame", "not kept"),
        *(
            (
                program.name,
                program.files,
                ", ".join(f"`{mark}`" for mark in sorted(program.marks)),
                str(program.first_frame),
                program.not_kept,
            )
            for program in PROGRAMS
        ),
    )
    names = table(
        ("`--columns`", "names that are known"),
        *(
            (f"`{meaning}`", ", ".join(f"`{name}`" for name in dict.fromkeys(known)))
            for meaning, known in MEANINGS.items()
        ),
    )
    return (
        f"{HEAD}\n## Movies and labels\n\n{images}\n## Tracks\n\n{tracks}\n"
        f"## Tables of tracks, by program\n\n{programs}\n"
        "Commas, semicolons, tabs and decimal commas are found out. A table of another program is "
        "read\nby the names of its columns, in any case, without spaces, hyphens and units; what "
        "is not known\nis named with `--columns frame=T,track=cell_id,y=cy,x=cx`.\n\n"
        f"{names}"
    )


def test_the_page_says_what_the_registries_say() -> None:
    if not PAGE.parent.exists():
        pytest.skip("no docs beside the tests")
    if os.environ.get("SAM2TRACK_UPDATE_DOCS"):
        PAGE.write_text(page(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page(), f"run {__doc__}"
