"""Results of a recorded trial: its epochs, and its predictions."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import DataError
from zoo.events import EpochEnd, Event

if TYPE_CHECKING:
    import numpy.typing as npt


def epochs_of(events: Sequence[Event]) -> list[EpochEnd]:
    """Return the epochs among `events` in order; if an epoch was logged twice, return the later event."""
    epochs = {(event.fold, event.epoch): event for event in events if isinstance(event, EpochEnd)}
    return list(epochs.values())


def read_predictions(path: Path) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return labels `(n,)` and probabilities `(n, classes)` of a trial; raise DataError if there are none."""
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as arrays:
            return arrays["labels"], arrays["probabilities"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"cannot read the predictions in {path}: {error}. Expected the file that zoo wrote."
        ) from error
