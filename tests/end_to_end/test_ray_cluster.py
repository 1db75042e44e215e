"""`zoo tune --engine ray` on a cluster of two nodes, each started by `ray start`."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pytest
import whole_record
from end_to_end_studies import GATED, TINY
from end_to_end_tools import epochs, final_event, is_alive, until

from zoo.data.store import crc_of

pytest.importorskip("ray", reason="Ray is not installed: pip install 'keras-zoo[ray]'")
from ray_nodes import RayCluster

MORE = 4  # trials


@pytest.fixture
def new_cluster(environment):
    """new_cluster() -> a cluster without nodes, which is stopped at the end."""
    clusters = []

    def make():
        clusters.append(RayCluster(environment))
        return clusters[-1]

    yield make
    for cluster in clusters:
        cluster.stop()


@pytest.fixture(scope="module")
def cluster(environment, tmp_path_factory, pip_install, plugin_site):
    """The nodes `same`, which shares the file system, and `other`, with an own cache and another plugin."""
    site, cache = _other_version(pip_install), tmp_path_factory.mktemp("cache")
    cluster = RayCluster(environment)
    try:
        cluster.start("same", PYTHONPATH=str(plugin_site))
        cluster.start("other", ZOO_CACHE_DIR=str(cache), PYTHONPATH=str(site))
        cluster.cache = cache
        yield cluster
    finally:
        cluster.stop()


def _other_version(pip_install):
    """Install zoo-gated 0.1 in a folder, as version 0.2."""
    site = pip_install(Path(__file__).parents[1] / "plugins" / "zoo-gated")
    (info,) = site.glob("zoo_gated-*.dist-info")
    metadata = info / "METADATA"
    metadata.write_text(metadata.read_text().replace("Version: 0.1", "Version: 0.2"))
    info.rename(info.with_name("zoo_gated-0.2.dist-info"))
    return site


def test_trials_on_two_nodes_leave_a_whole_record(new_zoo, cluster):
    zoo = new_zoo("ray", tiny=TINY)
    done = zoo("tune", "tiny", "--engine", "ray", "--address", cluster.address, "--trials", MORE)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert not re.search(r"ray|raylet|\[.*logging", done.stdout + done.stderr, re.IGNORECASE), done.stderr
    assert whole_record.problems(zoo.folder, "tiny", MORE) == []
    trials = zoo.folder / "mlruns" / "zoo" / "tiny" / "trials"
    for number in range(MORE):
        assert {"output.log", "summary.txt"} <= {path.name for path in (trials / f"{number:03d}").iterdir()}
    # Only the node with a cache of its own has got the dataset.
    (own,) = (zoo.folder / "mlruns" / "zoo" / ".cache").glob("*/dataset.json")
    (sent,) = cluster.cache.glob("*/dataset.json")
    crcs = json.loads(own.read_text())["crc32"]
    assert {name: crc_of(sent.parent / name) for name in crcs} == crcs
    again = zoo("tune", "tiny", "--trials", MORE + 1)
    assert again.returncode == 0, again.stderr
    assert whole_record.problems(zoo.folder, "tiny", MORE + 1) == []
    assert cluster.agents() == []


class TestBadInput:
    def errors(self, zoo, *arguments):
        done = zoo("tune", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        return done.errors

    def test_node_with_other_plugin_version_is_named(self, new_zoo, cluster, plugin_site):
        zoo = new_zoo("other", env={"PYTHONPATH": str(plugin_site)}, gated=GATED)
        lines = self.errors(zoo, "gated", "--engine", "ray", "--address", cluster.address)
        # `same` has no zoo-gated at all.
        assert len(lines) == 1
        text = zoo("tune", "gated", "--engine", "ray", "--address", cluster.address).stderr
        assert re.search(
            r"the node other has other versions .*: zoo-gated 0\.2, code \w+ \(here 0\.1, ", text
        )

    def test_too_many_cpus_are_one_line(self, new_zoo, cluster):
        zoo = new_zoo("cpus", tiny=TINY)
        command = ("tiny", "--engine", "ray", "--address", cluster.address)
        (line,) = self.errors(zoo, *command, "--cpus-per-trial", 99)
        assert line.startswith("error: no node of the Ray cluster has 99 CPU for a trial (")
        (line,) = self.errors(zoo, *command, "--gpus-per-trial", 0.5)
        assert line.endswith("the cluster has no GPU, so use --gpus-per-trial 0")


@pytest.fixture
def gated(new_cluster, gated_zoo, plugin_site):
    """gated("one", "two") -> the command, the gate of its trainings, a cluster of nodes with these names."""

    def make(*names):
        zoo, gate = gated_zoo("gated", gated=GATED)
        cluster = new_cluster()
        cluster.variables = {"PYTHONPATH": str(plugin_site), **gate.environment}
        for name in names:
            cluster.start(name, **cluster.variables)
        gate.allow_epochs(1)
        return zoo, gate, cluster

    return make


def waiting_trials(zoo):
    """The running trials that have trained the epoch that the gate allows."""
    trials = {number: zoo.events("gated", number) for number in range(6)}
    return [number for number, events in trials.items() if epochs(events) and not final_event(events)]


def command_on(cluster):
    return ("tune", "gated", "--engine", "ray", "--address", cluster.address)


@pytest.mark.faults
def test_killed_node_loses_and_doubles_nothing(gated):
    zoo, gate, cluster = gated("stays", "dies")
    with zoo.running(*command_on(cluster)) as supervisor:
        supervisor.until(lambda: len(waiting_trials(zoo)) == 2, "the first epochs of two trials")
        cluster.nodes["dies"].kill()
        supervisor.until(lambda: len(waiting_trials(zoo)) == 1, "the end of the trial on the lost node")
        cluster.start("joins", **cluster.variables)
        supervisor.until(lambda: len(waiting_trials(zoo)) == 2, "a trial on the node that has joined")
        gate.open()
        done = supervisor.done()
    assert done.returncode == 0, done.stderr
    assert whole_record.problems(zoo.folder, "gated", 3) == []
    finals = [final_event(zoo.events("gated", number)) for number in range(4)]
    reasons = [final.reason for final in finals if final.is_interrupted]
    assert reasons == ["interrupted: the node dies of the cluster was lost"]
    assert done.errors == []
    assert "raylet" not in done.stdout + done.stderr
    assert done.stderr.count("the node dies of the cluster was lost; ") == 1
    assert "lost before it ran a trial" not in done.stderr


@pytest.mark.faults
def test_killed_supervisor_leaves_no_process(gated):
    zoo, gate, cluster = gated("first", "second")
    with zoo.running(*command_on(cluster)) as supervisor:
        supervisor.until(lambda: len(waiting_trials(zoo)) == 2, "the first epochs of two trials")
        processes = cluster.agents()
        assert len(processes) >= 2 * 4  # agent, fork server, guard and worker process
        supervisor.process.kill()
        until(lambda: not any(map(is_alive, processes)), what="the end of the agents and their trials")
    gate.open()
    done = zoo("tune", "gated", "--engine", "local")
    assert done.returncode == 0, done.stderr
    assert whole_record.problems(zoo.folder, "gated", 3) == []


@pytest.mark.faults
def test_interrupted_trials_continue_on_another_node(gated):
    zoo, gate, cluster = gated("first", "second")
    with zoo.running(*command_on(cluster)) as supervisor:
        supervisor.until(lambda: gate.num_reached() == 2, "two trials, with checkpoints, at the gate")
        supervisor.signal(signal.SIGINT)
        assert supervisor.done().returncode == 130
    assert cluster.agents() == []
    cluster.nodes["second"].kill()  # Ray may not know yet when the next command starts
    gate.open()
    done = zoo(*command_on(cluster))
    assert done.returncode == 0, done.stderr
    assert sorted(re.findall(r"trial \d continues trial \d after epoch 1", done.stderr)) == [
        "trial 2 continues trial 0 after epoch 1",
        "trial 3 continues trial 1 after epoch 1",
    ]
    assert whole_record.problems(zoo.folder, "gated", 3) == []
