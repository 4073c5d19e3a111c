"""Pages made while the site is built: the command line from its help, and two from the root."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import mkdocs_gen_files

ROOT = Path(__file__).parents[2]


def write(page: str, text: str) -> None:
    with mkdocs_gen_files.open(page, "w") as file:
        file.write(text)


command = [sys.executable, "-m", "typer", "napari_sam2track.cli", "utils", "docs"]
options = ["--name", "sam2track", "--title", "Command line"]
done = subprocess.run([*command, *options], check=True, capture_output=True, text=True)
write("reference/command-line.md", done.stdout)

for name in ("ARCHITECTURE.md", "CONTRIBUTING.md"):
    text = (ROOT / name).read_text(encoding="utf-8")
    text = re.sub(r"\]\(docs/", "](../", text)
    text = re.sub(r"\]\((ARCHITECTURE|CONTRIBUTING)\.md", lambda m: f"]({m[1].lower()}.md", text)
    write(f"develop/{name.lower()}", text)
