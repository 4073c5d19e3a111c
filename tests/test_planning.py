"""From which frame objects go on together."""

from napari_sam2track.planning import _common


def test_the_last_memory_that_all_have():
    assert _common([{0, 16, 32}, {0, 16}], [0, 0], 1) == 16
    assert _common([{0, 16, 32}], [0], 1) == 32
    assert _common([{0, 16}, set()], [0, 0], 1) is None


def test_who_begins_later_needs_none():
    """What was not followed yet on that frame begins anew, as it did before."""
    assert _common([{0, 16, 32}, {20, 32}, set()], [0, 20, 25], 1) == 16
    assert _common([{0, 16}, {0}], [0, 0], 1) == 0


def test_backward():
    assert _common([{40, 32, 16}, {40, 32}], [40, 40], -1) == 32
    assert _common([{40, 32}, set()], [40, 20], -1) == 32
