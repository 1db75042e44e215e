"""Records and warnings of other libraries go to the log file; the user's own logging stays as it is."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import warnings

import pytest
from shared_tools import run_python

from zoo.logs import cap_log, crash_location, finish_log, library_logs

LIBRARIES = ("absl", "alembic", "keras", "matplotlib", "mlflow", "optuna", "sqlalchemy", "tensorflow")


@pytest.fixture
def log_path(tmp_path):
    return tmp_path / "zoo.log"


@pytest.fixture
def logger():
    """logger("optuna") -> a logger with a handler that writes to stderr, removed after the test."""
    added = []

    def make(name, *, propagate=False):
        found, handler = logging.getLogger(name), logging.StreamHandler(sys.stderr)
        state = (found.handlers[:], found.propagate, found.level, found.disabled)
        added.append((found, state))
        # Other tests import the library, which may have added handlers, set a level or disabled the logger.
        found.handlers[:] = [handler]
        found.propagate, found.disabled = propagate, False
        found.setLevel(logging.DEBUG)
        return found

    yield make
    for found, (handlers, propagate, level, disabled) in reversed(added):
        found.handlers[:] = handlers
        found.propagate, found.disabled = propagate, disabled
        found.setLevel(level)


@pytest.mark.parametrize("name", LIBRARIES)
def test_library_with_own_handler_writes_to_the_file(name, logger, log_path, capsys):
    found = logger(name)
    with library_logs(log_path):
        found.error("from %s itself", name)
        logging.getLogger(f"{name}.part").error("from its module")
    assert capsys.readouterr() == ("", "")
    assert f"ERROR {name}: from {name} itself" in log_path.read_text()
    assert f"ERROR {name}.part: from its module" in log_path.read_text()
    found.error("after the block")
    assert capsys.readouterr().err == "after the block\n"
    assert "after" not in log_path.read_text()


def test_handler_added_inside_the_block_is_not_used(logger, log_path, capsys):
    with library_logs(log_path):
        logger("optuna").error("imported just now")
    assert capsys.readouterr().err == ""
    assert "imported just now" in log_path.read_text()


def test_logger_without_handler_writes_to_the_file(log_path, capsys, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's own
    with library_logs(log_path):
        logging.getLogger("some_library").warning("careful")
    assert capsys.readouterr().err == ""
    assert "WARNING some_library: careful" in log_path.read_text()


def test_users_handlers_work_inside_the_block(logger, log_path, capsys):
    own = logger("my_notebook")
    with library_logs(log_path):
        own.warning("mine")
    assert capsys.readouterr().err == "mine\n"
    assert not log_path.exists()


def test_users_root_handler_works_and_gets_no_library_record(logger, log_path, capsys):
    root = logger("root", propagate=True)  # the root logger by its name
    handlers = list(root.handlers)
    with library_logs(log_path):
        logging.getLogger("my_notebook").warning("mine")
        logging.getLogger("matplotlib.font_manager").warning("findfont: no bold")
    assert capsys.readouterr().err == "mine\n"
    assert "findfont" in log_path.read_text()
    assert root.handlers == handlers


def test_levels_of_the_loggers_count(log_path, monkeypatch):
    monkeypatch.setattr(logging.getLogger("mlflow"), "level", logging.ERROR)
    with library_logs(log_path):
        logging.getLogger("mlflow").warning("not wanted")
    assert not log_path.exists()


def test_warnings_go_to_the_file(log_path, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        before = warnings.showwarning
        with library_logs(log_path):
            warnings.warn("a default has changed", FutureWarning, stacklevel=1)
        assert warnings.showwarning is before
    assert capsys.readouterr().err == ""
    assert "FutureWarning: a default has changed" in log_path.read_text()


def test_captured_warnings_of_the_user_stay_captured(log_path):
    logging.captureWarnings(True)
    captured = warnings.showwarning
    try:
        with library_logs(log_path):
            pass
        assert warnings.showwarning is captured
    finally:
        logging.captureWarnings(False)


def test_exception_restores_everything(log_path):
    before = logging.Logger.callHandlers, warnings.showwarning
    with pytest.raises(RuntimeError), library_logs(log_path):
        raise RuntimeError
    assert (logging.Logger.callHandlers, warnings.showwarning) == before


def test_inner_block_writes_to_its_own_file(tmp_path, logger):
    found = logger("optuna")
    with library_logs(tmp_path / "outer.log"):
        with library_logs(tmp_path / "inner.log"):
            found.error("first")
        found.error("second")
    assert "first" in (tmp_path / "inner.log").read_text()
    assert "second" not in (tmp_path / "inner.log").read_text()
    assert "first" not in (tmp_path / "outer.log").read_text()
    assert "second" in (tmp_path / "outer.log").read_text()


def test_without_a_path_records_are_discarded(logger, tmp_path, capsys):
    with library_logs(None):
        logger("mlflow").error("lost")
    assert capsys.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_file_is_appended_to(log_path, logger):
    found = logger("mlflow")
    for message in ("first", "second"):
        with library_logs(log_path):
            found.error(message)
    assert len(log_path.read_text().splitlines()) == 2


def test_real_libraries_write_nothing_to_the_terminal(log_path):
    """Each is imported inside the block, sets up its logging as it likes, and logs an error."""
    program = f"""
