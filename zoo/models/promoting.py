"""Promoting a model by a command: making it the champion of a registered model."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import ModelError, StudyError, ZooError
from zoo.models.finding import FoundModel, find_model
from zoo.models.listing import find_registered, is_model_id, registered_parts
from zoo.tuning.display import Display, PlainDisplay

if TYPE_CHECKING:
    from zoo.tracking import ModelVersion, Store


@dataclass(frozen=True)
class Promotion:
    """A promotion.

    Args:
        version: the new champion.
        former: the previous champion; None without one, or if it is the same version.
    """

    version: ModelVersion
    former: ModelVersion | None

    @property
    def is_on_other_data(self) -> bool:
        """True if the two champions were not trained on the same data."""
        return self.former is not None and self.former.digest != self.version.digest


def promote(model: str | Path, name: str | None = None, display: Display | None = None) -> Promotion:
    """Make a model the champion of the registered model `name`, without a comparison.

    Args:
        model: any name that `zoo.load_model` takes. MLflow must have the model.
        name: by default, the name of the registered model if `model` names one, else the name of its study.

    Raises:
        ModelError: there is no such model, or it is not in MLflow.
        StudyError: MLflow does not allow the name, or there is no name.
        TrackingError: MLflow does not answer.
    """
    from zoo import tracking

    display = display or PlainDisplay()
    if name is not None:
        tracking.check_registered_name(name)
    # Connected first: if MLflow does not answer, `find_model` only warns about it.
    store = None if tracking.is_new_store() else tracking.connect(create=False)
    found = find_model(model, display)
    store = store or tracking.connect(create=False)
    address, registered = _address(store, found)
    name = name or registered or found.info.study
    if not name:
        raise StudyError(
            f"the model {found.name} does not say which study trained it. Give the name of the registered "
            "model with --as NAME."
        )
    former = tracking.champion(store, name)
    version = tracking.promote(store, name, address, found.info, _num_test_images(found))
    is_same = former is not None and former.version == version.version
    return Promotion(version, None if is_same else former)


def _address(store: Store, found: FoundModel) -> tuple[str, str]:
    """Return the address `models:/m-…` of a model, and the registered model that `found` names, or ""."""
    from zoo import tracking

    address, registered = found.address, ""
    if found.run is not None:
        uid = found.run.uid()
        address = tracking.model_address(store, found.run.study, uid) if uid else ""
    elif address.startswith("runs:/"):
        address = tracking.run_model_address(store, address.removeprefix("runs:/").rstrip("/"))
    elif registered_parts(address):
        version = find_registered(address)
        registered, address = version.name, version.address
    elif not address:
        ids = filter(is_model_id, found.path.resolve().parts)
        address = next((f"models:/{model_id}" for model_id in ids), "")
    if not is_model_id(address):
        raise ModelError(
            f"the model {found.name} is not recorded in MLflow at {store.address}. Expected the model of a "
            "trial or of a run of `zoo train`, or a registered model."
        )
    return address, registered


def _num_test_images(found: FoundModel) -> int | None:
    """Return the number of test images; None without a test split, or if the cache lacks the dataset."""
    with suppress(ZooError):
        test = found.cached_dataset().test
        return None if test is None else len(test)
    return None
