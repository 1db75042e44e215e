"""Loading what a study trained, wherever it is kept."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from zoo.training import backend
from zoo.training.saved import ModelError, load_file

if TYPE_CHECKING:
    import keras


def load_model(model: str | Path) -> keras.Model:
    """A trained model: raw pixels 0–255 in, class probabilities `(batch, classes)` out.

    Where its layers come from a plugin, the plugin is imported first; a warning tells of one that is
    installed in another version than the model was trained with.

    Args:
        model: a study, for its best trial; an address that MLflow knows, `models:/m-…` or
            `runs:/…/model`; or a file `model.keras`, or a folder that has one, as a path with a `/`.

    Raises:
        ModelError: there is no such file, or a plugin that it needs is not installed.
        TrackingError: MLflow cannot be reached, has no such study or model, or not that of the study's
            best trial.
    """
    backend.quiet()
    text = str(model)
    if ":/" in text:
        return _load_recorded(text)
    if isinstance(model, Path) or "/" in text or text.endswith(".keras"):
        return load_file(_file_in(Path(model)))
    return _load_recorded("", study=text)


def _load_recorded(address: str, study: str = "") -> keras.Model:
    from zoo.tracking import champion_address, connect, fetch_model_file

    store = connect(create=False)
    with TemporaryDirectory(prefix="zoo-model-") as folder:
        address = address or champion_address(study, store)
        return load_file(fetch_model_file(store, address, Path(folder)), told=address)


def _file_in(path: Path) -> Path:
    """The file itself, or the one in a trial's folder or an MLflow model."""
    candidates = [path] if path.is_file() else [path / "model.keras", path / "data" / "model.keras"]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise ModelError(f"There is no model {path}; a study is named without a slash, as zoo list shows it")