import logging, sys, warnings
from pathlib import Path
from zoo.logs import cap_log, crash_location, finish_log, library_logs
with library_logs(Path({str(log_path)!r})):
    import absl.logging, alembic.runtime.migration, matplotlib.font_manager, mlflow, optuna, sqlalchemy
    absl.logging.error("absl speaks")
    optuna.logging.get_logger("optuna.study").error("optuna speaks")
    for name in ("mlflow.tracking", "alembic.runtime.migration", "sqlalchemy.pool"):
        logging.getLogger(name).error(name + " speaks")
    warnings.warn("python speaks")
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    run = run_python("-c", program, env=environment)
    assert (run.stdout, run.stderr) == ("", "")
    text = log_path.read_text()
    for name in (
        "absl",
        "optuna",
        "mlflow.tracking",
        "alembic.runtime.migration",
        "python",
        "sqlalchemy.pool",
    ):
        assert f"{name} speaks" in text


class TestCappedLog:
    def test_short_log_stays(self, tmp_path):
        (tmp_path / "a.log").write_bytes(b"line\n" * 100)
        cap_log(tmp_path / "a.log", 500)
        assert (tmp_path / "a.log").read_bytes() == b"line\n" * 100
        cap_log(tmp_path / "missing.log")

    def test_long_log_keeps_start_and_end(self, tmp_path):
        """However often it is shortened, the count is of everything that was written."""
        path, written = tmp_path / "a.log", 0
        with path.open("ab", buffering=0) as file:
            for number in range(2000):
                written += file.write(b"line %04d\n" % number)
                cap_log(path, 500)
        start, count, end = re.split(rb"\n\[zoo: (\d+) bytes are left out\]\n", path.read_bytes())
        assert start == b"".join(b"line %04d\n" % number for number in range(50))
        assert end.endswith(b"line 1998\nline 1999\n")
        assert end.startswith(b"line ")
        assert len(start) + int(count) + len(end) == written
        assert path.stat().st_size < 1600

    def test_what_a_fast_process_writes_is_counted(self, tmp_path):
        """Only what the process writes while the log is being cut may be missing in the count."""
        path, total = tmp_path / "a.log", 20_000_000
        code = f"import sys\nfor _ in range({total // 100}): sys.stdout.write('x' * 99 + chr(10))"
        with (
            path.open("ab") as output,
            subprocess.Popen([sys.executable, "-c", code], stdout=output) as process,
        ):
            while process.poll() is None:
                cap_log(path, 10_000)
        cap_log(path, 10_000)
        text = path.read_bytes()
        counts = [int(found) for found in re.findall(rb"\[zoo: (\d+) bytes are left out\]", text)]
        assert counts
        # On a busy machine, this process may wait for the processor during a cut.
        assert 0.5 * total < sum(counts) + len(text) <= 1.001 * total


def test_passwords_are_hidden_in_a_finished_log(tmp_path):
    log = tmp_path / "output.log"
    log.write_bytes(b"loss 0.5\r\n\xff postgresql://me:Can@ry4711@host/db\n")
    finish_log(log)
    assert log.read_bytes() == b"loss 0.5\r\n\xff postgresql://me:***@host/db\n"
    assert list(tmp_path.iterdir()) == [log]
    finish_log(tmp_path / "missing.log")


class TestCrashLocation:
    def test_is_the_innermost_call_of_a_plugin(self, tmp_path):
        code = (
            "import ctypes, faulthandler, threading\n"
            "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
            "faulthandler.enable()\n"
            "ctypes.string_at(0)\n"
        )
        (tmp_path / "nets").mkdir()
        (tmp_path / "nets" / "net.py").write_text(code)
        done = subprocess.run(
            [sys.executable, "nets/net.py"], cwd=tmp_path, stderr=subprocess.PIPE, check=False
        )
        (tmp_path / "a.log").write_bytes(b"Epoch 1\n" + done.stderr)
        assert done.returncode == -11
        assert crash_location(tmp_path / "a.log") == " at nets/net.py:4"

    def test_is_unknown_without_a_crash(self, tmp_path):
        (tmp_path / "a.log").write_bytes(b'File "a.py", line 3 in f\n')
        assert crash_location(tmp_path / "a.log") == crash_location(tmp_path / "missing.log") == ""
