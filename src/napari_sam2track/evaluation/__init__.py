"""Scores of tracks against the truth: figures of packages that we did not write, and J."""

from napari_sam2track.evaluation.scores import Score, evaluate

__all__ = ["Score", "evaluate"]
