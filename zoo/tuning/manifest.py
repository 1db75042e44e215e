"""A study's manifest: what it is, stored with its trials, so that unlike trials are never mixed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from zoo.data.store import PreparedDataset
from zoo.errors import ManifestError
from zoo.study import StudyDefinition


def manifest_of(definition: StudyDefinition, prepared: PreparedDataset) -> dict[str, Any]:
    """Everything that has to be the same for two trials to be comparable."""
    space = definition.space_as_json()
    limit = definition.search.max_parameters
    return {
        "space": space,
        "fingerprint": hashlib.sha256(json.dumps(space).encode()).hexdigest(),
        "dataset": {
            "name": definition.dataset.name,
            "parameters": json.loads(json.dumps(definition.dataset.parameters)),
            "source": prepared.source,
            "digest": prepared.digest,
        },
        "validation": dict(definition.validation),
        "objective": _one_or_list([objective.metric for objective in definition.objectives]),
        "direction": _one_or_list([objective.direction for objective in definition.objectives]),
        **({"max_parameters": limit} if limit is not None else {}),
        "seed": definition.search.seed,
        "plugins": definition.plugins(),
        # An editable install changes under the same version.
        **({"code": code} if (code := definition.code()) else {}),
    }


def _one_or_list(values: list[str]) -> str | list[str]:
    """As a study file says it."""
    return values if len(values) > 1 else values[0]


def check_manifest(
    study: str, stored: Mapping[str, Any], current: Mapping[str, Any], *, accept_versions: bool = False
) -> None:
    """Refuse to go on with a study that is not what it was.

    Raises:
        ManifestError: with every difference and the command for each way on.
    """
    differences = list(differing(stored, current))
    if accept_versions:
        differences = [line for line in differences if not line.startswith("plugins.")]
    if not differences:
        return
    shown = "".join(f"\n  {line}" for line in differences)
    ways = [f"to begin a study of its own: the same command with --name {study}-2"]
    if all(line.startswith("plugins.") for line in differences):
        new = "code" if differences == list(_changed_code(stored, current)) else "version"
        ways.append(f"to go on with the new {new}: the same command with --accept-versions")
    else:
        ways.append("to go on with the old one: undo the change")
    raise ManifestError(
        f"The study '{study}' has trials, and since then this has changed:{shown}\n  " + "\n  ".join(ways)
    )


def differing(stored: Mapping[str, Any], current: Mapping[str, Any]) -> Iterator[str]:
    """A line for every difference: `dataset.source: was "a", is "b"`."""
    before, after = dict(_flat(stored)), dict(_flat(current))
    for key in [*before, *(key for key in after if key not in before)]:
        if key == "fingerprint" or key.startswith("code."):
            continue
        if key not in before or key not in after or before[key] != after[key]:
            yield f"{key}: was {_shown(before, key)}, is {_shown(after, key)}"
    yield from _changed_code(stored, current)


def _changed_code(stored: Mapping[str, Any], current: Mapping[str, Any]) -> Iterator[str]:
    """A line for every plugin of which only the code is another; manifests of before have no digest."""
    versions, before, after = stored.get("plugins", {}), stored.get("code", {}), current.get("code", {})
    for name in after:
        version = versions.get(name)
        if name in before and before[name] != after[name] and version == current["plugins"].get(name):
            yield f"plugins.{name}: its code has changed since, under the same version {version}"


def _flat(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """One entry per parameter and fact; a parameter's domain stays in one piece."""
    for key, value in document.items():
        if isinstance(value, Mapping) and value and not isinstance(value.get("kind"), str):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _shown(flat: Mapping[str, Any], key: str) -> str:
    if key not in flat:
        return "absent"
    value = flat[key]
    if isinstance(value, Mapping):
        inner = {name: part for name, part in value.items() if name != "kind"}
        return json.dumps(inner, ensure_ascii=False)
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) < 40 or key.endswith("source") else text[:13] + '…"'
