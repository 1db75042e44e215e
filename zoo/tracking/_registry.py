"""MLflow's model registry: registering models, setting the alias `champion`, and listing versions.

A promoted version gets the alias `champion`; the former champion gets the alias `previous`. The facts about a
version, such as its dataset and its test accuracy, come from the run that trained the model.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from zoo.errors import StudyError, did_you_mean
from zoo.tracking import _names as names
from zoo.tracking._card import NOT_SCORED, model_card
from zoo.tracking._duplicates import create_once
from zoo.tracking._store import Store, TrackingError, pages

if TYPE_CHECKING:
    from zoo.training.info import ModelInfo

CHAMPION_ALIAS = "champion"  # the version that a name without a version means
PREVIOUS_ALIAS = "previous"  # the champion before the current one
_MAX_DESCRIPTION = 5000  # limit of MLflow's database for the description of a version, in characters
_MAX_NAME = 256
_ARTIFACTS = re.compile(r".*/models/(m-\w+)/artifacts/?")  # the source of a version that `mlflow` registered


@dataclass(frozen=True)
class ModelVersion:
    """A version of a registered model.

    Args:
        address: the address of the model, such as `models:/m-…`.
        tags, params, metrics: those of the run that trained the model; {} if MLflow does not have the run.
        created: milliseconds since 1970.
        was_promoted: the version has, or had, the alias `champion` from zoo.
    """

    name: str
    version: int
    address: str
    aliases: Sequence[str] = ()
    description: str = ""
    created: int = 0
    was_promoted: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """`mnist_cnn/3`, which is also a name of the model."""
        return f"{self.name}/{self.version}"

    @property
    def study(self) -> str:
        return self.tags.get(names.STUDY, "")

    @property
    def trial(self) -> int | None:
        """The trial's number; None for a standalone run, and for a model that zoo did not train."""
        is_trial = self.tags.get(names.KIND) == "trial"
        return int(self.tags[names.TRIAL]) if is_trial else None

    @property
    def uid(self) -> str:
        """The `zoo.uid` of the run; "" for a model that zoo did not train."""
        return self.tags.get(names.UID, "")

    @property
    def digest(self) -> str:
        """The digest of the dataset; "" for a model that zoo did not train."""
        return self.tags.get(names.DIGEST, "")


def registered_versions(store: Store, pattern: str = "*") -> list[ModelVersion]:
    """Return the versions of the registered models whose names match `pattern`, by name, newest first."""
    with _requests(store):
        aliases = {model.name: dict(model.aliases) for model in _raw_models(store)}
        found = [
            _version(store, one, aliases[one.name])
            for one in _raw_versions(store)
            if one.name in aliases and fnmatchcase(one.name, pattern)
        ]
    return sorted(found, key=lambda one: (one.name, -one.version))


def registered_version(store: Store, name: str, version: int) -> ModelVersion:
    """Return a version that exists."""
    with _requests(store):
        return _version(store, store.client.get_model_version(name, str(version)), _aliases(store, name))


def champion(store: Store, name: str) -> ModelVersion | None:
    """Return the champion of a registered model; None if there is no such model, or it has no champion."""
    with _requests(store):
        version = _aliases(store, name).get(CHAMPION_ALIAS)
    return None if version is None else registered_version(store, name, int(version))


def find_version(store: Store, name: str, address: str) -> ModelVersion | None:
    """Return the newest version of `name` that is the model at `address`; None if there is none."""
    with _requests(store):
        newest = _newest(store, name, address)
        return None if newest is None else _version(store, newest, _aliases(store, name))


def promote(
    store: Store, name: str, address: str, info: ModelInfo, num_test_images: int | None = None
) -> ModelVersion:
    """Make the model at `models:/m-…` the champion of the registered model `name`; return its version.

    A missing registered model is created. The description of a new version is the model's card, made with
    `info` and `num_test_images`. A model that has a version keeps it; a card without test scores is written
    again. The next promotion completes a promotion that was interrupted.
    """
    from mlflow.exceptions import MlflowException

    check_registered_name(name)
    before, found = champion(store, name), find_version(store, name, address)
    with _requests(store):
        client = store.client
        if not _raw_models(store, name):
            try:
                client.create_registered_model(name)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                return promote(store, name, address, info, num_test_images)  # another process has created it
        version = None if found is None else str(found.version)
        model_id = address.removeprefix("models:/")
        run = client.get_run(client.get_logged_model(model_id).source_run_id)
        if version is None:
            created = create_once(
                lambda: client.create_model_version(name, address, run_id=run.info.run_id, model_id=model_id),
                lambda: _newest(store, name, address),
            )
            version = str(created.version)
        if found is None or not found.description or NOT_SCORED in found.description:
            card = model_card(info, f"{name}/{version}", run.data, num_test_images)
            client.update_model_version(name, version, names.shorten(card, _MAX_DESCRIPTION))
        if before is not None and str(before.version) != version:
            client.set_registered_model_alias(name, PREVIOUS_ALIAS, str(before.version))
        client.set_registered_model_alias(name, CHAMPION_ALIAS, version)
        client.set_model_version_tag(name, version, names.PROMOTED, "true")
    return registered_version(store, name, int(version))


