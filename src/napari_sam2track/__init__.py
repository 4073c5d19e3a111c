"""From a click to tracked masks: SAM2 for movies and stacks."""


def __getattr__(name: str) -> str:
    if name == "__version__":  # when it is asked for: a tenth of the time that --help takes
        from importlib.metadata import version

        return version("napari-sam2track")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
