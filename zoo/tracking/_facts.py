"""The facts about a study that the tracker records, and the tags made from them."""

from __future__ import annotations

import getpass
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zoo.study import Objective
from zoo.tracking import _names as names


@dataclass(frozen=True)
class StudyFacts:
    """A study, or a standalone run, as the tracker records it.

    Args:
        name: of the study, and of its MLflow experiment.
        uid: unique; a study that starts again after its state was removed has another.
        digest: of the dataset's content.
        source: where the dataset comes from, in a few words.
        warning: a reason to doubt the metrics; recorded with every run.
        image_shape: `(height, width, channels)`.
        plugins: version by distribution, for every plugin that the study can use; a trial's
            configuration names those that it does use.
        definition: the study file's text.
        manifest: what must be equal for trials to be comparable.
        command: what the user typed.
        standalone_name: the name of a standalone run; "" for a study. A standalone run has no study run
            as its parent, and the leaderboard does not contain it.
    """

    name: str
    uid: str
    objectives: Sequence[Objective]
    digest: str
    source: str
    image_shape: tuple[int, int, int]
    num_classes: int
    warning: str = ""
    plugins: Mapping[str, str] = field(default_factory=dict)
    definition: str = ""
    manifest: Mapping[str, Any] = field(default_factory=dict)
    command: str = "zoo tune"
    standalone_name: str = ""


def common_tags(facts: StudyFacts) -> dict[str, str]:
    """Return the tags that the study's run and its trials' runs share."""
    tags = {
        names.STUDY: facts.name,
        names.SOURCE: facts.source,
        names.WARNING: facts.warning,
        "mlflow.user": _user(),
        "mlflow.source.name": facts.command,
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": _git_commit(),
    }
    return {key: names.shortened(value) for key, value in tags.items() if value}


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return ""


def _git_commit() -> str:
    """Return the commit of the working folder, or "" if it is not in a repository."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""
