"""Choice of the processor to compute on, with the reason if it is not a better one."""

from __future__ import annotations

from dataclasses import dataclass

from napari_sam2track.errors import DeviceError, UsageError

CHOICES = ("auto", "cuda", "mps", "cpu")


@dataclass(frozen=True)
class DeviceChoice:
    """A device and the reason for it.

    Attributes
    ----------
    device
        As torch takes it: ``cuda``, ``cuda:1``, ``mps`` or ``cpu``.
    reason
        One clause for people, as in "asked for", or why there is nothing better.
    """

    device: str
    reason: str


def choose_device(name: str = "auto") -> DeviceChoice:
    """Choose the device to compute on.

    Parameters
    ----------
    name
        ``auto`` takes the first available of cuda, mps and cpu and never fails. Others, also
        with a number as in ``cuda:1``, are taken as given.

    Returns
    -------
    DeviceChoice
        The device, and the reason.

    Raises
    ------
    UsageError
        If the name is none of these.
    DeviceError
        If a device is not available: a run that takes hours instead of minutes
        should not begin without notice.
    """
    kind, _, number = name.strip().lower().partition(":")
    if kind not in CHOICES or (number and (kind != "cuda" or not number.isdecimal())):
        raise UsageError(f"there is no device {name!r}; choose one of {', '.join(CHOICES)}")
    if kind == "cpu":
        return DeviceChoice("cpu", "asked for")
    no_cuda, no_mps = _why_no_cuda(int(number or 0)), _why_no_mps()
    if kind == "auto":
        if no_cuda is None:
            return DeviceChoice("cuda", f"the first GPU, {_gpu_name()}")
        if no_mps is None:
            return DeviceChoice("mps", "the GPU of this Mac")
        return DeviceChoice("cpu", f"no GPU: {no_cuda}")
    why_not = no_cuda if kind == "cuda" else no_mps
    if why_not is not None:
        there = [n for n, why in (("cuda", no_cuda), ("mps", no_mps)) if why is None and not number]
        raise DeviceError(
            f"the device {name!r} cannot be used: {why_not}; there is "
            f"{' and '.join([*there, 'cpu'])}, and auto takes the best"
        )
    return DeviceChoice(f"{kind}:{number}" if number else kind, "asked for")


def set_threads(n: int) -> None:
    """Let torch use `n` processor cores for one operation.

    Two threads on a busy machine can be many times slower than one, so this is a choice.

    Raises
    ------
    UsageError
        If `n` is less than 1.
    """
    if n < 1:
        raise UsageError(f"{n} threads cannot compute anything; give 1 or more")
    import torch

    torch.set_num_threads(n)


def keep_freed_memory() -> bool:
    """Let glibc keep freed memory for the next allocation, instead of releasing it at once.

    Networks ask for the same large blocks again on every frame, and new pages are slow: on a CPU
    this saves a sixth of the time (figures/speed.md). It holds for the whole process, so it is for
    programs of ours, not for a plugin in somebody else's.

    Returns
    -------
    bool
        Whether it took effect; not where there is no glibc.
    """
    import ctypes
    import platform

    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    trim_threshold, mmap_threshold = -1, -3  # malloc.h
    return bool(mallopt(mmap_threshold, 32 << 20) and mallopt(trim_threshold, 128 << 20))


def _why_no_cuda(number: int) -> str | None:
    """Return why there is no CUDA device of that number; None if there is."""
    import torch

    if torch.version.cuda is None and torch.version.hip is None:
        return f"torch {torch.__version__} was built without CUDA"
    if not torch.cuda.is_available():
        return f"torch {torch.__version__} finds no CUDA GPU or no driver for it"
    if number >= torch.cuda.device_count():
        return f"there are {torch.cuda.device_count()} CUDA GPUs, counted from 0"
    return None


def _why_no_mps() -> str | None:
    """Return why there is no Apple GPU; None if there is."""
    import torch

    if not torch.backends.mps.is_built():
        return f"torch {torch.__version__} was built without MPS, which is for Macs"
    if not torch.backends.mps.is_available():
        return "MPS needs macOS 12.3 or later and an Apple or AMD GPU"
    return None


def _gpu_name() -> str:
    """Return the name of the first CUDA GPU."""
    import torch

    return torch.cuda.get_device_name(0)
