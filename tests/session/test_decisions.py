import pytest

from napari_sam2track.errors import FormatError
from napari_sam2track.prompts import Point, Prompt, PromptSet
from napari_sam2track.session.decisions import Decisions, Division

FOUND = PromptSet({(3, 5): Prompt(points=(Point(1, 2),)), (4, 5): Prompt(box=(0, 0, 3, 3))})


def test_decisions_come_back():
    made = Decisions("window", "as asked", 128).with_found(5, FOUND)
    made = made.with_division(Division(1, 5, 0.9, (3, 4)), PromptSet())
    made = made.with_division(Division(2, 7, 0.5), PromptSet())
    assert Decisions.from_dict(made.to_dict()) == made
    assert made.parents == {3: 1, 4: 1}
    assert made.ends == {1: 4}  # the suggestion ends nothing
    assert made.looked == {5}


@pytest.mark.parametrize("spoil", [{"mode"}, {"divisions"}, {"size"}])
def test_what_is_damaged_is_said(spoil):
    content = {k: v for k, v in Decisions("frame", "x", 64).to_dict().items() if k not in spoil}
    with pytest.raises(FormatError, match="decisions of the run are damaged"):
        Decisions.from_dict(content)
