from typing import Annotated, Literal

import pytest
import typer
from pydantic import Field
from typer.testing import CliRunner

from napari_sam2track.cli._options import with_params
from napari_sam2track.cli._run import guarded
from napari_sam2track.params import LinkParams, Params


class OneParams(Params):
    side: int = Field(default=3, ge=1, le=9, description="How long it is.")
    mode: Literal["fast", "exact"] = Field(default="fast", description="How.")
    ratio: float | None = Field(default=None, gt=0, description="If any.")
    channels: tuple[int, ...] = Field(default=(), description="Which.")
    holes: bool = Field(default=False, description="Fill them.")


class TwoParams(Params):
    depth: int = 4


def run(*args: str):
    app = typer.Typer()
    seen = {}

    @with_params(one=OneParams, two=TwoParams)
    def command(
        name: Annotated[str, typer.Option("--name")], one: OneParams, two: TwoParams
    ) -> None:
        """Do it."""
        seen.update(name=name, one=one, two=two)

    app.command()(guarded(command))
    return CliRunner().invoke(app, ["--name", "x", *args]), seen


def test_defaults_are_the_models():
    result, seen = run()
    assert result.exit_code == 0, result.output
    assert seen == {"name": "x", "one": OneParams(), "two": TwoParams()}


def test_every_kind_of_option():
    args = "--side 5 --mode exact --ratio 0.5 --channels 2 --channels 0 --holes --depth 1"
    result, seen = run(*args.split())
    assert result.exit_code == 0, result.output
    assert seen["one"] == OneParams(side=5, mode="exact", ratio=0.5, channels=(2, 0), holes=True)
    assert seen["two"] == TwoParams(depth=1)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (
            ["--side", "10"],
            ["Error: --side 10 cannot be used: it should be less than or equal to 9."],
        ),
        (["--mode", "slow"], ["--mode", "slow", "exact"]),
        (["--depth", "x"], ["--depth", "integer"]),
        (["--ratio", "0"], ["Error: --ratio 0.0 cannot be used: it should be greater than 0."]),
        (["--nonsense"], ["--nonsense"]),
    ],
)
def test_values_that_are_refused_name_the_option(args, words):
    result, seen = run(*args)
    assert result.exit_code == 2
    assert not seen
    for word in words:
        assert word in result.output


def test_help_has_description_bounds_and_default():
    text = " ".join(run("--help")[0].output.replace("│", " ").split())
    for words in (
        "How long it is.",
        "(at least 1, at most 9)",
        "default: 3",
        "(above 0)",
        "One options",
    ):
        assert words in text


def test_two_options_of_one_name():
    with pytest.raises(TypeError, match="two options called 'min_iou'"):

        @with_params(a=LinkParams, b=LinkParams)
        def command(a: LinkParams, b: LinkParams) -> None:
            pass


def test_types_that_cannot_be_options():
    class Bad(Params):
        table: dict[str, int] = Field(default_factory=dict)

    with pytest.raises(TypeError, match=r"the parameter 'table' of type .* cannot be an option"):

        @with_params(bad=Bad)
        def command(bad: Bad) -> None:
            pass
