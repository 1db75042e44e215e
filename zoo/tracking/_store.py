"""One MLflow store: its experiments and runs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.disk_space import is_full
from zoo.errors import ZooError
from zoo.redaction import redact
from zoo.tracking import _names as names

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

# MLflow reads these variables when it is imported, and at every request. A value set by the user is kept.
DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # finds a dead server in 5 s; MLflow's default takes 4 min
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",  # seconds; a server may need a minute to store a model
}
# Timeouts for the check that a server answers.
_SHORT_TIMEOUTS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}
_PAGE_SIZE = 1000  # runs per request


class TrackingError(ZooError):
    """MLflow's store cannot be used, or does not have the requested study, run or model."""


class StoreAway(TrackingError):
    """The server of MLflow, or its database server, does not answer now."""

    @property
    def problem(self) -> str:
        """The message without its advice, for a message that has its own."""
        return str(self).partition(". ")[0]


@dataclass(frozen=True)
class Store:
    """An MLflow store: its address and a client.

    A run or an experiment that is deleted in MLflow counts as absent, unless a method says otherwise.
    """

    uri: str
    client: MlflowClient

    @property
    def address(self) -> str:
        """The address without a password, for messages."""
        return redact(self.uri)

    def experiment_id(self, name: str) -> str | None:
        """Return the id of an experiment, or None if there is none."""
        found = self.client.get_experiment_by_name(name)
        return str(found.experiment_id) if found is not None and is_active(found) else None

    def open_experiment(self, name: str) -> str:
        """Return the id of a study's experiment; create a missing one, and raise if it is deleted."""
        if self.client.get_experiment_by_name(name) is None:
            try:
                self.client.create_experiment(name, tags={names.KIND: "study"})
            except Exception as error:
                if self.client.get_experiment_by_name(name) is None:  # no other process has created it
                    raise TrackingError(
                        f"MLflow at {self.address} cannot create the experiment '{name}': {reason(error)}"
                    ) from error
        found: Any = self.check_not_deleted(name)
        if found.tags.get(names.KIND) != "study":
            self.client.set_experiment_tag(found.experiment_id, names.KIND, "study")
        return str(found.experiment_id)

    def check_not_deleted(self, name: str) -> Any:
        """Return the experiment `name`, or None if there is none; raise TrackingError if it is deleted."""
        found = self.client.get_experiment_by_name(name)
        if found is not None and not is_active(found):
            raise TrackingError(
                f"the MLflow experiment '{name}' is deleted. Restore it with "
                f"`mlflow experiments restore --experiment-id {found.experiment_id}` "
                f"(MLFLOW_TRACKING_URI={self.address}), or give the study another name."
            )
        return found

    def studies(self) -> list[str]:
        """Return the names of the experiments that hold studies."""
        kind = f"tags.`{names.KIND}` = 'study'"
        found = pages(lambda token: self.client.search_experiments(filter_string=kind, page_token=token))
        return sorted(experiment.name for experiment in found)

    def find_run(self, experiment_id: str, uid: str) -> Any | None:
        """Return the run with that `zoo.uid`, or None; a deleted run only if there is no other."""
        found = list(self.runs(experiment_id, f"tags.`{names.UID}` = '{uid}'", deleted=True))
        return next(filter(is_active, found), found[0] if found else None)

    def find_active_run(self, study: str, uid: str) -> Any | None:
        """Return the run with that `zoo.uid` in a study's experiment, or None."""
        experiment_id = self.experiment_id(study)
        run = self.find_run(experiment_id, uid) if experiment_id else None
        return run if run is not None and is_active(run) else None

    def runs(self, experiment_id: str, condition: str = "", *, deleted: bool = False) -> Iterator[Any]:
        """Yield the runs of an experiment that match an MLflow filter; with `deleted`, deleted ones too."""
        from mlflow.entities import ViewType

        view = ViewType.ALL if deleted else ViewType.ACTIVE_ONLY
        return pages(
            lambda token: self.client.search_runs(
                [experiment_id], condition, run_view_type=view, max_results=_PAGE_SIZE, page_token=token
            )
        )

    def log(
        self,
        run_id: str,
        metrics: Sequence[Metric] = (),
        *,
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> None:
        """Log metrics, tags and parameters of a run; return when the store has them."""
        from mlflow.entities import Param, RunTag

        self.client.log_batch(
            run_id,
            metrics=metrics,
            tags=[RunTag(key, value) for key, value in (tags or {}).items()],
            params=[Param(key, value) for key, value in (params or {}).items()],
            synchronous=True,
        )

    def forget_files(self, run_id: str) -> None:
        """Free the memory that MLflow uses to store files of a run: 6 KiB for each of the last 1,024 runs."""
        # MLflow has no public name for this; tests/tracking/test_tracking_writer.py fails if it disappears.
        from mlflow.tracking._tracking_service.utils import _artifact_repos_cache

        _artifact_repos_cache.pop(run_id, None)

    def answers(self) -> bool:
        """Return True if the store answers within seconds."""
        try:
            with short_timeouts():
                self.client.search_experiments(max_results=1)
        except Exception:
            return False
        return True

    @contextmanager
    def requests(self) -> Iterator[None]:
        """Raise a TrackingError of one line for any error of a request in the block."""
        try:
            yield
        except TrackingError:
            raise
        except Exception as error:
            raise TrackingError(f"MLflow at {self.address} refused a request: {reason(error)}") from error


def is_active(entity: Any) -> bool:
    """Return True if a run or an experiment is not deleted in MLflow."""
    return str(getattr(entity, "info", entity).lifecycle_stage) == "active"


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables, which MLflow reads at every request, inside the block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def short_timeouts() -> AbstractContextManager[None]:
    """Shorten MLflow's timeouts inside the block, except those that the user has set."""
    defaults = {name for name in _SHORT_TIMEOUTS if os.environ.get(name) == DEFAULTS[name]}
    return environment({name: _SHORT_TIMEOUTS[name] for name in defaults})


def reason(error: BaseException) -> str:
    """Return an error in one line; for a lost connection, only the cause that the operating system names."""
    if is_full(error):
        path = getattr(error, "filename", None)
        return f"the disk is full: {path}" if path else "the disk is full"
    text = redact(str(error)).strip() or type(error).__name__
    if "Caused by" in text:
        text = text.rpartition("Caused by ")[2].rstrip(")")
        text = text.partition(": ")[2].strip("\"')") or text
        return text.rpartition(": ")[2] if "Failed to" in text else text
    lines = text.splitlines()
    # SQLAlchemy writes a hint for developers before the cause.
    has_hint = len(lines) > 1 and lines[0].startswith("(raised as a result of Query-invoked autoflush")
    # The class of the driver's error is removed, too.
    return names.shorten(re.sub(r"^\(\w+\.[\w.]+\) ", "", lines[1 if has_hint else 0]), 200)


def pages(search: Callable[[str | None], Any]) -> Iterator[Any]:
    """Yield the results on all pages of a search; `search` takes a page token, None for the first page."""
    page = search(None)
    yield from page
    while page.token:
        page = search(page.token)
        yield from page


def as_metrics(
    values: Mapping[str, Any], time: float, *, step: int = 0, model_id: str | None = None
) -> list[Metric]:
    """Return the numeric values of an event as MLflow metrics; `step` is the epoch, 0 for the whole run.

    MLflow ignores metrics that it has already, so sending an event again has no effect.
    """
    from mlflow.entities import Metric

    return [
        Metric(key, float(value), names.milliseconds(time), step, model_id=model_id)
        for key, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
