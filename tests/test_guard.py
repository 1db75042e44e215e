"""Guards of worker processes: nothing that a worker process has started survives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from zoo.guard import children_of, is_stopped
from zoo.process import ForkServer, spawn_worker, wait_for_any

pytestmark = pytest.mark.faults

# Starts a child, and a daemon in a session of its own whose parent has ended, as a careless plugin may do.
WORKER = """
    import os, signal, subprocess, sys, time

    START_DAEMON = "import subprocess, sys; print(subprocess.Popen(sys.argv[1:], stdout=-3).pid)"

    def leaves_processes(connection, end):
        sleep = "import time; time.sleep(600)"
        child = subprocess.Popen([sys.executable, "-c", sleep])
        command = [sys.executable, "-c", START_DAEMON, sys.executable, "-c", sleep]
        daemon = subprocess.run(command, start_new_session=True, stdout=subprocess.PIPE).stdout
        forked = os.fork()
        if forked == 0:
            os.setsid()
            time.sleep(600)
        connection.send((os.getpid(), [child.pid, int(daemon), forked]))
        if end == "waits":
            time.sleep(600)
        if end == "crashes":
            os.kill(os.getpid(), signal.SIGSEGV)
        if end == "stops":
            os.kill(os.getpid(), signal.SIGSTOP)
"""

# A zoo that has a worker process in each way, and prints the ids of the processes that they have started.
SUPERVISOR = """
    import sys
    from zoo.process import ForkServer, spawn_worker
    import guarded_functions

    workers = [start(guarded_functions.leaves_processes, ("waits",))
               for start in (ForkServer([]).start_worker, spawn_worker)]
    for worker in workers:
        print(*worker.receive()[1], flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def functions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "guarded_functions.py").write_text(textwrap.dedent(WORKER))
    sys.path.insert(0, str(folder))
    try:
        import guarded_functions

        yield guarded_functions
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("guarded_functions", None)


@pytest.fixture(params=["fork server", "spawn"])
def start(request, functions):
    """start("waits") -> a worker, the id of its process, and the ids of the processes that it has started."""
    workers = []

    def start(end):
        start_worker = ForkServer([]).start_worker if request.param == "fork server" else spawn_worker
        workers.append(start_worker(functions.leaves_processes, (end,)))
        return (workers[-1], *workers[-1].receive())

    yield start
    for worker in workers:
        worker.finish(timeout=0)


def is_running(pid):
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def all_end(pids, seconds=60.0):
    deadline = time.monotonic() + seconds
    while any(map(is_running, pids)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@pytest.mark.parametrize(
    ("end", "exit_text"),
    [("returns", "exited with status 0"), ("crashes", "killed by signal 11 (SIGSEGV)")],
)
def test_nothing_survives_the_end_of_a_worker(start, end, exit_text):
    worker, _, left = start(end)
    assert worker.finish(timeout=60) == exit_text
    assert not any(map(is_running, left))


def test_nothing_survives_a_killed_worker(start):
    worker, pid, left = start("waits")
    assert [is_running(one) for one in (pid, *left)] == [True] * 4
    worker.kill()
    assert worker.finish() == "killed by signal 9 (SIGKILL)"
    assert not any(map(is_running, (pid, *left)))
    assert not worker.was_killed


def test_kill_from_outside_is_seen_and_cleaned_up(start):
    worker, pid, left = start("waits")
    os.kill(pid, signal.SIGKILL)
    assert wait_for_any([worker], 60) == [worker]
    assert worker.finish() == "killed by signal 9 (SIGKILL)"
    assert worker.was_killed
    assert not any(map(is_running, left))


def test_stopped_worker_and_guard_are_killed(start):
    worker, pid, left = start("stops")
    while not is_stopped(pid):
        time.sleep(0.01)
    os.kill(worker.process.pid, signal.SIGSTOP)
    assert children_of(worker.process.pid) != []
    assert worker.finish(timeout=0) == "killed by signal 9 (SIGKILL)"
    assert not any(map(is_running, (pid, *left)))


def test_killed_guard_takes_its_worker_along(start):
    worker, pid, (child, *daemons) = start("waits")
    os.kill(worker.process.pid, signal.SIGKILL)
    assert worker.finish() == "killed by signal 9 (SIGKILL)"
    assert worker.was_killed
    assert all_end([pid, child])
    for daemon in daemons:  # they have left the process group, so only their guard could end them
        with suppress(ProcessLookupError):
            os.kill(daemon, signal.SIGKILL)


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_survives_zoo_and_no_pipe_stays_open(functions, tmp_path, signum):
    script = tmp_path / "supervisor.py"
    script.write_text(textwrap.dedent(SUPERVISOR))
    environment = {**os.environ, "PYTHONPATH": str(Path(functions.__file__).parent)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, str(script)], env=environment, text=True, **pipes) as supervisor:
        left = [int(pid) for _ in range(2) for pid in supervisor.stdout.readline().split()]
        family = [one.pid for one in psutil.Process(supervisor.pid).children(recursive=True)]
        assert len(left) == 6
        assert {*left} <= {*family}
        supervisor.send_signal(signum)
        assert supervisor.stdout.read() == ""  # as `zoo tune STUDY | tail` reads to the end of the pipe
    assert all_end(family)
