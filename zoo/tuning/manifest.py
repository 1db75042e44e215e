"""The manifest of a study: what must be equal for its trials to be comparable, stored with them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from zoo.data.store import PreparedDataset
from zoo.errors import ManifestError
from zoo.study import StudyDefinition


def manifest_of(definition: StudyDefinition, dataset: PreparedDataset) -> dict[str, Any]:
    """Return the manifest of a study, as JSON."""
    space = definition.space_as_json()
    limit = definition.search.max_parameters
    return {
        "space": space,
        "fingerprint": hashlib.sha256(json.dumps(space).encode()).hexdigest(),
        "dataset": {
            "name": definition.dataset.name,
            "parameters": json.loads(json.dumps(definition.dataset.parameters)),
            "source": dataset.source,
            "digest": dataset.digest,
        },
        "validation": dict(definition.validation),
        "objective": _one_or_list([objective.metric for objective in definition.objectives]),
        "direction": _one_or_list([objective.direction for objective in definition.objectives]),
        **({"max_parameters": limit} if limit is not None else {}),
        "seed": definition.search.seed,
        "plugins": definition.plugin_versions(),
        # An editable installation changes without a new version.
        **({"code": code} if (code := definition.plugin_digests()) else {}),
    }


def _one_or_list(values: list[str]) -> str | list[str]:
    """Return `values` as a study file has them: one value, or a list."""
    return values if len(values) > 1 else values[0]


def check_manifest(
    study: str, stored: Mapping[str, Any], current: Mapping[str, Any], *, accept_versions: bool = False
) -> None:
    """Raise ManifestError with every difference between two manifests, and the ways to continue.

    Args:
        accept_versions: allow differences in the versions and the code of plugins.
    """
    differences = list(find_differences(stored, current))
    if accept_versions:
        differences = [line for line in differences if not line.startswith("plugins.")]
    if not differences:
        return
    listed = "".join(f"\n  {line}" for line in differences)
    ways = [f"to start a new study: the same command with --name {study}-2"]
    if all(line.startswith("plugins.") for line in differences):
        what = "code" if differences == list(_changed_code(stored, current)) else "version"
        ways.append(f"to resume with the new {what}: the same command with --accept-versions")
    else:
        ways.append("to resume this study: undo the change")
    raise ManifestError(
        f"The study '{study}' has trials, and this has changed since they ran:{listed}\n  "
        + "\n  ".join(ways)
    )


def find_differences(stored: Mapping[str, Any], current: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for every difference: `dataset.source: was "a", is "b"`."""
    before, after = dict(_flatten(stored)), dict(_flatten(current))
    for key in dict.fromkeys([*before, *after]):
        if key == "fingerprint" or key.startswith("code."):
            continue
        if key not in before or key not in after or before[key] != after[key]:
            yield f"{key}: was {_value_text(before, key)}, is {_value_text(after, key)}"
    yield from _changed_code(stored, current)


def _changed_code(stored: Mapping[str, Any], current: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for every plugin whose code has changed without a new version."""
    versions, before, after = stored.get("plugins", {}), stored.get("code", {}), current.get("code", {})
    for name in after:
        version = versions.get(name)
        if name in before and before[name] != after[name] and version == current["plugins"].get(name):
            yield f"plugins.{name}: its code has changed since, under the same version {version}"


def _flatten(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield one entry for each value; the domain of a parameter stays one value."""
    for key, value in document.items():
        if isinstance(value, Mapping) and value and not isinstance(value.get("kind"), str):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _value_text(flat: Mapping[str, Any], key: str) -> str:
    if key not in flat:
        return "absent"
    value = flat[key]
    if isinstance(value, Mapping):
        domain = {name: part for name, part in value.items() if name != "kind"}
        return json.dumps(domain, ensure_ascii=False)
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) < 40 or key.endswith("source") else text[:13] + '…"'
