"""`zoo.tune`: run a study, write its report, and return a result that a notebook displays."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

from zoo.errors import StudyError, ZooError
from zoo.tuning import TuneResult
from zoo.tuning import tune as run_study

if TYPE_CHECKING:
    import keras
    from plotly.graph_objects import Figure

    from zoo.report import Report

P = ParamSpec("P")


@dataclass(frozen=True)
class StudyResult(TuneResult):
    """The result of a study. A notebook displays it: the result, the best trials, and their curves.

    Args:
        storage: URL of the Optuna storage, if the study was run with this option.
    """

    storage: str | None = field(default=None, repr=False)  # the URL may have a password

    def report(self, output: str | Path | None = None) -> Report:
        """Write the report of the study, one HTML page, and return it; a notebook displays a link.

        Args:
            output: the HTML file; `mlruns/zoo/STUDY/report.html` by default.
        """
        from zoo.report import Report, write_report

        return Report(
            write_report(self.study, None if output is None else Path(output), storage=self.storage)
        )

    def best_model(self) -> keras.Model:
        """Return the model of the best trial, as `zoo.load_model` does."""
        from zoo.models import load_model
        from zoo.record import StudyDirectory
        from zoo.training import backend

        if self.best is None:
            raise StudyError(f"no trial of '{self.study}' is complete, so there is no model.")
        path = StudyDirectory(Path.cwd(), self.study).trial(self.best[0]).model_path
        with backend.discard_stderr():  # the backend writes facts about its build
            return load_model(path if path.exists() else self.study, plugins=self.plugin_files)

    def plot_importances(self) -> Figure:
        """Return a Plotly figure of the importance of each searched parameter for the first objective."""
        from zoo.report import plot_importances

        return plot_importances(self.study, self.storage)

    def _repr_html_(self) -> str:
        from zoo.report import summary_html

        try:
            return summary_html(self.study, self.storage)
        except ZooError as error:  # such as a removed record
            return f"<p>{self.study}: {error}</p>"


def _with_report(run: Callable[P, TuneResult]) -> Callable[P, StudyResult]:
    """Return `zoo.tuning.tune`, which also writes a report and returns a `StudyResult`."""

    @functools.wraps(run)
    def tune(*args: P.args, **options: P.kwargs) -> StudyResult:
        options.setdefault("write_report", _write_report)
        result = run(*args, **options)
        storage: Any = options.get("storage")
        return StudyResult(**vars(result), storage=storage)

    return tune


def _write_report(study: str, storage: str | None) -> Path:
    from zoo.report import write_report

    return write_report(study, storage=storage)


tune = _with_report(run_study)
