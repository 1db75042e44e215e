"""The figures of one trial, from the files in its directory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.figures._confusion import confusion_matrix
from zoo.figures._curves import learning_curves
from zoo.figures._predictions import mistakes, predictions
from zoo.record import TrialDirectory, epochs_of, read_predictions


def draw_trial(
    folder: str | os.PathLike[str], images: Any, class_names: Sequence[str], *, title: str
) -> list[Path]:
    """Draw every figure for which the trial directory `folder` has data, and return the paths.

    `learning_curves.png` needs an event log with at least one epoch. `confusion_matrix.png`, `mistakes.png`
    and `predictions.png` need `predictions.npz`, which only a complete trial has.

    `images` are those of the validation split, in the order of the predictions; with cross-validation, all
    training images.
    """
    directory = TrialDirectory(Path(folder))
    figures_dir = directory.figures_dir
    curves = draw_curves(folder, figures_dir / "learning_curves.png", title=title)
    paths = [] if curves is None else [curves]
    if directory.predictions_path.exists():
        labels, probabilities = read_predictions(directory.predictions_path)
        if len(images) != len(labels):
            raise ValueError(f"expected as many images as predictions, got {len(images)} and {len(labels)}.")
        path = figures_dir / "confusion_matrix.png"
        paths.append(confusion_matrix(labels, probabilities.argmax(axis=1), class_names, path, title=title))
        path = figures_dir / "mistakes.png"
        paths.append(mistakes(images, labels, probabilities, class_names, path, title=title))
        path = figures_dir / "predictions.png"
        paths.append(predictions(images, labels, probabilities, class_names, path, title=title))
    return paths


def draw_curves(folder: str | os.PathLike[str], path: str | os.PathLike[str], *, title: str) -> Path | None:
    """Draw the learning curves of the trial in `folder` to `path`; return None if it has no epoch."""
    directory = TrialDirectory(Path(folder))
    epochs, finished = epochs_of(directory.events()), directory.final_event()
    if not epochs:
        return None
    best = {
        name: int(value)
        for name, value in (finished.summary if finished else {}).items()
        if name in ("best_epoch", "best_fold")
    }
    return learning_curves(
        epochs, path, best_epoch=best.get("best_epoch"), best_fold=best.get("best_fold"), title=title
    )
