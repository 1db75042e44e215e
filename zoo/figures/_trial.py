"""The figures of one trial, from the files in its directory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.figures._confusion import confusion_matrix
from zoo.figures._curves import Curve, learning_curves
from zoo.figures._predictions import mistakes, predictions
from zoo.record import Run, TrialDirectory, epochs_of, read_predictions
from zoo.trial import format_value


def draw_trial(folder: Path, images: Any, class_names: Sequence[str], *, title: str) -> list[Path]:
    """Draw every figure for which the trial directory `folder` has data, and return the paths.

    `learning_curves.png` needs an event log with at least one epoch. `confusion_matrix.png`, `mistakes.png`
    and `predictions.png` need `predictions.npz`, which only a complete trial has.

    `images` are those of the validation split, in the order of the predictions; with cross-validation, all
    training images.
    """
    directory = TrialDirectory(folder)
    figures_dir = directory.figures_dir
    curves = draw_curves(folder, figures_dir / "learning_curves.png", title=title)
    paths = [] if curves is None else [curves]
    if directory.predictions_path.exists():
        labels, probabilities = read_predictions(directory.predictions_path)
        if len(images) != len(labels):
            raise ValueError(f"expected as many images as predictions, got {len(images)} and {len(labels)}.")
        predicted, shown = probabilities.argmax(axis=1), (images, labels, probabilities, class_names)
        paths += [
            confusion_matrix(
                labels, predicted, class_names, figures_dir / "confusion_matrix.png", title=title
            ),
            mistakes(*shown, figures_dir / "mistakes.png", title=title),
            predictions(*shown, figures_dir / "predictions.png", title=title),
        ]
    return paths


def curve_of(run: Run) -> Curve:
    """Return the learning curve of a trial, named by the trial and its result: `trial 6: 0.9757`."""
    objective = run.config.objective
    best, epoch = run.summary.get(f"best_{objective}"), run.summary.get("best_epoch")
    name = run.name if run.is_complete else f"{run.name} ({run.shown_state})"
    if best is not None:
        name += f": {format_value(objective, best)}"
    is_mean = any(event.fold for event in run.epochs)  # each fold has its own best epoch
    return Curve(name, run.epochs, None if epoch is None or is_mean else int(epoch))


def draw_curves(folder: Path, path: Path, *, title: str) -> Path | None:
    """Draw the learning curves of the trial in `folder` to `path`; return None if it has no epoch."""
    directory = TrialDirectory(folder)
    epochs, finished = epochs_of(directory.events()), directory.final_event()
    if not epochs:
        return None
    summary = finished.summary if finished else {}
    names = ("best_epoch", "best_fold")
    epoch, fold = (int(summary[name]) if name in summary else None for name in names)
    return learning_curves(epochs, path, best_epoch=epoch, best_fold=fold, title=title)
