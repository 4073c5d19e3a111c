"""Ids of objects, tracks and labels: whole numbers from 1 to `MAX_ID`, which 32 bits hold.

What comes from a file, a layer or a person is checked here before numpy makes it 32 bits: numpy
cuts off fractions and wraps what is too large, without a word.
"""

from __future__ import annotations

import operator
import re
import reprlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2track.errors import FormatError

#: The largest id; 0 is the background.
MAX_ID = 2**32 - 1


def checked_id(value: Any, what: str, error: type[Exception] = FormatError, least: int = 1) -> int:
    """An id as a number of Python.

    Parameters
    ----------
    value
        A number of Python or numpy, or its digits as text.
    what
        What to call it: "a.csv, line 3: track_id".
    error
        What to raise.
    least
        0 where the background, or no id at all, may stand.

    Raises
    ------
    FormatError
        Or `error`, if it is no whole number, as True and "1_0" are none, or out of range.
    """
    number = _whole(value)
    if number is None or not least <= number <= MAX_ID:
        said = f"{value:.12g}" if isinstance(value, float) else reprlib.repr(value)
        raise error(
            f"{what} is {said}; ids are whole numbers from {least} to {MAX_ID}"
            + (" (0 is background)" if least else "")
        )
    return number


def checked_ids(
    values: NDArray[Any], what: str, error: type[Exception] = FormatError, least: int = 1
) -> NDArray[np.uint32]:
    """An array of ids, as 32 bits; refused as by `checked_id` for the first value that is none."""
    if values.dtype.kind in "iuf":
        # float32 cannot tell 2**32 from the largest id
        wide = values.astype(np.float64) if values.dtype.kind == "f" else values
        good = (wide >= least) & (wide <= MAX_ID)
        if wide.dtype.kind == "f":
            good &= wide == np.floor(wide)
        if not good.all():
            checked_id(wide[~good][0].item(), what, error, least)
        return values.astype(np.uint32)
    each = [checked_id(value, what, error, least) for value in values.ravel().tolist()]
    return np.array(each, np.uint32).reshape(values.shape)


def id_in_model(value: Any) -> int:
    """An id in a model of pydantic, which makes an error of its own of a ValueError."""
    return checked_id(value, "the id", ValueError)


def _whole(value: Any) -> int | None:
    """A value as a whole number; None if it is none."""
    if isinstance(value, bool | np.bool_):
        return None
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"\s*[0-9]{1,20}\s*", value) else None
    if isinstance(value, float | np.floating):
        return int(value) if value.is_integer() else None
    try:
        return operator.index(value)
    except TypeError:
        return None
