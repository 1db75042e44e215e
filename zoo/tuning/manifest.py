"""The manifest of a study: what must be equal for its trials to be comparable, stored with them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import unified_diff
from typing import Any

from zoo.data.store import PreparedDataset
from zoo.errors import ManifestError
from zoo.record import StudyDirectory
from zoo.registry import IN_MEMORY, PluginFile, kept_path
from zoo.study import StudyDefinition

_MAX_LINES = 10  # shown of a changed plugin file


def manifest_of(definition: StudyDefinition, dataset: PreparedDataset) -> dict[str, Any]:
    """Return the manifest of a study, as JSON."""
    limit, code = definition.search.max_parameters, definition.plugin_digests()
    metrics = [objective.metric for objective in definition.objectives]
    directions = [objective.direction for objective in definition.objectives]
    return {
        "space": definition.space_as_json(),
        "dataset": {
            "name": definition.dataset.name,
            "parameters": json.loads(json.dumps(definition.dataset.parameters)),
            "source": dataset.source,
            "digest": dataset.digest,
            **(_facts_in_memory(dataset) if definition.dataset.name == IN_MEMORY else {}),
        },
        "validation": dict(definition.validation),
        "objective": metrics if len(metrics) > 1 else metrics[0],
        "direction": directions if len(directions) > 1 else directions[0],
        **({"max_parameters": limit} if limit is not None else {}),
        "seed": definition.search.seed,
        "plugins": definition.plugin_versions(),
        # The code of an editable installation changes without a new version.
        **({"code": code} if code else {}),
    }


def _facts_in_memory(dataset: PreparedDataset) -> dict[str, Any]:
    """Return facts that explain a different digest: a dataset in memory has no parameters."""
    return {
        "images": sum(dataset.sizes.values()),
        "shape": list(dataset.image_shape),
        "classes": len(dataset.class_names),
    }


def check_resumable(
    definition: StudyDefinition,
    directory: StudyDirectory,
    stored: Mapping[str, Any],
    current: Mapping[str, Any],
    accept_versions: bool,
) -> None:
    """Check, as `check_manifest` does, that a study with trials in `directory` can be resumed."""
    changes = changed_lines(directory, definition.plugin_files, stored)
    check_manifest(definition.name, stored, current, accept_versions=accept_versions, file_changes=changes)


def check_manifest(
    study: str,
    stored: Mapping[str, Any],
    current: Mapping[str, Any],
    *,
    accept_versions: bool = False,
    file_changes: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Raise ManifestError with every difference; `accept_versions` ignores versions and code of plugins.

    `file_changes` has the changed lines of each changed plugin file, by name.
    """
    differences = list(find_differences(stored, current))
    if accept_versions:
        differences = [line for line in differences if not line.startswith("plugins.")]
    if not differences:
        return
    resume = "to resume this study: undo the change"
    of_data = any(line.startswith("dataset.") for line in differences)
    if of_data and stored.get("dataset", {}).get("name") == IN_MEMORY:
        resume = "to resume this study: zoo.tune(…, dataset=…) in Python, with the data of its trials"
    if all(line.startswith("plugins.") for line in differences):
        files = [f"plugins.{name}: " for name in file_changes or {}]
        is_code = differences == list(_changed_code(stored, current)) or (
            files and all(line.startswith(tuple(files)) for line in differences)
        )
        what = "code" if is_code else "version"
        resume = f"to resume with the new {what}: the same command with --accept-versions"
    ways = [f"to start a new study: the same command with --name {study}-2", resume]
    for name, lines in (file_changes or {}).items():
        at = next((n for n, line in enumerate(differences) if line.startswith(f"plugins.{name}: ")), None)
        if at is not None:
            differences[at + 1 : at + 1] = [f"  {line}" for line in lines]
    first = f"the study '{study}' has trials, and this has changed since they ran:"
    raise ManifestError("\n  ".join([first, *differences, *ways]))


def changed_lines(
    directory: StudyDirectory, files: Iterable[PluginFile], stored: Mapping[str, Any]
) -> dict[str, list[str]]:
    """Return the first changed lines of each plugin file that has changed, with `-` and `+`, by its name."""
    changes: dict[str, list[str]] = {}
    for file in files:
        version = str(stored.get("plugins", {}).get(file.name, file.version))
        if version == file.version:
            continue
        try:
            before = kept_path(directory.path, file.name, version).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError):  # the study was run in another folder
            changes[file.name] = []
            continue
        after = file.source.decode("utf-8-sig")
        compared = list(unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm=""))[2:]
        lines = [line for line in compared if not line.startswith("@@")]
        more = [f"and {len(lines) - _MAX_LINES} more lines"] if len(lines) > _MAX_LINES else []
        changes[file.name] = lines[:_MAX_LINES] + more
    return changes


def find_differences(stored: Mapping[str, Any], current: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for every difference: `dataset.source: was "a", is "b"`."""
    before, after = dict(_flatten(stored)), dict(_flatten(current))
    for key in dict.fromkeys([*before, *after]):
        if key.startswith("code."):
            continue
        # A newer version of the dataset plugin may add parameters; "digest" shows if the data differ.
        if key.startswith("dataset.parameters") and before.get(key, {}) == {}:
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
            yield f"plugins.{name}: its code has changed, but its version is still {version}"


def _flatten(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every key, such as `dataset.digest`, and its value; the domain of a parameter is one value."""
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
        value = {name: part for name, part in value.items() if name != "kind"}
    text = json.dumps(value, ensure_ascii=False)
    is_long = len(text) >= 40 and isinstance(value, str) and not key.endswith("source")
    return text[:13] + '…"' if is_long else text
