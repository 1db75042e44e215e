"""A process with Keras for one question; the one that asks never imports it."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from zoo.errors import ZooError, one_line
from zoo.process import enter_worker, exit_worker
from zoo.runs.contents import model_of, tell_versions
from zoo.runs.finding import Run
from zoo.training import backend
from zoo.training.server import fork_server
from zoo.tuning.display import Display


def begin() -> None:
    """Begin to load Keras, beside everything else; returns at once.

    Raises:
        ZooError: `KERAS_BACKEND` names one that cannot be had.
    """
    backend.check_backend()
    fork_server().start()


def ask(question: Callable[..., Any], *arguments: Any, log: Path) -> Any:
    """What `question(*arguments)` answers in a process with Keras.

    Args:
        question: a function of a module; it and its answer travel by pickle.
        log: file for what the process prints.

    Raises:
        ZooError: what it raised, in one line, or how the process died.
    """
    begin()
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = backend.child_environment(jobs=1, slot=0, gpus=backend.visible_gpus())
    child = fork_server().start_worker(_answer, (question, arguments, log, environment))
    try:
        answer = child.receive()
        died = child.finish()
    finally:
        child.kill()
    if answer is None:
        raise ZooError(f"The process that asks the model died: {died}; what it printed is in {log}")
    if "error" in answer:
        raise answer["error"]
    return answer["answer"]


def ask_model(question: Callable[..., Any], run: Run, display: Display, *arguments: Any) -> Any:
    """What `question(model_file, *arguments)` answers of a run's model.

    Raises:
        ZooError: as `ask`, or there is no model, with the run's name.
    """
    with model_of(run) as model:
        try:
            tell_versions(model, run, display)
            return ask(question, model, *arguments, log=run.folder / "output.log")
        except ZooError as error:
            raise ZooError(f"{run.title}: {error}") from None


def _answer(
    connection: Any,
    question: Callable[..., Any],
    arguments: tuple[Any, ...],
    log: Path,
    environment: Mapping[str, str],
) -> None:
    enter_worker(environment, log)
    try:
        connection.send({"answer": question(*arguments)})
    except ZooError as error:
        # A plugin's own kind of error might not come out of the pipe as it went in.
        ours = type(error).__module__ == ZooError.__module__
        connection.send({"error": error if ours else ZooError(str(error))})
    except Exception as error:
        traceback.print_exc()  # into the log
        text = f"{type(error).__name__}: {one_line(error)[:300]}; what was printed is in {log}"
        connection.send({"error": ZooError(text)})
    exit_worker(connection)
