"""Makes the bundled model: synthetic movies with known truth, losses, the training loop.

``python -m napari_sam2track.training --help`` explains how to repeat it.
"""
