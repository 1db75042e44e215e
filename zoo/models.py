"""Loading what a study trained, wherever it is kept."""

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
    with _found(model) as (file, told):
        return load_file(file, told)  # from here, or a warning names another line than the caller's


@contextmanager
def _found(model: str | Path) -> Iterator[tuple[Path, str]]:
    """The file of a model, and what errors call it."""
    text = str(model)
    recorded = ":/" in text
    if not recorded and (isinstance(model, Path) or "/" in text or text.endswith(".keras")):
        file = _file_in(Path(model))
        yield file, str(file)
        return
    from zoo.tracking import champion_address, connect, fetch_model_file

    store = connect(create=False)
    address = text if recorded else champion_address(text, store)
    with TemporaryDirectory(prefix="zoo-model-") as folder:
        yield fetch_model_file(store, address, Path(folder)), address


def _file_in(path: Path) -> Path:
    """The file itself, or the one in a trial's folder or an MLflow model."""
    candidates = [path] if path.is_file() else [path / "model.keras", path / "data" / "model.keras"]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise ModelError(f"There is no model {path}; a study is named without a slash, as zoo list shows it")
