"""Frame mode or window mode."""

from __future__ import annotations

from typing import Literal

from napari_sam2track.errors import UsageError
from napari_sam2track.prompts import PromptSet

#: Objects that are smaller than this in the model's square are followed in windows.
SMALL = 48.0
#: Models trained on squares smaller than this only know windows.
WHOLE_FRAME_SIZE = 512
#: Windows of models that were made for whole frames: an object fills a third of the side, which
#: leaves 85 pixels of it at 256. The cost of an object grows faster than the square's area.
#: Chosen by cost; the loss of quality has not been measured.
CPU_WINDOW, GPU_WINDOW = 256, 512


def choose_mode(
    asked: str, image_size: int, prompts: PromptSet, height: int, width: int
) -> tuple[Literal["frame", "window"], str]:
    """Choose frame or window mode; return it with the reason.

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


def choose_window_size(asked: int | None, model_size: int, device: str) -> tuple[int, str]:
    """Choose the side of the square that windows are shown in, in pixels, with the reason.

    Parameters
    ----------
    asked
        Size given by a person; None decides.
    model_size
        Side of the square that the model was made for.
    device
        As torch names it.

    Raises
    ------
    UsageError
        If the network cannot be run at that size.
    """
    if asked is not None:
        if asked < 64 or asked % 32:
            raise UsageError(
                f"windows of {asked} px do not fit SAM2, whose grids halve the side five times; "
                "give a multiple of 32 from 64, such as 256"
            )
        return asked, "as asked"
    if model_size < WHOLE_FRAME_SIZE:
        return model_size, "what the model was made for"
    size = CPU_WINDOW if device.partition(":")[0] == "cpu" else GPU_WINDOW
    if model_size <= size:
        return model_size, "what the model was made for"
    where = "a CPU" if size == CPU_WINDOW else "a GPU"
    return (
        size,
        f"the model was made for {model_size} px, which for every object is slow on {where}",
    )
