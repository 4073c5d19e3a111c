"""From a click to tracked masks: SAM2 for movies and stacks."""

from importlib.metadata import version

__version__ = version("napari-sam2track")
