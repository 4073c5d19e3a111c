from .api import follow as follow
from .api import link as link
from .api import open_movie as open_movie
from .api import open_run as open_run
from .api import open_tracks as open_tracks
from .api import segment as segment
from .errors import Sam2TrackError as Sam2TrackError
from .formats.editable_tracks import Tracks as Tracks
from .params import EngineParams as EngineParams
from .params import LinkParams as LinkParams
from .prompts import Point as Point
from .prompts import Prompt as Prompt
from .prompts import PromptSet as PromptSet
from .session.run import Run as Run
from .tracks.editing.edits import Delete as Delete
from .tracks.editing.edits import Divide as Divide
from .tracks.editing.edits import Merge as Merge
from .tracks.editing.edits import Relabel as Relabel
from .tracks.editing.edits import SetParent as SetParent
from .tracks.editing.edits import Split as Split
from .tracks.editing.edits import Swap as Swap
from .tracks.editing.edits import UnsetParent as UnsetParent
from .tracks.editing.history import History as History

__version__: str