def registered_names(store: Store) -> list[str]:
    """Return the names of the registered models."""
    with _requests(store):
        return [str(model.name) for model in _raw_models(store)]


def registered_address(store: Store, name: str, alias: str = "", version: str = "") -> str:
    """Return `models:/NAME/VERSION` of a registered model; raise TrackingError for an unknown version.

    Without `alias` and `version`, use the version with the alias `champion`, else the newest.
    """
    if name not in (available := registered_names(store)):
        hint = did_you_mean(name, available)
        raise TrackingError(f"MLflow at {store.address} has no registered model named '{name}'. {hint}")
    with _requests(store):
        aliases = _aliases(store, name)
        versions = sorted(int(one.version) for one in _raw_versions(store, name))
    if alias and alias not in aliases:
        hint = did_you_mean(alias, aliases)
        raise TrackingError(f"the registered model '{name}' has no alias '{alias}'. {hint}")
    if version and int(version) not in versions:
        listed = ", ".join(map(str, versions)) or "none"
        raise TrackingError(f"the registered model '{name}' has no version {version}. Available: {listed}.")
    if alias or version:
        return f"models:/{name}/{aliases[alias] if alias else version}"
    if not versions:
        raise TrackingError(f"the registered model '{name}' in {store.address} has no versions.")
    return f"models:/{name}/{aliases.get(CHAMPION_ALIAS, versions[-1])}"


def check_registered_name(name: str) -> None:
    """Raise StudyError if MLflow, or the form `NAME@ALIAS`, does not allow the name of a registered model."""
    is_allowed = name.strip() and not set(name) & set("/:@") and name not in (".", "..")
    if not is_allowed or len(name) > _MAX_NAME or not name.isprintable():
        raise StudyError(
            f"a registered model cannot be named {name!r}. Expected up to {_MAX_NAME} printable characters "
            "without '/', ':' and '@'. Give another name with --as NAME."
        )


def rename_registered(store: Store, old: str, new: str) -> str:
    """Rename the registered model of a study, whose runs have the name `new` already.

    Return a sentence for the user if the name stays, because another registered model has the new name.
    """
    present = champion(store, old)
    with _requests(store):
        # The champion of an interrupted promotion has no tag yet.
        is_own = present is not None and present.study in (old, new)
        if not is_own and not any(names.PROMOTED in one.tags for one in _raw_versions(store, old)):
            return ""
        if _raw_models(store, new):
            return (
                f"its registered model is still named '{old}', because there is a registered model '{new}' "
                "already"
            )
        store.client.rename_registered_model(old, new)
    return ""


@contextmanager
def _requests(store: Store) -> Iterator[None]:
    """Do as `store.requests`, but name the registry in errors, which may be another server."""
    with replace(store, uri=os.environ.get("MLFLOW_REGISTRY_URI") or store.uri).requests():
        yield


def _raw_models(store: Store, name: str | None = None) -> list[Any]:
    """Return the registered models, or the one with that name, as objects of MLflow."""
    search: Any = store.client.search_registered_models
    return list(pages(lambda token: search(_with_name(name), page_token=token)))


def _raw_versions(store: Store, name: str | None = None) -> list[Any]:
    """Return the versions of all registered models, or of one, as objects of MLflow."""
    search: Any = store.client.search_model_versions
    return list(pages(lambda token: search(_with_name(name), page_token=token)))


def _newest(store: Store, name: str, address: str) -> Any | None:
    """Return the newest version of `name` that is the model at `address`; None if there is none."""
    found = [one for one in _raw_versions(store, name) if _address(one) == address]
    return max(found, key=lambda one: int(one.version), default=None)


def _with_name(name: str | None) -> str | None:
    """Return the filter of a search in MLflow for a name; None for all names."""
    if name is None:
        return None
    return f'name = "{name}"' if "'" in name else f"name = '{name}'"


def _aliases(store: Store, name: str) -> dict[str, int]:
    """Return alias -> version of a registered model; {} if there is no such model."""
    aliases: Mapping[str, Any] = next((model.aliases for model in _raw_models(store, name)), {})
    return {alias: int(version) for alias, version in aliases.items()}


def _version(store: Store, found: Any, aliases: Mapping[str, Any]) -> ModelVersion:
    run = _run_of(store, found)
    return ModelVersion(
        name=found.name,
        version=int(found.version),
        address=_address(found),
        aliases=sorted(alias for alias, version in aliases.items() if int(version) == int(found.version)),
        description=found.description or "",
        created=found.creation_timestamp,
        was_promoted=names.PROMOTED in found.tags,
        tags={} if run is None else dict(run.data.tags),
        params={} if run is None else dict(run.data.params),
        metrics={} if run is None else dict(run.data.metrics),
    )


def _address(found: Any) -> str:
    model = _ARTIFACTS.fullmatch(found.source)
    return f"models:/{model[1]}" if model else str(found.source)


def _run_of(store: Store, found: Any) -> Any | None:
    """Return the run that trained a version; None if MLflow does not have it."""
    run_id, model_id = found.run_id, _address(found).removeprefix("models:/")
    try:
        if not run_id and model_id.startswith("m-"):
            run_id = store.client.get_logged_model(model_id).source_run_id
        return store.client.get_run(run_id) if run_id else None
    except Exception as error:
        if getattr(error, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
