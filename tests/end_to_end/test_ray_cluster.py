"""`zoo tune --engine ray` on a cluster of two nodes, each started by `ray start`."""

from __future__ import annotations

import json
import re
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


@pytest.mark.faults
def test_killed_node_loses_and_doubles_nothing(new_cluster, gated_zoo, plugin_site):
    zoo, gate = gated_zoo("lost", gated=GATED)
    cluster, same = new_cluster(), {"PYTHONPATH": str(plugin_site), **gate.environment}
    cluster.start("stays", **same)
    lost = cluster.start("dies", **same)
    gate.allow_epochs(1)
    with zoo.running("tune", "gated", "--engine", "ray", "--address", cluster.address) as supervisor:
        supervisor.until(
            lambda: all(len(epochs(zoo.events("gated", number))) == 1 for number in (0, 1)),
            "both first epochs",
        )
        lost.kill()
        supervisor.until(
            lambda: any(final_event(zoo.events("gated", number)) for number in (0, 1)), "the lost trial"
        )
        gate.open()
        done = supervisor.done()
    assert done.returncode == 0, done.stderr
    assert whole_record.problems(zoo.folder, "gated", 3) == []
    finals = [final_event(zoo.events("gated", number)) for number in range(4)]
    assert [final.is_interrupted for final in finals].count(True) == 1
    (reason,) = {final.reason for final in finals if final.is_interrupted}
    assert reason == "interrupted: the node dies of the cluster was lost"
    assert done.errors == []


@pytest.mark.faults
def test_killed_supervisor_leaves_no_agent(new_cluster, gated_zoo, plugin_site):
    zoo, gate = gated_zoo("orphans", gated=GATED)
    cluster, same = new_cluster(), {"PYTHONPATH": str(plugin_site), **gate.environment}
    for name in ("first", "second"):
        cluster.start(name, **same)
    gate.allow_epochs(1)
    with zoo.running("tune", "gated", "--engine", "ray", "--address", cluster.address) as supervisor:
        supervisor.until(lambda: len(epochs(zoo.events("gated", 1))) == 1, "the first epoch of trial 1")
        family = cluster.agents()
        assert len(family) >= 2 * 3  # agent, fork server and worker process, at least
        supervisor.process.kill()
        until(lambda: not any(map(is_alive, family)), what="the end of the agents and their trials")
    gate.open()
    done = zoo("tune", "gated", "--engine", "local")
    assert done.returncode == 0, done.stderr
    assert whole_record.problems(zoo.folder, "gated", 3) == []
