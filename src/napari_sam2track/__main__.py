"""``python -m napari_sam2track``: the command line where scripts are not on the PATH."""

from napari_sam2track.cli import main

if __name__ == "__main__":
    main()
