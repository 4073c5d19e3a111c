"""Frame mode or window mode."""

from __future__ import annotations

from typing import Literal

from napari_sam2track.prompts import PromptSet

#: Objects that come out smaller than this in the model's square are followed in windows.
SMALL = 48.0
#: Models trained on squares smaller than this only know windows.
WHOLE_FRAME_SIZE = 512


def choose_mode(
    asked: str, image_size: int, prompts: PromptSet, height: int, width: int
) -> tuple[Literal["frame", "window"], str]:
    """What the network is shown, and why.

    Parameters
    ----------
    asked
        ``frame``, ``window`` or ``auto``.
    image_size
        Side of the model's square.
    prompts
        Masks and boxes say how large the objects are.
    height, width
        Size of the frame.
    """
    if asked == "frame":
        return "frame", "as asked"
    if asked == "window":
        return "window", "as asked"
    if image_size < WHOLE_FRAME_SIZE:
        return "window", f"the model was made for windows of {image_size} px"
    sizes = []
    for key in prompts:
        prompt = prompts[key]
        if prompt.mask is not None:
            sizes.append(max(prompt.mask.crop.shape))
        elif prompt.box is not None:
            y0, x0, y1, x1 = prompt.box
            sizes.append(max(y1 - y0, x1 - x0))
    if not sizes:
        return "frame", "the size of the objects is not known before they are seen"
    shown = sorted(sizes)[len(sizes) // 2] * image_size / max(height, width)
    if shown < SMALL:
        return "window", f"in the whole frame an object would be {shown:.0f} px for the model"
    return "frame", f"an object is {shown:.0f} px for the model in the whole frame"
