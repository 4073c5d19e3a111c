import pytest
import tifffile
from typer.testing import CliRunner

from napari_sam2track.cli import app
from napari_sam2track.samples import moving_cells


@pytest.fixture(scope="session")
def sample():
    return moving_cells(6, 120, 150, 3, seed=2)


@pytest.fixture
def movie_path(sample, tmp_path):
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, sample.images_tyx, photometric="minisblack", metadata={"axes": "TYX"})
    return path


@pytest.fixture
def labels_path(sample, tmp_path):
    path = tmp_path / "first.tif"
    tifffile.imwrite(path, sample.labels_tyx[0])
    return path


@pytest.fixture
def sam2track():
    """Run the command line in this process."""

    def run(*args):
        return CliRunner().invoke(app, [str(a) for a in args])

    return run
