"""The page: sections and figures in one HTML file."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from zoo._version import __version__
from zoo.errors import ZooError
from zoo.files import check_writable, write_atomically
from zoo.logs import library_logs
from zoo.report._record import StudyRecord, read_record
from zoo.report._result import best_model, result
from zoo.report._search_plots import search_plots, slices
from zoo.report._sources import MAX_SHOWN, data, reproduction
from zoo.report._trials import leaderboard, period, pruning, reasons

_LISTED = 20  # rows of a table; other rows are collapsed or left out


def write_report(
    study: str,
    path: Path | None = None,
    *,
    storage: str | None = None,
    on_problem: Callable[[str], None] = lambda text: None,
) -> Path:
    """Write the report of a study that is recorded in the working folder, and return the path of its file.

    Args:
        study: the study's name.
        path: the HTML file to write; `mlruns/zoo/STUDY/report.html` by default.
        storage: URL of the Optuna storage, needed for its password, which is not recorded.
        on_problem: called with a sentence for each part of the record that cannot be read.

    Raises:
        ZooError: there is no such study, `storage` cannot be read, or the file cannot be written.
    """
    if path is not None:
        check_writable(path, "--output", creates_folders=True)
    with library_logs(None):  # Optuna logs every study that it opens
        record = read_record(study, storage)
        path = path or record.directory.path / "report.html"
        page = _render(record)
    for problem in record.problems:
        on_problem(problem)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, page)
    except OSError as error:
        raise ZooError(f"cannot write {path}: {error.strerror}. Choose another file with --output.") from None
    return path


def _render(record: StudyRecord) -> str:
    from jinja2 import Environment, StrictUndefined
    from plotly.offline import get_plotlyjs

    folder = files("zoo.report")
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    environment.filters |= {"code": _code, "breakable": _breakable}
    template = environment.from_string(folder.joinpath("page.html.jinja").read_text(encoding="utf-8"))
    return template.render(
        css=folder.joinpath("page.css").read_text(encoding="utf-8"),
        plotly=get_plotlyjs(),
        version=__version__,
        written=f"{datetime.now().astimezone():%Y-%m-%d %H:%M}",
        **_content(record),
    )


def _code(text: str) -> Any:
    """Return a text as HTML; a part in backticks becomes code."""
    from markupsafe import Markup

    parts = enumerate(text.split("`"))
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 else part for index, part in parts
    )


def _breakable(name: str) -> Any:
    """Return a name as HTML in which lines may break only after a dot or an underscore."""
    from markupsafe import Markup

    return Markup("<wbr>").join(re.split(r"(?<=[._])", name))


def _content(record: StudyRecord) -> dict[str, Any]:
    has_several_objectives = len(record.objectives) > 1
    content = {
        "study": record.name,
        "period": period(record.runs),
        "objectives": ", ".join(f"{one.direction} {one.metric}" for one in record.objectives),
        "validation_name": record.validation_name,
        "metric": record.objectives[0].metric,
        "dataset": record.runs[0].config.dataset.name,
        "is_running": any(run.state == "running" for run in record.runs),
        "result": result(record),
        "best": best_model(record),
        "best_title": "Best in the first objective" if has_several_objectives else "Best model",
        "plots": search_plots(record),
        "slices": slices(record),
        "board": leaderboard(record),
        "listed": _LISTED,
        "shown_classes": MAX_SHOWN,
        "reasons": reasons(record),
        "pruning": pruning(record),
        "data": data(record),
        "again": reproduction(record),
    }
    return {**content, "problems": record.problems}  # read last, because the calls above add problems
