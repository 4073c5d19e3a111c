import numpy as np
import pytest

from napari_sam2track.errors import OutputError
from napari_sam2track.formats.video_writer import video_writer
from napari_sam2track.frames import open_frames


def write_video(path, frames, **options):
    with video_writer(path, **options) as add:
        for frame in frames:
            add(frame)


def frames(n=6, height=48, width=64):
    yy, xx = np.mgrid[:height, :width]
    for t in range(n):
        image = np.zeros((height, width, 3), np.uint8)
        image[..., 0] = 4 * yy
        image[..., 1] = 3 * xx
        image[10 + t : 20 + t, 10:30] = 255
        yield image


def test_what_is_written_is_what_is_read(tmp_path):
    path = tmp_path / "a.mp4"
    write_video(path, frames(), fps=12.5)
    with open_frames(path) as movie:
        assert (movie.n_frames, movie.height, movie.width) == (6, 48, 64)
        for t, image in enumerate(frames()):
            # H.264 loses colour detail; the picture must still be that frame's
            assert np.abs(movie.read(t).astype(int) - image).mean() < 12


def test_odd_sizes_are_padded(tmp_path):
    path = tmp_path / "a.mp4"
    write_video(path, frames(2, 47, 63))
    with open_frames(path) as movie:
        assert (movie.height, movie.width) == (48, 64)


@pytest.mark.parametrize(
    ("height", "width", "shown"), [(20, 30_000, (6, 8192)), (9000, 500, (8192, 456))]
)
def test_frames_that_no_player_shows_are_made_smaller(tmp_path, height, width, shown):
    path = tmp_path / "a.mp4"
    write_video(path, (np.full((height, width, 3), 90, np.uint8) for _ in range(2)))
    with open_frames(path) as movie:
        assert (movie.height, movie.width) == shown
        assert abs(int(movie.read(1)[2, 100, 0]) - 90) < 4


def test_refusals(tmp_path):
    path = tmp_path / "a.mp4"
    with pytest.raises(OutputError, match="there are no frames for a video"):
        write_video(path, iter(()))
    assert not list(tmp_path.iterdir())
    write_video(path, frames(1))
    with pytest.raises(OutputError, match="exists already"):
        write_video(path, frames(1))
    write_video(path, frames(2), overwrite=True)
