import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2track.storage.seals import BrokenSealError, sealed, unsealed


@given(st.binary(max_size=200), st.data())
def test_what_is_changed_is_seen(content, data):
    whole = sealed(content)
    assert unsealed(whole) == content
    at = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.integers(1, 255))
    changed = whole[:at] + bytes([whole[at] ^ other]) + whole[at + 1 :]
    cut, longer = whole[:at], whole + b"\0"
    for broken in (changed, cut, longer):
        with pytest.raises(BrokenSealError):
            unsealed(broken)
