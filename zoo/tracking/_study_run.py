"""A study's own run in MLflow, the parent of its trials' runs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.events import Finished, Scored
from zoo.record import trial_uid
from zoo.tracking import _names as names
from zoo.tracking._facts import StudyFacts
from zoo.tracking._points import points
from zoo.tracking._store import Store, TrackingError, is_active

if TYPE_CHECKING:
    from mlflow.entities import Metric


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
            **names.objective_tags(facts.objectives),
        }
        run = self._store.find_run(self._experiment_id, facts.uid, deleted=True)
        if run is None:
            run = client.create_run(self._experiment_id, tags=tags, run_name=facts.name)
        elif not is_active(run):
            raise TrackingError(
                f"The run of the study '{facts.name}' is deleted in MLflow. Restore it with "
                f"`mlflow runs restore --run-id {run.info.run_id}` "
                f"(MLFLOW_TRACKING_URI={self._store.address}), or give the study another name."
            )
        else:
            self._store.set_tags(run.info.run_id, tags)
            client.update_run(run.info.run_id, status="RUNNING")
        return str(run.info.run_id)

    def log_best(self, number: int, event: Finished) -> None:
        """Log the best value of the first objective among the trials so far, trial `number` included."""
        from mlflow.entities import Metric

        objective = self._facts.objectives[0]
        key = objective.result
        value = event.summary.get(key)
        if not isinstance(value, int | float) or not math.isfinite(value):
            return
        if self._best is None:
            self._best = list(self._store.client.get_metric_history(self.run_id, key))
        time = names.milliseconds(event.time)
        if any(
            point.timestamp == time and objective.best([value, point.value]) == point.value
            for point in self._best
        ):
            return  # logged before
        best = objective.best([float(value), *(point.value for point in self._best)])
        # MLflow shows the value at the highest step, and parallel trials end in any order.
        step = max([number, *(point.step for point in self._best)])
        point = Metric(key, best, time, step)
        self._store.log(self.run_id, [point])
        self._best.append(point)

    def log_champion(self, number: int, event: Scored) -> None:
        """Log the test metrics of the best trial, and its number."""
        self._store.log(
            self.run_id, points(event.metrics, event.time, step=number), {names.CHAMPION: str(number)}
        )

    def show_front(self, numbers: Sequence[int], figure: Path | None) -> None:
        """Tag the runs of the trials on the Pareto front, and remove the tag from the others.

        Args:
            figure: an image of the front, to upload.
        """
        client = self._store.client
        front = {trial_uid(self._facts.uid, number) for number in numbers}
        for run in self._store.runs(self._experiment_id, f"tags.`{names.PARENT}` = '{self.run_id}'"):
            is_tagged, is_on_front = names.FRONT in run.data.tags, run.data.tags.get(names.UID) in front
            if is_on_front and not is_tagged:
                self._store.set_tags(run.info.run_id, {names.FRONT: "true"})
            elif is_tagged and not is_on_front:
                client.delete_tag(run.info.run_id, names.FRONT)
        if figure is not None:
            client.log_artifact(self.run_id, str(figure), "figures")

    def finish(self, status: str) -> None:
        """End the run. `status` is `FINISHED`, `KILLED` (interrupted) or `FAILED`."""
        self._store.client.set_terminated(self.run_id, status)
