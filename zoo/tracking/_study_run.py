"""A study's own run in MLflow, the parent of its trials' runs."""

from __future__ import annotations

import getpass
import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.events import Finished, Scored
from zoo.record import trial_uid
from zoo.study import Objective
from zoo.tracking import _names as names
from zoo.tracking._store import Store, TrackingError, is_active, points

if TYPE_CHECKING:
    from mlflow.entities import Metric


@dataclass(frozen=True)
class StudyFacts:
    """A study, or a standalone run, as the tracker records it.

    Args:
        name: of the study, and of its MLflow experiment.
        uid: unique; a study that starts again after its state was removed has another.
        digest: of the dataset's content.
        source: where the dataset comes from, in a few words.
        image_shape: `(height, width, channels)` of the raw pixels 0–255 that a model takes.
        num_classes: a model returns probabilities `(batch, num_classes)`.
        warning: a reason to doubt the metrics; recorded with every run.
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
    from mlflow.utils.git_utils import get_git_commit

    user = ""
    with suppress(OSError, KeyError):  # a container's user may have no name
        user = getpass.getuser()
    tags = {
        names.STUDY: facts.name,
        names.SOURCE: facts.source,
        names.WARNING: facts.warning,
        "mlflow.user": user,
        "mlflow.source.name": facts.command,
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": get_git_commit(str(Path.cwd())) or "",
    }
    return {key: names.shortened(value) for key, value in tags.items() if value}


class StudyRun:
    """The run of a study: created, or opened again where an earlier process created it.

    Args:
        tags: those that the trials' runs have too.

    Raises:
        TrackingError: the run is deleted in MLflow.
    """

    def __init__(self, store: Store, facts: StudyFacts, experiment_id: str, tags: Mapping[str, str]) -> None:
        self._store = store
        self._facts = facts
        self._experiment_id = experiment_id
        self._best: list[Metric] | None = None
        self.run_id = self._open(tags)
        if facts.definition:
            store.client.log_text(self.run_id, facts.definition, "study.toml")
        if facts.manifest:
            store.client.log_text(self.run_id, json.dumps(facts.manifest, indent=1) + "\n", "manifest.json")

    def _open(self, tags: Mapping[str, str]) -> str:
        facts, client = self._facts, self._store.client
        tags = {
            **tags,
            **names.plugin_tags(facts.plugins),
            names.KIND: "study",
            names.UID: facts.uid,
            names.DIGEST: facts.digest,
            names.OBJECTIVE: ",".join(objective.metric for objective in facts.objectives),
            names.DIRECTION: ",".join(objective.direction for objective in facts.objectives),
        }
        run = self._store.find_run(self._experiment_id, facts.uid)
        if run is None:
            run = client.create_run(self._experiment_id, tags=tags, run_name=facts.name)
        elif not is_active(run):
            raise TrackingError(
                f"The run of the study '{facts.name}' is deleted in MLflow. Restore it with "
                f"`mlflow runs restore --run-id {run.info.run_id}` "
                f"(MLFLOW_TRACKING_URI={self._store.address}), or give the study another name."
            )
        else:
            self._store.log(run.info.run_id, tags=tags)
            client.update_run(run.info.run_id, status="RUNNING")
        return str(run.info.run_id)

    def log_best(self, number: int, event: Finished) -> None:
        """Log the best value of the first objective among the trials so far, trial `number` included."""
        objective = self._facts.objectives[0]
        value = event.summary.get(objective.result)
        if not isinstance(value, int | float) or not math.isfinite(value):
            return
        if self._best is None:
            self._best = list(self._store.client.get_metric_history(self.run_id, objective.result))
        time = names.milliseconds(event.time)
        if any(
            point.timestamp == time and objective.best([value, point.value]) == point.value
            for point in self._best
        ):
            return  # logged before
        best = objective.best([float(value), *(point.value for point in self._best)])
        # MLflow shows the value at the highest step, and parallel trials end in any order.
        step = max([number, *(point.step for point in self._best)])
        new = points({objective.result: best}, event.time, step=step)
        self._store.log(self.run_id, new)
        self._best += new

    def log_champion(self, number: int, event: Scored) -> None:
        """Log the test metrics of the best trial, and its number."""
        metrics = points(event.metrics, event.time, step=number)
        self._store.log(self.run_id, metrics, tags={names.CHAMPION: str(number)})

    def show_front(self, numbers: Sequence[int], figure: Path | None) -> None:
        """Tag the runs of the trials on the Pareto front, and remove the tag from the others."""
        client = self._store.client
        front = {trial_uid(self._facts.uid, number) for number in numbers}
        for run in self._store.runs(self._experiment_id, f"tags.`{names.PARENT}` = '{self.run_id}'"):
            is_tagged, is_on_front = names.FRONT in run.data.tags, run.data.tags.get(names.UID) in front
            if is_on_front and not is_tagged:
                self._store.log(run.info.run_id, tags={names.FRONT: "true"})
            elif is_tagged and not is_on_front:
                client.delete_tag(run.info.run_id, names.FRONT)
        if figure is not None:
            client.log_artifact(self.run_id, str(figure), "figures")
