"""The comparison of a finished study's event logs with Optuna and MLflow, by their own functions.

python tests/end_to_end/whole_record.py FOLDER STUDY TRIALS
"""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from end_to_end_tools import epochs, mlflow_client, snapshot

from zoo.events import EpochEnd, Event, EventLog, Finished
from zoo.record import StudyDirectory

_OPTUNA = {"complete": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL"}
_MLFLOW = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}


def problems(folder: Path, study: str, trials: int) -> list[str]:
    """Return a line for everything that is lost, doubled or stuck in a study that has ended.

    Args:
        trials: number of trials that the study was asked for.
    """
    directory = StudyDirectory(folder, study)
    logs = {number: directory.trial(number).event_log for number in directory.numbers()}
    events = {number: log.read() for number, log in logs.items()}
    found = snapshot(folder, study)
    return [
        *_of_logs(logs, events, trials),
        *_of_optuna(found.optuna, events),
        *_of_queue(folder, study),
        *_of_runs(found, events),
        *_of_curves(folder, found.children, events),
        *_of_models(folder, study, events),
        *(f"temporary file {path}" for path in folder.rglob("*.tmp")),
    ]


def _of_logs(logs: dict[int, EventLog], events: dict[int, list[Event]], trials: int) -> Iterator[str]:
    done, parameters = 0, Counter()
    for number, log in logs.items():
        if log.damaged_lines():
            yield f"trial {number}: damaged lines {log.damaged_lines()}"
        finals = [event for event in events[number] if isinstance(event, Finished)]
        if len(finals) != 1:
            yield f"trial {number}: {len(finals)} final states"
        numbers = [(event.fold or 1, event.epoch) for event in epochs(events[number])]
        if len(set(numbers)) != len(numbers) or [epoch for _, epoch in numbers] != list(
            range(1, len(numbers) + 1)
        ):
            yield f"trial {number}: epochs {numbers}"
        if finals and not finals[0].is_interrupted:
            done += 1
            config = json.loads((log.path.parent / "config.json").read_text())
            parameters[json.dumps([config["architecture"], config["training"]])] += 1
    if done != trials:
        yield f"{done} trials are done, not {trials}"
    yield from (f"trained twice: {one}" for one, count in parameters.items() if count > 1)


def _of_optuna(recorded: Sequence[Any], events: dict[int, list[Event]]) -> Iterator[str]:
    if [trial.number for trial in recorded] != list(range(len(recorded))) or {
        trial.number for trial in recorded
    } != set(events):
        yield f"Optuna has trials {[trial.number for trial in recorded]}, the logs {sorted(events)}"
    for trial in recorded:
        final = next((one for one in events.get(trial.number, []) if isinstance(one, Finished)), None)
        if final is None or trial.state.name != _OPTUNA[final.state]:
            yield f"trial {trial.number}: Optuna says {trial.state.name}, its log {final}"
        elif final.state == "complete" and trial.value != final.summary["best_val_accuracy"]:
            yield f"trial {trial.number}: Optuna has {trial.value}, its log {final.summary}"
        elif len(trial.intermediate_values) != len(epochs(events[trial.number])):
            yield f"trial {trial.number}: Optuna has {len(trial.intermediate_values)} epochs"


def _of_queue(folder: Path, study: str) -> Iterator[str]:
    import optuna

    every = optuna.load_study(study_name=study, storage=f"sqlite:///{folder}/mlruns/optuna.db").trials
    yield from (f"trial {one.number} is still queued" for one in every if one.state.name == "WAITING")


def _of_runs(found: Any, events: dict[int, list[Event]]) -> Iterator[str]:
    if [run.info.status for run in found.parents] != ["FINISHED"]:
        yield f"MLflow has the study's runs {[run.info.status for run in found.parents]}"
    numbers = [int(run.data.tags["zoo.trial"]) for run in found.children]
    if numbers != sorted(events):
        yield f"MLflow has runs of trials {numbers}, the logs {sorted(events)}"
    for number, run in zip(numbers, found.children, strict=True):
        final = next((one for one in events.get(number, []) if isinstance(one, Finished)), None)
        if final is None or run.info.status != _MLFLOW[final.state]:
            yield f"trial {number}: MLflow says {run.info.status}, its log {final}"
        elif "zoo.problem" in run.data.tags:
            yield f"trial {number}: {run.data.tags['zoo.problem']}"


def _of_curves(folder: Path, runs: Sequence[Any], events: dict[int, list[Event]]) -> Iterator[str]:
    client = mlflow_client(folder)
    for run in runs:
        number = int(run.data.tags["zoo.trial"])
        for metric in sorted({name for event in epochs(events.get(number, [])) for name in event.metrics}):
            history = client.get_metric_history(run.info.run_id, metric)
            points = sorted((point.step, point.value) for point in history if point.step)
            if len(set(points)) != len(points) or not _same(points, metric, events[number]):
                yield f"trial {number}: MLflow has {metric} {points}"


def _same(points: list[tuple[int, float]], metric: str, events: Sequence[Event]) -> bool:
    logged = {one.epoch: one.metrics[metric] for one in events if isinstance(one, EpochEnd)}
    recorded = dict(points)
    return logged.keys() == recorded.keys() and all(
        math.isclose(value, recorded[epoch], rel_tol=1e-9) for epoch, value in logged.items()
    )


def _of_models(folder: Path, study: str, events: dict[int, list[Event]]) -> Iterator[str]:
    client = mlflow_client(folder)
    experiment = client.get_experiment_by_name(study)
    models = client.search_logged_models([experiment.experiment_id])
    states = Counter(str(model.status) for model in models)
    complete = sum(
        isinstance(event, Finished) and event.state == "complete" for log in events.values() for event in log
    )
    if set(states) - {"READY"} or states["READY"] > complete or (complete and not states["READY"]):
        yield f"{complete} trials are complete, MLflow has models {dict(states)}"
    sources = Counter(model.source_run_id for model in models)
    yield from (f"run {run} has {count} models" for run, count in sources.items() if count > 1)


if __name__ == "__main__":
    lines = problems(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
    print("\n".join(lines) or "nothing is lost, doubled or stuck")
    sys.exit(bool(lines))
