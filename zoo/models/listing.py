"""The registered models: `zoo.list_models`, and finding one version."""

from __future__ import annotations

import math
import re
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from zoo.tracking import ModelVersion

_COLUMNS = (
    *("model", "name", "version", "aliases", "dataset", "architecture", "test_accuracy", "parameters"),
    *("study", "trial", "dataset.digest", "created", "address"),
)
_REGISTERED = re.compile(r"(models:/)?(?P<name>[^/@:]+)(?:@(?P<alias>[^/@:]+)|/(?P<version>\d+))?/?")
_MODEL_ID = re.compile(r"(models:/)?m-[0-9a-f]{32}")


def list_models(
    pattern: str = "*",
    *,
    dataset: str | None = None,
    min_accuracy: float | None = None,
    max_parameters: int | None = None,
) -> pd.DataFrame:
    """Return the registered models, a row for each version: by name, the newest version first.

    Columns: `model`, a name for `zoo.load_model` such as `mnist_cnn/3`; `name`, `version`, `aliases`,
    `dataset`, `architecture`, `test_accuracy`, `parameters`, `study`, `trial`, `dataset.digest`, `created`,
    and `address` in MLflow. A model that zoo did not train has empty cells, and the filters exclude it.

    Args:
        pattern: a pattern of the models' names, such as `"mnist*"`.
        dataset: the name of the dataset, or a pattern.
        min_accuracy: the smallest accuracy on the test split, from 0 to 1.
        max_parameters: the largest number of parameters.

    Raises:
        TrackingError: MLflow does not answer, or there is no MLflow database.
    """
    import pandas as pd

    from zoo.tracking import connect, registered_versions

    rows = [model_facts(one) for one in registered_versions(connect(create=False), pattern)]
    table = pd.DataFrame(rows, columns=_COLUMNS)
    if dataset is not None:
        table = table[[fnmatchcase(name, dataset) for name in table["dataset"]]]
    if min_accuracy is not None:
        table = table[table["test_accuracy"] >= min_accuracy]
    if max_parameters is not None:
        table = table[table["parameters"] <= max_parameters]
    return table.astype({"trial": "Int64", "parameters": "Int64"}).reset_index(drop=True)


def model_facts(version: ModelVersion) -> dict[str, Any]:
    """Return the cells of a version's row in `list_models`."""
    parameters = version.metrics.get("parameters", math.nan)
    created = datetime.fromtimestamp(version.created / 1000).astimezone()
    return {
        "model": version.title,
        "name": version.name,
        "version": version.version,
        "aliases": ", ".join(version.aliases),
        "dataset": version.params.get("dataset", ""),
        "architecture": version.params.get("architecture", ""),
        "test_accuracy": version.metrics.get("test_accuracy", math.nan),
        "parameters": parameters if math.isnan(parameters) else int(parameters),
        "study": version.study,
        "trial": version.trial,
        "dataset.digest": version.digest,
        "created": created.isoformat(timespec="seconds"),
        "address": version.address,
    }


def is_model_id(text: str) -> bool:
    """Return True for MLflow's ID of a logged model, `m-…`, and for its address, `models:/m-…`."""
    return _MODEL_ID.fullmatch(text) is not None


def registered_parts(text: str) -> dict[str, str]:
    """Return `name`, `alias` and `version` of `NAME`, `NAME@ALIAS` or `NAME/VERSION`, also with `models:/`.

    A missing part is "". Any other text, such as the ID of a logged model, gives {}.
    """
    match = None if is_model_id(text) else _REGISTERED.fullmatch(text)
    return {} if match is None else match.groupdict(default="")


def find_registered(model: str) -> ModelVersion:
    """Return a version of a registered model: `NAME`, `NAME@ALIAS` or `NAME/VERSION`.

    `NAME` means the version with the alias `champion`, or else the newest version.

    Raises:
        TrackingError: MLflow does not answer, or there is no such version.
    """
    from zoo.tracking import TrackingError, connect, registered_address, registered_version

    parts = registered_parts(model)
    if not parts:
        raise TrackingError(
            f"'{model}' is not a registered model. Expected NAME, NAME@ALIAS or NAME/VERSION; "
            "`zoo models` lists them."
        )
    store = connect(create=False)
    address = registered_address(store, **parts)
    return registered_version(store, parts["name"], int(address.rpartition("/")[2]))
