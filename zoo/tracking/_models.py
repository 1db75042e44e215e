"""Trained models in MLflow: publishing a trial's model, and fetching the file of a model."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.tracking._model_folder import ModelFacts, build_model_folder
from zoo.tracking._store import Store, TrackingError, quoted, reason

if TYPE_CHECKING:
    from mlflow.entities import Metric


def publish_model(
    store: Store,
    run: Any,
    file: Path,
    facts: ModelFacts,
    *,
    name: str,
    step: int,
    metrics: Sequence[Metric],
    tags: Mapping[str, str],
) -> None:
    """Make `file` the logged model of a run, with the run's parameters and `metrics`.

    If a killed process has started this, it is completed; a model that is READY is not uploaded again.

    Args:
        run: as MLflow has it now.
        step: the epoch of the weights.
        metrics: with the time and the step at which the run has them.

    Raises:
        TrackingError: `file` is not a model that Keras saved.
    """
    from mlflow.entities import LoggedModelOutput, Metric

    client = store.client
    model = _earlier_model(store, run) or client.create_logged_model(
        run.info.experiment_id,
        name=name,
        source_run_id=run.info.run_id,
        params=dict(run.data.params),
        tags=dict(tags),
    )
    is_ready = str(model.status) == "READY"
    if not is_ready:
        _upload(store, run, model, file, facts)
    if model.model_id not in model_ids(run):
        client.log_outputs(run.info.run_id, models=[LoggedModelOutput(model.model_id, step=step)])
    linked = [
        Metric(metric.key, metric.value, metric.timestamp, metric.step, model_id=model.model_id)
        for metric in metrics
    ]
    store.log(run.info.run_id, linked)
    if not is_ready:
        client.finalize_logged_model(model.model_id, "READY")


def _earlier_model(store: Store, run: Any) -> Any | None:
    """Return the run's model from an earlier attempt: READY if there is one, else PENDING."""
    origin = f"source_run_id = {quoted(run.info.run_id)}"
    models = store.client.search_logged_models([run.info.experiment_id], filter_string=origin)
    by_status = {str(model.status): model for model in models}
    return by_status.get("READY") or by_status.get("PENDING")


def _upload(store: Store, run: Any, model: Any, file: Path, facts: ModelFacts) -> None:
    origin = {
        "artifact_path": model.artifact_location,
        "model_uuid": model.model_id,
        "run_id": run.info.run_id,
        "model_id": model.model_id,
    }
    # Beside the file, so that the file can be linked rather than copied.
    with tempfile.TemporaryDirectory(prefix=".mlflow-model-", dir=file.parent) as folder:
        build_model_folder(Path(folder), file, facts, origin=origin)
        store.client.log_model_artifacts(model.model_id, folder)


def model_ids(run: Any) -> list[str]:
    """Return the ids of the models that a run has as outputs."""
    outputs = getattr(run, "outputs", None)
    return [output.model_id for output in outputs.model_outputs] if outputs else []


def model_uri(run: Any | None) -> str:
    """Return the address of a run's model, such as `models:/m-…`; "" if there is no run or no model."""
    models = model_ids(run) if run is not None else []
    return f"models:/{models[-1]}" if models else ""


def fetch_model(store: Store, study: str, uid: str, folder: Path) -> Path:
    """Copy the `model.keras` of a run into `folder`, and return its path.

    Args:
        uid: the run's `zoo.uid`.

    Raises:
        TrackingError: MLflow has no model of that run, or cannot send it.
    """
    run = store.find_study_run(study, uid)
    models = model_ids(run) if run is not None else []
    if not models:
        raise TrackingError(
            f"Neither the trial directory nor MLflow at {store.address} has the model; "
            f"`zoo train {study} --trial {uid.rpartition('-')[2]}` trains it again."
        )
    from mlflow.artifacts import download_artifacts

    try:
        location = store.client.get_logged_model(models[-1]).artifact_location
        file = download_artifacts(
            f"{location}/data/model.keras", dst_path=str(folder), tracking_uri=store.uri
        )
    except Exception as error:
        raise TrackingError(
            f"MLflow at {store.address} cannot send the model {models[-1]}: {reason(error)}"
        ) from error
    return Path(file)


def fetch_model_file(store: Store, address: str, folder: Path) -> Path:
    """Copy the `.keras` file of a Keras model in MLflow into `folder`, and return its path.

    Args:
        address: an address that MLflow accepts: `models:/m-…`, `models:/NAME/1`, `runs:/…/model`.

    Raises:
        TrackingError: there is no such model, or MLflow cannot send it.
    """
    from mlflow.artifacts import download_artifacts

    try:
        copy = download_artifacts(artifact_uri=address, dst_path=str(folder), tracking_uri=store.uri)
    except Exception as error:
        raise TrackingError(f"MLflow at {store.address} has no {address}: {reason(error)}") from error
    file = Path(copy) / "data" / "model.keras"
    if not file.exists():
        raise TrackingError(f"{address} is not a model that mlflow.keras or zoo logged.")
    return file
