"""Worker processes: they receive messages, they die, and they never outlive their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from zoo.process import ForkServer, spawn_worker, wait_for_any

KIDS = """
    import ctypes, os, signal, sys, time
    from pathlib import Path
    from zoo.process import exit_with_parent, enter_worker

    def echo(connection):
        while (message := connection.recv()) is not None:
            connection.send(message)

    def belongs_and_echoes(connection):
        exit_with_parent()
        echo(connection)

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
        exit_with_parent()
        connection.send(os.getpid())
        time.sleep(600)

    def hangs(connection):
        "In native code, with Python's lock held: no other thread of this process can run."
        exit_with_parent()
        connection.send(os.getpid())
        ctypes.PyDLL(None).sleep(600)

    def enters(connection, log):
        enter_worker({"ZOO_TEST_WORD": "hello"}, Path(log))
        print("printed")
        os.write(2, b"written\\n")
        ignored = [signal.getsignal(signum) == signal.SIG_IGN for signum in (signal.SIGINT, signal.SIGHUP)]
        connection.send((os.environ["ZOO_TEST_WORD"], all(ignored)))

    def names_main(connection):
        connection.send(getattr(sys.modules["__main__"], "__file__", None))
"""


@pytest.fixture(scope="module")
def kids(tmp_path_factory):
    """The module that children import their work from, and its folder on the path."""
    folder = tmp_path_factory.mktemp("kids")
    (folder / "process_kids.py").write_text(textwrap.dedent(KIDS))
    sys.path.insert(0, str(folder))
    try:
        import process_kids

        yield process_kids
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("process_kids", None)


@pytest.fixture(params=["fork server", "spawn"])
def start(request, kids):
    """Both ways to start a child; whatever was started is gone afterwards."""
    started = []
    server = ForkServer([])

    def start(target, *arguments):
        begin = server.start_worker if request.param == "fork server" else spawn_worker
        child = begin(target, arguments)
        started.append(child)
        return child

    yield start
    for child in started:
        child.kill()
        child.join()


def until(condition, seconds=30.0):
    """Poll until something holds; whether it did before the time was up."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return bool(condition())


def gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_messages_go_both_ways(start, kids):
    child = start(kids.echo)
    assert child.is_running
    assert child.pid != os.getpid()
    for message in ({"event": "epoch", "metrics": {"loss": 0.5}}, True, "text", (1, 2)):
        child.send(message)
        assert wait_for_any([child], 30) == [child]
        assert child.has_message()
        assert child.receive() == message
    assert wait_for_any([child], 0) == []
    assert not child.has_message()
    child.send(None)
    assert child.receive() is None
    assert child.join() == "exited with status 0"
    assert not child.is_running


