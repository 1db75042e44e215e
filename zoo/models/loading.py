"""Loading a trained model by any of its names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.models.finding import find_model
from zoo.registry import using_plugins
from zoo.training.saved import load_file

if TYPE_CHECKING:
    import keras


def load_model(model: str | Path, *, plugins: Sequence[Any] = ()) -> keras.Model:
    """Return a trained model: it takes raw pixels 0–255 and returns class probabilities.

    The plugins that define its layers are imported first. A warning names each plugin whose installed version
    differs from that of the training.

    Args:
        model: a study, for its best trial; a registered model, `NAME`, `NAME@ALIAS` or `NAME/VERSION`; an
            address in MLflow, `models:/m-…` or `runs:/…`; the folder of a run, of a trial or of a model in
            MLflow; or a `.keras` file.
        plugins: plugin files that define layers of the model: paths, or imported modules of one file.

    Raises:
        ModelError: there is no such model, its name is ambiguous, or a plugin of the model is not installed
            or not given.
        TrackingError: MLflow does not answer, has no such model, or lacks the model of the best trial.
    """
    with using_plugins(plugins):
        found = find_model(model)
        return load_file(found.path, found.name)  # the `stacklevel` of its warning depends on this call
