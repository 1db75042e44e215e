"""A study whose Optuna storage is a real PostgreSQL server, which stops and starts again meanwhile."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from end_to_end_studies import TINY
from end_to_end_tools import Zoo

from zoo.record import StudyDirectory

pytestmark = pytest.mark.faults

FOLDERS = [*os.environ["PATH"].split(os.pathsep), *map(str, Path("/usr/lib/postgresql").glob("*/bin"))]


class Server:
    """A PostgreSQL server with a database of its own in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._data = folder / "data"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"postgresql://zoo@127.0.0.1:{port}/postgres"
        self._options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
        self._call("initdb", "--username=zoo", "--auth=trust", "--no-sync")

    def start(self) -> None:
        log = str(self._data / "log")
        self._call("pg_ctl", "--wait", f"--options={self._options}", f"--log={log}", "start")

    def stop(self) -> None:
        self._call("pg_ctl", "--wait", "--mode=immediate", "stop")

    def _call(self, program: str, *arguments: str) -> None:
        found = shutil.which(program, path=os.pathsep.join(FOLDERS))
        if found is None:
            pytest.skip(f"PostgreSQL's server is not installed: no {program}")
        command = [found, "--pgdata", str(self._data), *arguments]
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            if shutil.which("runuser") is None:
                pytest.skip("PostgreSQL does not run as root, and there is no runuser")
            self._data.parent.chmod(0o777)
            command = ["runuser", "-u", "postgres", "--", *command]
        # A file, since the server would keep a pipe open.
        with (self._data.parent / "output").open("a+") as output:
            subprocess.run(command, stdout=output, stderr=output, cwd="/", check=True)


@pytest.fixture
def server() -> Iterator[Server]:
    # Not in `tmp_path`, which only its owner can enter.
    with tempfile.TemporaryDirectory(prefix="zoo-postgresql-") as folder:
        server = Server(Path(folder))
        server.start()
        yield server
        server.stop()


def test_server_that_stops_is_waited_for(zoo: Zoo, server: Server) -> None:
    pytest.importorskip("psycopg")
    import optuna

    (zoo.folder / "studies").mkdir()
    (zoo.folder / "studies" / "tiny.toml").write_text(TINY)
    trials = StudyDirectory(zoo.folder, "tiny")
    with zoo.running("tune", "tiny", "--trials", 4, "--jobs", 1, "--storage", server.url) as running:
        running.until(trials.trial(0).event_log.path.exists, "an event of the first trial")
        server.stop()
        running.until(lambda: "waiting for the database" in running.stderr(), "the line that it waits")
        server.start()
        done = running.done()
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("waiting for the database") == 1
    states = Counter(
        one.state.name for one in optuna.load_study(study_name="tiny", storage=server.url).trials
    )
    assert states == {"COMPLETE": 4}
    assert trials.numbers() == [0, 1, 2, 3]
    assert all(trials.trial(number).final_event().state == "complete" for number in range(4))
