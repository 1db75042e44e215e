"""All pictures of one trial, from what it left in its folder."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.errors import DataError
from zoo.figures._confusion import confusion_matrix
from zoo.figures._curves import learning_curves
from zoo.figures._fold_curves import fold_curves
from zoo.figures._mistakes import mistakes
from zoo.figures._predictions import predictions


def draw_trial(
    folder: str | os.PathLike[str], images: Any, class_names: Sequence[str], *, title: str
) -> list[Path]:
    """Draw what a trial's folder holds the record of, into `figures/` in that folder.

    `events.jsonl` with at least one epoch gives `learning_curves.png`; `predictions.npz`, which only a
    complete trial leaves, gives `confusion_matrix.png`, `mistakes.png` and `predictions.png`.

    Args:
        folder: the trial's.
        images: the validation split's, `uint8`, shape `(n, height, width, channels)`, in the order of
            the predictions; only the few that are drawn are read. With folds, all training images.

    Returns:
        The files written, in the order above.

    Raises:
        DataError: `events.jsonl` or `predictions.npz` cannot be read.
        ValueError: the predictions do not fit `images` or `class_names`.
    """
    folder = Path(folder)
    figures = folder / "figures"
    curves = draw_curves(folder, figures / "learning_curves.png", title=title)
    written = [] if curves is None else [curves]
    if (folder / "predictions.npz").exists():
        labels, probabilities = read_predictions(folder / "predictions.npz")
        predicted = probabilities.argmax(axis=1)
        path = figures / "confusion_matrix.png"
        written.append(confusion_matrix(labels, predicted, class_names, path, title=title))
        path = figures / "mistakes.png"
        written.append(mistakes(images, labels, probabilities, class_names, path, title=title))
        path = figures / "predictions.png"
        written.append(predictions(images, labels, probabilities, class_names, path, title=title))
    return written


def draw_curves(folder: str | os.PathLike[str], path: str | os.PathLike[str], *, title: str) -> Path | None:
    """Draw the learning curves of the trial in `folder` to `path`; None where it has no epoch.

    Raises:
        DataError: `events.jsonl` cannot be read.
    """
    epochs, summary = _read_events(Path(folder) / "events.jsonl")
    if not epochs:
        return None
    if "fold" in epochs[0]:
        best = (summary["best_fold"], summary["best_epoch"]) if "best_fold" in summary else None
        return fold_curves(epochs, path, best=best, title=title)
    return learning_curves(epochs, path, best_epoch=summary.get("best_epoch"), title=title)


def _read_events(path: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The epoch events, one for each epoch of each fold, and the summary if the trial came to have one."""
    epochs: dict[tuple[int, int], dict[str, Any]] = {}
    summary: dict[str, Any] = {}
    try:
        lines = path.read_bytes().strip().split(b"\n")
    except FileNotFoundError:
        return [], {}
    except OSError as error:
        raise DataError(f"Cannot read the trial's events in {path}: {error}") from error
    for number, line in enumerate(lines, start=1):
        try:
            event = json.loads(line)
        except ValueError as error:
            if number == len(lines):  # empty, or its writer was killed while it wrote this line
                break
            raise DataError(f"{path}, line {number} is not JSON: {error}") from error
        if event["event"] == "epoch":
            place = event.get("fold", 1), event["epoch"]
            epochs[place] = event  # told twice after a resume: the later one counts
        elif event["event"] == "finished":
            summary = event.get("summary") or {}
    return list(epochs.values()), summary


def read_predictions(path: Path) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Labels `(n,)` and probabilities `(n, classes)`, as a complete trial left them in `predictions.npz`.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return arrays["labels"], arrays["probabilities"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"Cannot read the trial's predictions in {path}: {error}") from error
