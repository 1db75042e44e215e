"""Models in MLflow: addresses of the models of runs, and fetching the file of a model."""

from __future__ import annotations

import re
from pathlib import Path

from zoo.errors import did_you_mean
from zoo.tracking import _names as names
from zoo.tracking._models import model_uri
from zoo.tracking._recorded import best_model_address
from zoo.tracking._registry import registered_address, registered_names
from zoo.tracking._store import Store, TrackingError, is_active, reason


def model_address(store: Store, study: str, uid: str) -> str:
    """Return the address of the model of the run with that `zoo.uid`; "" if MLflow has none."""
    return model_uri(store.find_active_run(study, uid))


def fetch_model(store: Store, study: str, uid: str, folder: Path) -> Path:
    """Copy the `model.keras` of the run with that `zoo.uid` into `folder`, and return its path."""
    run = store.find_active_run(study, uid)
    address = model_uri(run)
    if not address:
        number = int(uid.rpartition("-")[2])
        if run is not None and names.MODEL in run.data.tags:
            raise TrackingError(names.removed_model(study, number))
        raise TrackingError(
            f"neither the trial directory nor MLflow at {store.address} has the model; "
            f"`zoo train {study} --trial {number}` trains it again."
        )
    return fetch_model_file(store, address, folder)


def fetch_model_file(store: Store, address: str, folder: Path) -> Path:
    """Copy the file of the Keras model at an address into `folder`; return its path.

    `address` is `models:/m-…`, `models:/NAME/VERSION`, `models:/NAME@ALIAS`, `runs:/RUN`, or another address
    that MLflow can download.
    """
    from mlflow.artifacts import download_artifacts

    if re.fullmatch(r"runs:/\w+/?", address):
        address = run_model_address(store, address.removeprefix("runs:/").rstrip("/"))
    try:
        location = _location(store, address)
        copy = download_artifacts(artifact_uri=location, dst_path=str(folder), tracking_uri=store.uri)
    except Exception as error:
        raise TrackingError(
            f"MLflow at {store.address} cannot send {address}: {reason(error)}. Expected models:/NAME@ALIAS, "
            "models:/NAME/VERSION, models:/m-… or runs:/RUN."
        ) from error
    file = Path(copy) / "data" / "model.keras"
    if not file.exists():
        raise TrackingError(
            f"{address} has no data/model.keras. Expected a model that zoo or mlflow.keras logged."
        )
    return file


def _location(store: Store, address: str) -> str:
    """Return the location of a model's files. MLflow itself would look only in its default store."""
    client, model = store.client, address.removeprefix("models:/")
    if model == address:
        return address
    if model.startswith("m-") and "/" not in model:
        return str(client.get_logged_model(model).artifact_location)
    name, at, alias = model.partition("@")
    if at:
        version = client.get_model_version_by_alias(name, alias).version
    else:
        name, _, version = model.rpartition("/")
    return str(client.get_model_version_download_uri(name, version))


def named_address(store: Store, name: str) -> str:
    """Return the address of the model that a name means.

    The name of a study means its best trial; the address may be a path, see `best_model_address`. The name of
    a registered model means its version with the alias `champion`, else its newest version.
    """
    with store.requests():
        if name in store.studies():
            return best_model_address(store, name)
        if name not in (available := registered_names(store)):
            hint = did_you_mean(name, {*available, *store.studies()})
            raise TrackingError(
                f"MLflow at {store.address} has no study and no registered model named '{name}'. {hint}"
            )
    return registered_address(store, name)


def run_model_address(store: Store, run_id: str) -> str:
    """Return the address of the model that a run logged; raise TrackingError if there is none."""
    try:
        run = store.client.get_run(run_id)
    except Exception as error:
        raise TrackingError(f"MLflow at {store.address} has no run {run_id}: {reason(error)}") from error
    address = model_uri(run) if is_active(run) else ""
    if not address:
        raise TrackingError(
            f"the run {run_id} in {store.address} has no model; expected the run of a complete trial."
        )
    return address
