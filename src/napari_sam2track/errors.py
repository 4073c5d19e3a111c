"""Exceptions of this package, all from one base class.

None derives from RuntimeError: superqt's generator workers swallow those, so that an error
would look like a run that hangs.

Every message names the input, what is wrong with it, and what to do about it.
"""


class Sam2TrackError(Exception):
    """Anything that this package refuses or fails to do; the command line exits with 1."""

    exit_code = 1


class UsageError(Sam2TrackError):
    """A bad option, prompt or name. Exit code 2."""

    exit_code = 2


class PromptError(UsageError):
    """A prompt that cannot be used: bad syntax, outside the movie, or meaningless alone."""


class EditError(UsageError):
    """An edit of tracks that cannot be made: no such track, nothing to change, masks that meet."""


class FramesError(Sam2TrackError):
    """An image, stack or video that cannot be read as a movie."""


class ModelError(Sam2TrackError):
    """A model that is unknown, missing, damaged or of another architecture."""


class DeviceError(Sam2TrackError):
    """A device that is not available, or ran out of memory."""


class OutputError(Sam2TrackError):
    """A result that cannot be written: it exists, the disk is full, the format is too small."""


class FormatError(Sam2TrackError):
    """A file of results (labels, tracks, session, prompts) that cannot be read."""
