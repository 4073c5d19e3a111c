"""From a click to tracked masks: SAM2 for movies and stacks.

The names of the Python API are in ``__init__.pyi``, and loaded on first use.
"""

from typing import Any

import lazy_loader

_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name == "__version__":  # when it is asked for: a tenth of the time that --help takes
        from importlib.metadata import version

        return version("napari-sam2track")
    return _load(name)
