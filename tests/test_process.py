"""Worker processes: messages, exits, and an end together with the parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from multiprocessing import forkserver
from pathlib import Path

import psutil
import pytest

from zoo.process import ForkServer, spawn_worker, wait_for_any

WORKER_FUNCTIONS = """
    import ctypes, os, signal, sys, time
    from pathlib import Path
    from zoo.process import enter_worker

    def echo(connection):
        while (message := connection.recv()) is not None:
            connection.send(message)

    def has_loaded(connection, module):
        connection.send(module in sys.modules)

    def exits(connection, status):
        os._exit(status)

    def raises(connection):
        sys.stderr = open(os.devnull, "w")
        raise RuntimeError

    def killed(connection, number):
        os.kill(os.getpid(), number)
        time.sleep(600)

    def half_a_message(connection):
        os.write(connection.fileno(), b"\\0\\0\\0\\xffabc")
        os._exit(0)

    def waits(connection):
        connection.send(os.getpid())
        time.sleep(600)

    def hangs(connection):
        "Sleep in native code with Python's lock held, so that no other thread of this process can run."
        connection.send(os.getpid())
        ctypes.PyDLL(None).sleep(600)

    def enters(connection, log):
        enter_worker({"ZOO_TEST_VARIABLE": "hello"}, Path(log))
        print("printed")
        os.write(2, b"written\\n")
        ignored = [signal.getsignal(signum) == signal.SIG_IGN for signum in (signal.SIGINT, signal.SIGHUP)]
        connection.send((os.environ["ZOO_TEST_VARIABLE"], all(ignored)))

    def prints_on_a_full_disk(connection):
        enter_worker({}, Path("/dev/full"))
        print("x" * 100_000)
        print("an error", file=sys.stderr)
        sys.stdout.flush()
        connection.send("alive")

    def names_main(connection):
        connection.send(getattr(sys.modules["__main__"], "__file__", None))
"""


@pytest.fixture(scope="module")
def functions(tmp_path_factory):
    """The module with the functions of the workers; its folder is on the path."""
    folder = tmp_path_factory.mktemp("functions")
    (folder / "worker_functions.py").write_text(textwrap.dedent(WORKER_FUNCTIONS))
    sys.path.insert(0, str(folder))
    try:
        import worker_functions

        yield worker_functions
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("worker_functions", None)


@pytest.fixture(params=["fork server", "spawn"])
def start(request, functions):
    """start(target, *arguments) -> a worker, for both ways to start one. All are killed afterwards."""
    workers = []
    server = ForkServer([])

    def start(target, *arguments):
        start_worker = server.start_worker if request.param == "fork server" else spawn_worker
        worker = start_worker(target, arguments)
        workers.append(worker)
        return worker

    yield start
    for worker in workers:
        worker.kill()
        worker.finish()


def until(condition, seconds=240.0):
    """Wait until `condition` holds; return False if it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return bool(condition())


