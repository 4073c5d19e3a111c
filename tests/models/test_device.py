import pytest
import torch

from napari_sam2track.errors import DeviceError, UsageError
from napari_sam2track.models.device import choose_device, set_threads


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture
def one_gpu(monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda n: "Fast GPU")


def test_auto_without_a_gpu_says_why(no_gpu):
    choice = choose_device("auto")
    assert choice.device == "cpu"
    assert "no GPU: torch" in choice.reason


def test_auto_takes_the_gpu(one_gpu):
    assert choose_device().device == "cuda"
    assert "Fast GPU" in choose_device().reason


def test_auto_takes_the_gpu_of_a_mac(no_gpu, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_built", lambda: True)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto").device == "mps"
    assert choose_device("mps").reason == "asked for"
    with pytest.raises(DeviceError, match="there is mps and cpu, and auto takes the best"):
        choose_device("cuda")


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused(no_gpu, name):
    with pytest.raises(DeviceError, match=f"device '{name}' cannot be used: .*; there is cpu"):
        choose_device(name)


def test_torch_without_cuda_is_named(no_gpu, monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(torch.version, "hip", None)
    with pytest.raises(DeviceError, match=r"torch \S+ was built without CUDA"):
        choose_device("cuda")


def test_numbered_gpus(one_gpu):
    assert choose_device("cuda:0").device == "cuda:0"
    with pytest.raises(DeviceError, match="'cuda:1' cannot be used: there are 1 CUDA GPUs"):
        choose_device("cuda:1")


@pytest.mark.parametrize("name", ["tpu", "", "cpu:1", "cuda:x"])
def test_other_names(name):
    with pytest.raises(UsageError, match=f"no device '{name}'; choose one of auto, cuda"):
        choose_device(name)


def test_threads():
    before = torch.get_num_threads()
    try:
        set_threads(1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
    with pytest.raises(UsageError, match="0 threads cannot compute anything"):
        set_threads(0)


def test_freed_memory_is_kept_where_there_is_glibc():
    """In a process of its own: blocks that are asked for again are no new pages.

    Nothing is said of how it is without: glibc adapts by itself, now and then.
    """
    import platform
    import subprocess
    import sys

    if platform.libc_ver()[0] != "glibc":
        pytest.skip("only glibc has mallopt")
    # Huge pages make few faults of many, a different number on every machine: without them here.
    code = """
import ctypes, resource, torch
from napari_sam2track.models.device import keep_freed_memory
PR_SET_THP_DISABLE = 41
assert ctypes.CDLL(None).prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0
assert keep_freed_memory()
def some(): return [torch.ones(1 << 20) for _ in range(12)]
def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(8): some()
before = faults()
for _ in range(10): some()
print(faults() - before)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    pages_of_all_blocks = 10 * 12 * (4 << 20) // 4096
    assert int(run.stdout) < pages_of_all_blocks / 20
