"""``sam2track info``: what is here, what it runs on, what is missing."""

from __future__ import annotations

import typer

EXAMPLES = """\
[bold]Examples[/bold]

  sam2track info
"""

_PACKAGES = (
    "torch",
    "sam2",
    "napari",
    "npe2",
    "numpy",
    "scipy",
    "zarr",
    "tifffile",
    "av",
    "pydantic",
    "scikit-image",
)
_QT = ("PyQt6", "PySide6", "PyQt5")


def info() -> None:
    """Print versions, devices, threads, the cache folder, and what is missing."""
    import os
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from rich.console import Console
    from rich.table import Table

    from napari_sam2track import __version__
    from napari_sam2track.errors import DeviceError
    from napari_sam2track.models.device import choose_device
    from napari_sam2track.models.download import Status, cache_dir, status
    from napari_sam2track.models.registry import all_models

    def found(name: str) -> str | None:
        try:
            return version(name)
        except PackageNotFoundError:
            return None

    import torch

    table = Table(show_header=False, box=None)
    table.add_row("napari-sam2track", __version__)
    table.add_row("Python", f"{platform.python_version()} on {platform.platform()}")
    for name in _PACKAGES:
        table.add_row(name, found(name) or "[red]missing[/red]")
    qt = [f"{name} {found(name)}" for name in _QT if found(name)]
    table.add_row(
        "Qt",
        ", ".join(qt) or "none: napari's window needs one, pip install 'napari-sam2track\\[all]'",
    )
    table.add_row("cpu", "there")
    for name in ("cuda", "mps"):
        try:
            table.add_row(name, choose_device(name).reason)
        except DeviceError as error:
            table.add_row(name, str(error))
    auto = choose_device("auto")
    table.add_row("device auto", f"{auto.device} ({auto.reason})")
    table.add_row("threads", f"{torch.get_num_threads()} of {os.cpu_count()} cores")
    table.add_row("cache", str(cache_dir()))
    for model in all_models():
        state = status(model)
        if state in (Status.BUNDLED, Status.DOWNLOADED, Status.DAMAGED, Status.ABSENT):
            table.add_row(f"model {model.name}", state.value)
    Console(soft_wrap=True).print(table)
    typer.echo("All models: sam2track models list")