def has_ended(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_messages_go_in_both_directions(start, functions):
    worker = start(functions.echo)
    assert worker.process.is_alive()
    assert worker.process.pid != os.getpid()
    for message in ({"event": "epoch", "metrics": {"loss": 0.5}}, True, "text", (1, 2)):
        worker.send(message)
        assert wait_for_any([worker], 240) == [worker]
        assert worker.has_message()
        assert worker.receive() == message
    assert wait_for_any([worker], 0) == []
    assert not worker.has_message()
    worker.send(None)
    assert worker.receive() is None
    assert worker.finish() == "exited with status 0"
    assert not worker.process.is_alive()


@pytest.mark.parametrize(
    ("function", "arguments", "description"),
    [
        ("exits", (3,), "exited with status 3"),
        ("exits", (0,), "exited with status 0"),
        ("raises", (), "exited with status 1"),
        ("killed", (signal.SIGKILL,), "killed by signal 9 (SIGKILL)"),
        ("killed", (signal.SIGTERM,), "killed by signal 15 (SIGTERM)"),
        ("killed", (signal.SIGSEGV,), "killed by signal 11 (SIGSEGV)"),
        ("half_a_message", (), "exited with status 0"),
    ],
)
def test_exit_is_described(start, functions, function, arguments, description):
    worker = start(getattr(functions, function), *arguments)
    assert wait_for_any([worker], 240) == [worker]
    assert worker.receive() is None
    assert worker.finish() == description
    assert worker.finish() == description
    worker.send("too late")
    assert worker.receive() is None
    assert not worker.has_message()


def test_finish_kills_a_worker_after_its_timeout(start, functions):
    worker = start(functions.waits)
    assert psutil.Process(worker.receive()).ppid() == worker.process.pid  # of its guard
    assert worker.finish(timeout=0.1) == "killed by signal 9 (SIGKILL)"
    worker.kill()  # has no effect on an ended worker


def test_wait_returns_workers_with_messages_or_ended(start, functions):
    silent, talking, dead = start(functions.echo), start(functions.echo), start(functions.exits, 0)
    talking.send("hello")
    ready = set()
    assert until(lambda: ready.update(map(id, wait_for_any([silent, talking, dead], 1))) or len(ready) == 2)
    assert ready == {id(talking), id(dead)}


def test_enter_worker_sets_environment_log_and_signals(start, functions, tmp_path, capfd):
    worker = start(functions.enters, str(tmp_path / "output.log"))
    assert worker.receive() == ("hello", True)
    worker.finish()
    assert sorted((tmp_path / "output.log").read_text().split()) == ["printed", "written"]
    assert capfd.readouterr() == ("", "")
    assert "ZOO_TEST_VARIABLE" not in os.environ


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_full_disk_of_the_log_does_not_end_a_worker(start, functions):
    worker = start(functions.prints_on_a_full_disk)
    assert worker.receive() == "alive"
    assert worker.finish() == "exited with status 0"


def test_worker_does_not_see_the_calling_script(start, functions):
    assert start(functions.names_main).receive() is None


# Tests with a parent process of their own


@pytest.fixture
def script(functions, tmp_path):
    """script(text) -> the arguments of Popen that run `text`; it can import from `tmp_path`."""
    path = os.pathsep.join([str(Path(functions.__file__).parent), str(tmp_path)])

    def script(text, *arguments):
        (tmp_path / "script.py").write_text(textwrap.dedent(text))
        command = [sys.executable, str(tmp_path / "script.py"), *arguments]
        return {"args": command, "env": {**os.environ, "PYTHONPATH": path}, "text": True}

    return script


def lines_of(script):
    run = subprocess.run(**script, capture_output=True, timeout=240, check=False)
    assert run.stderr == ""
    return run.stdout.splitlines()


PARENT = """
    import threading
    from zoo.process import ForkServer, spawn_worker
    import worker_functions

    server = ForkServer([])
    server.start()
    workers = [
        server.start_worker(worker_functions.waits, ()),
        spawn_worker(worker_functions.waits, ()),
        server.start_worker(worker_functions.hangs, ()),
    ]
    print(*[worker.receive() for worker in workers], flush=True)
    threading.Event().wait()
"""


@pytest.mark.skipif(
    sys.platform != "linux", reason="a worker in native code is ended by prctl, which only Linux has"
)
@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_when_their_parent_is_killed(script, signum):
    with subprocess.Popen(**script(PARENT), stdout=subprocess.PIPE) as parent:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        try:
            assert until(lambda: psutil.Process(pids[2]).status() == psutil.STATUS_SLEEPING)
            assert [has_ended(pid) for pid in pids] == [False] * 3
            parent.send_signal(signum)
            assert until(lambda: all(map(has_ended, pids)))
        finally:
            parent.kill()
            for pid in pids:
                if not has_ended(pid):
                    os.kill(pid, signal.SIGKILL)


def test_worker_outlives_the_thread_that_started_it(script):
    threaded = script("""
        import threading
        from zoo.process import ForkServer, spawn_worker, wait_for_any
        import worker_functions

        workers = []
        for start_worker in (spawn_worker, ForkServer([]).start_worker):
            def work():
                workers.append(start_worker(worker_functions.echo, ()))
                workers[-1].send("first")
                workers[-1].receive()
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        for worker in workers:
            wait_for_any([worker], 0.2)  # a signal would arrive in this time
            worker.send("second")
            print(worker.receive())
            worker.send(None)
            print(worker.finish())
    """)
    assert lines_of(threaded) == ["second", "exited with status 0"] * 2


def test_script_without_main_guard_runs_once(script):
    unguarded = script("""
        print("the script runs")
        from zoo.process import ForkServer, spawn_worker
        import worker_functions

        server = ForkServer(["json"])
        server.start()
        for start_worker in (server.start_worker, spawn_worker):
            worker = start_worker(worker_functions.echo, ())
            worker.send("answered")
            print(worker.receive())
            worker.send(None)
            worker.finish()
    """)
    assert lines_of(unguarded) == ["the script runs", "answered", "answered"]


def test_preloaded_module_is_loaded_in_every_worker(script, tmp_path):
    (tmp_path / "slow_to_load.py").write_text("print('loaded', flush=True)")
    preloading = script("""
        from zoo.process import ForkServer
        import worker_functions

        server = ForkServer(["slow_to_load"])
        server.start()
        for _ in range(3):
            worker = server.start_worker(worker_functions.has_loaded, ("slow_to_load",))
            print(worker.receive(), flush=True)
            worker.finish()
    """)
    assert lines_of(preloading) == ["loaded", "True", "True", "True"]


def test_dead_fork_server_reports_how_to_see_why(script, tmp_path):
    (tmp_path / "dies_at_once.py").write_text("import os; os._exit(5)")
    dying = script("""
        from zoo.errors import ZooError
        from zoo.process import ForkServer
        import worker_functions

        server = ForkServer(["dies_at_once"])
        server.start()
        try:
            server.start_worker(worker_functions.echo, ())
        except ZooError as error:
            print(error)
    """)
    (line,) = lines_of(dying)
    assert line.startswith("the process from which trials are forked died while it started. ")
    assert line.endswith('-c "import dies_at_once"')


@pytest.mark.faults
def test_fork_server_that_hangs_is_killed(script, tmp_path):
    (tmp_path / "hangs_at_once.py").write_text("import time; time.sleep(600)")
    hanging = script("""
        from zoo import process
        from zoo.errors import ZooError
        import worker_functions

        process._IMPORT_TIMEOUT_S = 1.0
        server = process.ForkServer(["hangs_at_once"])
        server.start()
        try:
            server.start_worker(worker_functions.echo, ())
        except ZooError as error:
            print(error)
    """)
    (line,) = lines_of(hanging)
    assert line.endswith('-c "import hangs_at_once"')


@pytest.mark.faults
def test_fork_server_that_still_imports_ends_with_its_killed_parent(script, tmp_path):
    """The test is in time: it fails if the import goes on for minutes."""
    (tmp_path / "imports_long.py").write_text(
        "import os, time\n"
        "from zoo.process import exiting_with_parent\n"
        "with exiting_with_parent():\n"
        "    print(os.getpid(), flush=True)\n"
        "    time.sleep(600)\n"
    )
    importing = script("""
        import sys
        from zoo.process import ForkServer

        ForkServer(["imports_long"]).start()
        sys.stdin.readline()
    """)
    with subprocess.Popen(**importing, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        server_pid = int(parent.stdout.readline())
        parent.kill()
    assert until(lambda: has_ended(server_pid))


class TestPrivateNamesOfMultiprocessing:
    """`zoo.process` uses two attributes of Python's fork server that have no public names."""

    def test_fork_server_has_a_pid_and_a_pipe(self):
        ForkServer([]).start()
        assert psutil.Process(forkserver._forkserver._forkserver_pid).ppid() == os.getpid()
        os.fstat(forkserver._forkserver._forkserver_alive_fd)

    def test_fork_server_that_still_imports_ends_with_its_parent(self, script, tmp_path):
        (tmp_path / "imports_forever.py").write_text(
            "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
        )
        impatient = script("""
            import sys
            from zoo.process import ForkServer

            ForkServer(["imports_forever"]).start()
            sys.stdin.readline()
        """)
        with subprocess.Popen(**impatient, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
            server_pid = int(parent.stdout.readline())
            assert not has_ended(server_pid)
            parent.stdin.write("exit\n")
        assert until(lambda: has_ended(server_pid))
