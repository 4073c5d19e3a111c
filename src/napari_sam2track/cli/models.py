"""``sam2track models``: what models there are, and fetching them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_sam2track.cli._run import guarded

if TYPE_CHECKING:
    from napari_sam2track.models.registry import ModelInfo

EXAMPLES = """\
[bold]Examples[/bold]

  sam2track models list

  sam2track models download sam2.1_hiera_tiny
"""

app = typer.Typer(
    no_args_is_help=True,
    help="List, fetch and check the models.",
    epilog=EXAMPLES,
)

Name = Annotated[
    str, typer.Argument(help="Name of a model, or a file of weights.", show_default=False)
]


@app.command("list")
@guarded
def list_models() -> None:
    """Show all models, their size, and whether they are on this machine."""
    from rich.console import Console
    from rich.table import Table

    from napari_sam2track.models.download import cache_dir, status
    from napari_sam2track.models.registry import all_models

    table = Table(box=None, pad_edge=False)
    for column, side in (
        ("name", "left"),
        ("parameters", "right"),
        ("file", "right"),
        ("licence", "left"),
        ("state", "left"),
    ):
        table.add_column(column, justify=side, no_wrap=True)  # type: ignore[arg-type]
    for info in all_models():
        table.add_row(
            info.name,
            _millions(info.parameters),
            _megabytes(_size(info)),
            info.licence,
            status(info).value,
        )
    Console().print(table)
    typer.echo(f"Downloads are kept in {cache_dir()} (SAM2TRACK_CACHE moves them).")


@app.command("info")
@guarded
def info_model(name: Name) -> None:
    """Show what is known about a model."""
    from napari_sam2track.models.download import model_path, status
    from napari_sam2track.models.registry import BUNDLED, bundled_card, find_model

    info = find_model(name)
    lines = {
        "name": info.name,
        "about": info.description,
        "parameters": _millions(info.parameters),
        "sees": f"{info.image_size} x {info.image_size} pixels" if info.image_size else None,
        "licence": info.licence,
        "config": info.config,
        "file": str(model_path(info)),
        "size": _megabytes(_size(info)),
        "sha256": info.sha256,
        "url": info.url,
        "state": status(info).value,
    }
    card = bundled_card() if info.name == BUNDLED else _card_in(info)
    known = {key for key, value in lines.items() if value not in (None, "", "?")} | {"n_bytes"}
    lines |= {k: v for k, v in _plain("", card).items() if k not in known}
    width = max(len(key) for key in lines)
    for key, value in lines.items():
        if value:
            typer.echo(f"{key:<{width}}  {value}")


def _plain(name: str, value: Any) -> dict[str, str]:
    """Return lines of a card: a line for every innermost group of values."""
    if not isinstance(value, dict):
        return {name: _words(value)}
    flat = {k: v for k, v in value.items() if name and not isinstance(v, dict)}
    lines = {name: ", ".join(f"{k} {_words(v)}" for k, v in flat.items())} if flat else {}
    for key, inner in value.items():
        if key not in flat:
            lines |= _plain(f"{name}: {key}" if name else key, inner)
    return lines


def _words(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _card_in(info: ModelInfo) -> dict[str, Any]:
    """Return the card that fine-tuning wrote into a file of weights; empty if there is none."""
    if info.kind != "local":
        return {}
    from napari_sam2track.models.download import model_path
    from napari_sam2track.models.loading import read_checkpoint
    from napari_sam2track.models.plain import plain_values

    card = read_checkpoint(model_path(info)).get("card")
    return dict(plain_values(card, f"in {info.path}")) if isinstance(card, dict) else {}


@app.command("download")
@guarded
def download_model(name: Name) -> None:
    """Fetch a model's weights, unless they are there already."""
    from napari_sam2track.cli._progress import DownloadBar
    from napari_sam2track.models.download import Status, download, model_path, status
    from napari_sam2track.models.registry import find_model

    info = find_model(name)
    before = status(info, thorough=True)
    if before is Status.BUNDLED:
        typer.echo(f"{info.name} is in the package, there is nothing to download.")
        return
    if before in (Status.DOWNLOADED, Status.LOCAL):
        typer.echo(f"{info.name} is there already: {model_path(info)}")
        return
    bar = DownloadBar(info.name)
    try:
        path = download(info, bar)
    finally:
        bar.close()
    typer.echo(f"{info.name}: {path}")


@app.command("verify")
@guarded
def verify_models(
    name: Annotated[
        str | None,
        typer.Argument(help="Name of a model; all that are here, if left out.", show_default=False),
    ] = None,
) -> None:
    """Compute the checksums of weights and compare them with what they should be."""
    from napari_sam2track.errors import ModelError
    from napari_sam2track.models.download import Status, status, verify
    from napari_sam2track.models.registry import all_models, find_model

    if name is not None:
        info = find_model(name)
        typer.echo(f"{info.name}: {_verdict(info, verify(info))}")
        return
    here = [m for m in all_models() if status(m) not in (Status.MISSING, Status.ABSENT)]
    if not here:
        typer.echo("There are no weights on this machine; see: sam2track models list")
        return
    damaged: list[str] = []
    for info in here:
        try:
            typer.echo(f"{info.name}: {_verdict(info, verify(info))}")
        except ModelError as error:
            typer.echo(f"{info.name}: damaged", err=True)
            damaged.append(str(error))
    if damaged:
        raise ModelError("; ".join(damaged))


def _verdict(info: ModelInfo, sha256: str) -> str:
    """Return the result of a check of weights that `verify` did not refuse."""
    if info.sha256 is None:
        return f"sha256 {sha256}, with nothing to compare it to"
    return f"whole (sha256 {sha256})"


def _size(info: ModelInfo) -> int | None:
    """Return the expected size of the weights in bytes, or else the real one."""
    from napari_sam2track.models.download import model_path

    path = model_path(info)
    return info.n_bytes or (path.stat().st_size if path.is_file() else None)


def _millions(n: int | None) -> str:
    """Return a number of parameters, in millions."""
    return f"{n / 1e6:.1f} M" if n else "?"


def _megabytes(n: int | None) -> str:
    """Return a number of bytes, in megabytes."""
    return f"{n / 1e6:.0f} MB" if n else "?"
