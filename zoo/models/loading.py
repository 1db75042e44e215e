"""Loading a trained model from a study, MLflow, or a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from zoo.errors import ModelError
from zoo.training import backend
from zoo.training.saved import load_file

if TYPE_CHECKING:
    import keras


def load_model(model: str | Path) -> keras.Model:
    """Return a trained model: raw pixels 0–255 in, class probabilities `(batch, classes)` out.

    Plugins in which its layers are defined are imported first. A warning names each plugin whose installed
    version is not the one that the model was trained with.

    Args:
        model: a study, for its best trial; an address in MLflow, `models:/m-…` or `runs:/…/model`; or the
            path, with a `/`, of a file `model.keras` or a folder that contains one.

    Raises:
        ModelError: the file does not exist, or a plugin that it needs is not installed.
        TrackingError: MLflow does not answer, or has no such study or model, or lacks the model of the
            study's best trial.
    """
    backend.disable_import_logs()
    with _model_file(model) as (path, name):
        return load_file(path, name)  # its warning has a stack level that counts from here


@contextmanager
def _model_file(model: str | Path) -> Iterator[tuple[Path, str]]:
    """Yield the file of a model, and its name in messages."""
    text = str(model)
    is_address = ":/" in text
    if not is_address and (isinstance(model, Path) or "/" in text or text.endswith(".keras")):
        path = _file_in(Path(model))
        yield path, str(path)
        return
    from zoo.tracking import best_model_address, connect, fetch_model_file

    store = connect(create=False)
    address = text if is_address else best_model_address(store, text)
    if ":/" not in address:  # MLflow does not have the best trial yet
        yield Path(address), address
        return
    with TemporaryDirectory(prefix="zoo-model-") as folder:
        yield fetch_model_file(store, address, Path(folder)), address


def _file_in(path: Path) -> Path:
    """Return `path` if it is a file, or the model in a trial's folder or in an MLflow model's folder."""
    candidates = [path] if path.is_file() else [path / "model.keras", path / "data" / "model.keras"]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise ModelError(f"There is no model {path}. Expected a file, a folder, or the name of a study.")