@pytest.mark.parametrize(
    ("work", "arguments", "how"),
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
def test_how_it_ended_is_told(start, kids, work, arguments, how):
    child = start(getattr(kids, work), *arguments)
    assert wait_for_any([child], 30) == [child]
    assert child.receive() is None
    assert child.finish() == how
    assert child.finish() == how  # asking twice does no harm
    child.send("too late")
    assert child.receive() is None
    assert not child.has_message()


def test_a_child_that_is_told_to_end_ends(start, kids):
    child = start(kids.waits)
    assert child.receive() == child.pid
    assert child.finish(timeout=0.1) == "killed by signal 9 (SIGKILL)"
    child.kill()  # nothing left to kill, and no harm


def test_waiting_names_those_that_have_something_to_say(start, kids):
    quiet, loud, dead = start(kids.echo), start(kids.echo), start(kids.exits, 0)
    loud.send("hello")
    heard = set()
    assert until(lambda: heard.update(map(id, wait_for_any([quiet, loud, dead], 1))) or len(heard) == 2)
    assert heard == {id(loud), id(dead)}


def test_entering_sets_environment_and_log_and_leaves_ctrl_c_to_the_parent(start, kids, tmp_path, capfd):
    child = start(kids.enters, str(tmp_path / "output.log"))
    assert child.receive() == ("hello", True)
    child.join()
    assert sorted((tmp_path / "output.log").read_text().split()) == ["printed", "written"]
    assert capfd.readouterr() == ("", "")
    assert "ZOO_TEST_WORD" not in os.environ


def test_children_do_not_see_the_script_that_started_them(start, kids):
    assert start(kids.names_main).receive() is None


# Scripts of their own, to be killed or watched from outside


@pytest.fixture
def script(kids, tmp_path):
    """Writes a script and gives what Popen takes to run it; children find `process_kids` and tmp_path."""
    path = os.pathsep.join([str(Path(kids.__file__).parent), str(tmp_path)])

    def script(text, *arguments):
        (tmp_path / "script.py").write_text(textwrap.dedent(text))
        command = [sys.executable, str(tmp_path / "script.py"), *arguments]
        return {"args": command, "env": {**os.environ, "PYTHONPATH": path}, "text": True}

    return script


def lines_of(script):
    run = subprocess.run(**script, capture_output=True, timeout=60, check=False)
    assert run.stderr == ""
    return run.stdout.splitlines()


PARENT = """
    import threading
    from zoo.process import ForkServer, spawn_worker
    import process_kids

    server = ForkServer([])
    server.start()
    children = [
        server.start_worker(process_kids.waits, ()),
        spawn_worker(process_kids.waits, ()),
        server.start_worker(process_kids.hangs, ()),
    ]
    print(*[child.receive() for child in children], flush=True)
    threading.Event().wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="what hangs in native code ends by Linux's prctl")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_children_end_with_a_parent_that_is_killed(script, how):
    with subprocess.Popen(**script(PARENT), stdout=subprocess.PIPE) as parent:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        try:
            assert until(lambda: psutil.Process(pids[2]).status() == psutil.STATUS_SLEEPING)
            assert [gone(pid) for pid in pids] == [False] * 3
            parent.send_signal(how)
            assert until(lambda: all(map(gone, pids)), seconds=5)
        finally:
            parent.kill()
            for pid in pids:
                if not gone(pid):
                    os.kill(pid, signal.SIGKILL)


def test_a_child_outlives_the_thread_that_started_it(script):
    started_by_threads = script("""
        import threading
        from zoo.process import ForkServer, spawn_worker, wait_for_any
        import process_kids

        children = []
        for begin in (spawn_worker, ForkServer([]).start_worker):
            def work():
                children.append(begin(process_kids.belongs_and_echoes, ()))
                children[-1].send("are you there?")
                children[-1].receive()
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        for child in children:
            wait_for_any([child], 0.2)  # time for a signal to arrive, if there is one
            child.send("still there?")
            print(child.receive())
            child.send(None)
            print(child.join())
    """)
    assert lines_of(started_by_threads) == ["still there?", "exited with status 0"] * 2


def test_a_script_without_a_guard_runs_once(script):
    unguarded = script("""
        print("the script runs")
        from zoo.process import ForkServer, spawn_worker
        import process_kids

        server = ForkServer(["json"])
        server.start()
        for begin in (server.start_worker, spawn_worker):
            child = begin(process_kids.echo, ())
            child.send("answered")
            print(child.receive())
            child.send(None)
            child.join()
    """)
    assert lines_of(unguarded) == ["the script runs", "answered", "answered"]


def test_what_the_fork_server_loads_is_there_in_every_child(script, tmp_path):
    (tmp_path / "slow_to_load.py").write_text("print('loaded', flush=True)")
    preloading = script("""
        from zoo.process import ForkServer
        import process_kids

        server = ForkServer(["slow_to_load"])
        server.start()
        for _ in range(3):
            child = server.start_worker(process_kids.has_loaded, ("slow_to_load",))
            print(child.receive(), flush=True)
            child.join()
    """)
    assert lines_of(preloading) == ["loaded", "True", "True", "True"]


def test_a_fork_server_that_dies_of_its_imports_says_how_to_see_why(script, tmp_path):
    (tmp_path / "dies_at_once.py").write_text("import os; os._exit(5)")
    dying = script("""
        from zoo.errors import ZooError
        from zoo.process import ForkServer
        import process_kids

        server = ForkServer(["dies_at_once"])
        server.start()
        try:
            server.start_worker(process_kids.echo, ())
        except ZooError as error:
            print(error)
    """)
    (line,) = lines_of(dying)
    assert line.startswith("The process from which trials are forked died while it started. ")
    assert line.endswith('-c "import dies_at_once"')
