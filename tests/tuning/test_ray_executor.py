"""The executor for Ray without a cluster: its agent in this process, and the supervisor's side of it.

tests/end_to_end/test_ray_cluster.py runs studies on a real cluster.
"""

from __future__ import annotations

import logging
import math
import socket
import sys
import tempfile
import threading
from collections import deque
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from test_local_executor import CONFIG, make

from zoo.data import Dataset
from zoo.data.store import save_dataset
from zoo.errors import DataError, StudyError, ZooError
from zoo.events import EpochEnd, Finished, Started
from zoo.trial import PluginConfig
from zoo.tuning.executors import ray_agent, ray_cluster, ray_nodes
from zoo.tuning.executors.engine import Engine
from zoo.tuning.executors.ray import NodesLost, RayExecutor
from zoo.tuning.executors.ray_agent import Agent, Arrival, Settings, dataset_crcs, identity_of
from zoo.tuning.executors.ray_cluster import NodeFacts, check_room, connected, find_nodes
from zoo.tuning.executors.ray_nodes import Node, Nodes, differences

SETTINGS = Settings((), (), None, {}, has_gpus=False)
PLACE = "example/trials/007"


@pytest.fixture
def new_agent(monkeypatch, tmp_path):
    """new_agent(jobs=2) -> an agent whose trials are stand-ins."""
    make(2, monkeypatch.setattr)
    monkeypatch.setattr(ray_agent, "start_loading_keras", lambda: None)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")  # as Ray sets it
    agents = []

    def build(jobs, has_gpus):
        agents.append(Agent(SETTINGS._replace(has_gpus=has_gpus), jobs))
        agents[-1]._caches["d" * 64] = tmp_path
        return agents[-1]

    yield build
    for agent in agents:
        agent.post("stop")
        agent.events()
        agent.close()


@pytest.fixture
def agent(new_agent):
    """An agent for two trials, which use no GPU."""
    return new_agent(2, has_gpus=False)


def start(agent, what, files=(), number=7):
    config = replace(CONFIG, architecture=PluginConfig(what)).as_json()
    agent.post("start", number, config, f"example/trials/{number:03d}", dict(files), None)


def next_arrivals(agent, count):
    arrivals = []
    while len(arrivals) < count:
        arrivals += agent.events()
    return arrivals


class TestAgent:
    def test_events_answers_and_files_are_exchanged(self, agent):
        start(agent, "good")
        assert [type(one.event) for one in next_arrivals(agent, 2)] == [Started, EpochEnd]
        agent.post("answer", 7, True)
        (last,) = agent.events()
        assert (last.number, last.event.state, last.event.summary["answer"]) == (7, "complete", True)
        assert b"printed by the trial" in last.files["output.log"].tobytes()
        assert not any(path.is_file() for path in agent._root.rglob("*"))

    def test_stopped_trial_returns_checkpoints_that_it_got(self, agent):
        start(agent, "waits_for_an_answer", {"checkpoints/01-00001.ckpt": np.arange(9, dtype=np.uint8)})
        agent.events()
        agent.post("stop")
        (stopped,) = agent.events()
        assert (stopped.number, stopped.event) == (7, None)
        assert stopped.files["checkpoints/01-00001.ckpt"].tolist() == list(range(9))

    def test_finished_trial_returns_no_checkpoints(self, agent):
        start(agent, "good", {"checkpoints/01-00001.ckpt": np.zeros(9, np.uint8)})
        next_arrivals(agent, 2)
        agent.post("answer", 7, True)
        (last,) = agent.events()
        assert set(last.files) == {"output.log"}

    def test_killed_trial_is_reported_as_killed(self, agent):
        start(agent, "sends_and_is_killed")
        *_, last = next_arrivals(agent, 2)
        assert (last.event.state, last.event.is_killed) == ("failed", True)

    def test_two_trials_share_each_gpu(self, new_agent):
        agent = new_agent(4, has_gpus=True)
        for number in range(4):
            start(agent, "shows_its_gpu", number=number)
        gpus = {arrival.number: arrival.event.device for arrival in next_arrivals(agent, 4)}
        assert gpus == {0: "0", 1: "1", 2: "0", 3: "1"}

    def test_trial_without_gpu_sees_none(self, agent):
        start(agent, "shows_its_gpu")
        (started,) = agent.events()
        assert started.event.device == "-1"

    def test_flush_returns_without_events(self, agent):
        agent.post("flush")
        assert agent.events() == []


class TestDatasets:
    @pytest.fixture
    def folder(self, tmp_path):
        images = np.arange(6 * 4, dtype=np.uint8).reshape(6, 2, 2, 1)
        dataset = Dataset.from_arrays(images, np.array([0, 1] * 3))
        return tmp_path / "cache" / save_dataset(tmp_path / "cache", dataset)

    def send(self, agent, folder):
        missing = agent.missing_files(str(folder), (0, 0), dataset_crcs(folder))
        for name in missing:
            content = np.fromfile(folder / name, np.uint8)
            agent.receive(folder.name, name, content[:5])
            agent.receive(folder.name, name, content[5:])
            agent.complete(folder.name, name, dataset_crcs(folder)[name])
        return missing

    def test_node_gets_every_file_once(self, agent, folder, tmp_path, monkeypatch):
        monkeypatch.setenv("ZOO_CACHE_DIR", str(tmp_path / "node"))
        assert self.send(agent, folder)[-1] == "dataset.json"
        assert dataset_crcs(tmp_path / "node" / folder.name) == dataset_crcs(folder)
        assert self.send(agent, folder) == []

    def test_damaged_file_is_sent_again(self, agent, folder, tmp_path, monkeypatch):
        monkeypatch.setenv("ZOO_CACHE_DIR", str(tmp_path / "node"))
        self.send(agent, folder)
        (tmp_path / "node" / folder.name / "train-labels.npy").write_bytes(b"damaged")
        assert self.send(agent, folder) == ["train-labels.npy"]

    def test_file_that_changes_on_the_way_is_refused(self, agent, folder, tmp_path, monkeypatch):
        monkeypatch.setenv("ZOO_CACHE_DIR", str(tmp_path / "node"))
        agent.missing_files(str(folder), (0, 0), {"train-labels.npy": "00000000"})
        agent.receive(folder.name, "train-labels.npy", np.zeros(3, np.uint8))
        with pytest.raises(DataError, match=r"train-labels\.npy of the dataset .* was damaged on its way"):
            agent.complete(folder.name, "train-labels.npy", "00000000")
        assert list((tmp_path / "node" / folder.name).iterdir()) == []

    def test_node_that_shares_the_file_system_gets_nothing(self, agent, folder, monkeypatch):
        monkeypatch.delenv("ZOO_CACHE_DIR", raising=False)
        assert agent.missing_files(str(folder), identity_of(folder), dataset_crcs(folder)) == []
        assert agent._caches[folder.name] == folder.parent


# --- the supervisor's side


class FakeRay:
    """Ray with references that are lists: [] is pending, a list of one has a value or an error."""

    class RayError(Exception):
        pass

    class RayTaskError(RayError):
        pass

    def __init__(self, *nodes):
        self.exceptions = SimpleNamespace(RayError=self.RayError, RayTaskError=self.RayTaskError)
        self.rows = nodes

    def nodes(self):
        return self.rows

    def cluster_resources(self):
        return {"GPU": sum(row["Resources"].get("GPU", 0) for row in self.rows)}

    def get(self, reference, timeout=None):
        if isinstance(reference.value[0], Exception):
            raise reference.value[0]
        return reference.value[0]

    def wait(self, references, num_returns=1, timeout=None):
        return [one for one in references if one.value], [one for one in references if not one.value]

    def kill(self, agent):
        pass


class Reference:
    def __init__(self, *value):
        self.value = list(value)


class FakeAgent:
    """Keeps the commands; `answers` has the results of `events`, each a list of arrivals or an error."""

    def __init__(self, *answers):
        self.answers, self.commands = deque(answers), []
        self.post = SimpleNamespace(remote=lambda *command: self.commands.append(command))
        self.missing_files = SimpleNamespace(remote=lambda *_: Reference([]))
        self.events = SimpleNamespace(remote=self.next_events)

    def next_events(self):
        return Reference(self.answers.popleft()) if self.answers else Reference()


@pytest.fixture
def executor_on(monkeypatch, tmp_path):
    """executor_on(agent, …) -> an executor whose agents have one slot each, and its problems."""
    monkeypatch.setitem(sys.modules, "ray", FakeRay())
    monkeypatch.setattr("zoo.tuning.executors.ray_nodes.installed_versions", lambda components: {})
    monkeypatch.setattr(Nodes, "look_for_others", lambda self: None)
    monkeypatch.setattr(ray_nodes, "_RETURN_TIMEOUT_S", 0.0)
    monkeypatch.setattr(Nodes, "share_dataset", lambda self, folder: None)
    problems = []

    def build(*agents):
        executor = RayExecutor(Engine("ray"), math.inf, SETTINGS, problems.append)
        for number, agent in enumerate(agents):
            executor.nodes._used.append(Node(NodeFacts(str(number), f"node-{number}", 1), agent))
            executor.nodes._used[-1].listen()
        return executor, problems

    return build


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "example" / "trials" / "007"
    folder.mkdir(parents=True)
    return folder


LOST = FakeRay.RayError("the actor died")


class TestExecutor:
    def test_files_are_written_before_the_final_event(self, executor_on, folder):
        end = Arrival(7, Finished(0.0, "complete"), {"model.keras": np.frombuffer(b"model", np.uint8)})
        executor, _ = executor_on(FakeAgent([Arrival(7, Started(0.0), {})], [end]))
        executor.start(7, CONFIG, folder, folder)
        assert executor.wait(1.0) == [7]
        assert not isinstance(executor.read(7), Finished)
        assert executor.read(7).state == "complete"
        assert (folder / "model.keras").read_bytes() == b"model"
        assert executor.running == []

    def test_lost_node_ends_its_trial_as_killed(self, executor_on, folder):
        executor, problems = executor_on(FakeAgent(), FakeAgent(LOST))
        executor.nodes._used.reverse()
        executor.start(7, CONFIG, folder, folder)
        assert executor.wait(1.0) == [7]
        event = executor.read(7)
        assert (event.state, event.is_killed) == ("failed", True)
        assert event.reason == "the node node-1 of the cluster was lost"
        assert executor.free_slots == 1
        assert problems == ["the node node-1 of the cluster was lost; trials at once on the others: 1"]

    def test_last_lost_node_is_an_error(self, executor_on, folder):
        executor, _ = executor_on(FakeAgent(LOST))
        assert executor.free_slots == 1
        with pytest.raises(NodesLost, match="no node of the Ray cluster is left"):
            executor.start(7, CONFIG, folder, folder)
        assert executor.running == []

    def test_checkpoints_go_to_the_node(self, executor_on, folder):
        agent = FakeAgent()
        executor, _ = executor_on(agent)
        (folder / "checkpoints").mkdir()
        (folder / "checkpoints" / "01-00003.ckpt").write_bytes(b"state")
        executor.start(7, CONFIG, folder, folder, 3)
        ((*command, files, num_left),) = agent.commands
        assert (command, num_left) == (["start", 7, CONFIG.as_json(), PLACE], 3)
        assert {name: content.tobytes() for name, content in files.items()} == {
            "checkpoints/01-00003.ckpt": b"state"
        }

    def test_two_newest_checkpoints_of_a_running_trial_are_kept(self, executor_on, folder):
        state = np.frombuffer(b"state", np.uint8)
        files = {f"checkpoints/01-0000{epoch}.ckpt": state for epoch in (1, 2, 3)}
        executor, _ = executor_on(FakeAgent([Arrival(7, EpochEnd(0.0, 3, {}), files)]))
        executor.start(7, CONFIG, folder, folder)
        assert executor.read(7).epoch == 3
        kept = sorted(path.name for path in (folder / "checkpoints").iterdir())
        assert kept == ["01-00002.ckpt", "01-00003.ckpt"]


def test_differences_name_node_and_versions():
    here, there = {"zoo": "1", "zoo-x": "2, code ab"}, {"zoo": "1", "zoo-x": "3, code cd"}
    text = differences("n1", there, here)
    assert text == (
        "the node n1 has other versions than this machine: zoo-x 3, code cd (here 2, code ab); "
        "install the same ones there"
    )
    assert differences("n1", here, here) == ""


# --- nodes and what they have


def row(name, cpus, gpus=0):
    return {"NodeID": f"id-{name}", "NodeName": name, "Alive": True, "Resources": {"CPU": cpus, "GPU": gpus}}


def slots(monkeypatch, rows, jobs=math.inf, **options):
    monkeypatch.setitem(sys.modules, "ray", FakeRay(*rows))
    return {node.name: node.slots for node in find_nodes(Engine("ray", **options), jobs)}


class TestNodes:
    def test_cpus_decide_without_gpus(self, monkeypatch):
        assert slots(monkeypatch, [row("a", 4), row("b", 2)]) == {"a": 4, "b": 2}
        assert slots(monkeypatch, [row("a", 4), row("b", 1)], cpus_per_trial=2) == {"a": 2}

    def test_trial_takes_a_gpu_where_the_cluster_has_any(self, monkeypatch):
        rows = [row("a", 16, 2), row("b", 4)]
        assert slots(monkeypatch, rows) == {"a": 2}
        assert slots(monkeypatch, rows, gpus_per_trial=0.5) == {"a": 4}
        assert slots(monkeypatch, rows, gpus_per_trial=0) == {"a": 16, "b": 4}

    def test_no_trial_uses_parts_of_two_gpus(self, monkeypatch):
        assert slots(monkeypatch, [row("a", 16, 2)], gpus_per_trial=0.4) == {"a": 4}

    def test_jobs_are_divided_evenly(self, monkeypatch):
        assert slots(monkeypatch, [row("a", 4), row("b", 4)], jobs=3) == {"a": 2, "b": 1}
        assert slots(monkeypatch, [row("a", 1), row("b", 4)], jobs=4) == {"a": 1, "b": 3}

    def test_equal_names_get_an_id(self, monkeypatch):
        rows = [row("a", 1), {**row("a", 1), "NodeID": "fedcba987"}]
        assert list(slots(monkeypatch, rows)) == ["a (id-a)", "a (fedcba)"]

    def test_lack_of_resources_is_one_line(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "ray", FakeRay(row("a", 4)))
        with pytest.raises(ZooError, match=r"no node .* has 8 CPU for a trial \(a: 4 CPU, 0 GPU\); use a"):
            check_room(Engine("ray", cpus_per_trial=8))
        with pytest.raises(ZooError, match=r"the cluster has no GPU, so use --gpus-per-trial 0"):
            check_room(Engine("ray", gpus_per_trial=1))


# --- bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "dask"}, "--engine: unknown engine 'dask'. Available: local, ray."),
        ({"address": "a:1"}, "--address needs --engine ray, but the engine is local; add --engine ray"),
        ({"name": "ray", "cpus_per_trial": 0}, "--cpus-per-trial: expected a number > 0, got 0"),
        ({"name": "ray", "gpus_per_trial": 2}, "--gpus-per-trial: expected a number from 0 to 1, got 2; a"),
    ],
)
def test_bad_option_is_one_line(options, message):
    with pytest.raises(StudyError) as error:
        Engine(**options)
    assert str(error.value).startswith(message)


class TestConnecting:
    @pytest.fixture
    def ray(self, monkeypatch):
        worker = SimpleNamespace(print_to_stdstream=print)
        ray = SimpleNamespace(
            is_initialized=lambda: False, shutdown=lambda: None, _private=SimpleNamespace(worker=worker)
        )
        monkeypatch.setitem(sys.modules, "ray", ray)
        return ray

    def connect(self, address):
        with pytest.raises(ZooError) as error, connected(address):
            pass
        return str(error.value)

    def test_missing_ray_names_the_extra(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "ray", None)
        assert self.connect("local").endswith("pip install 'keras-zoo[ray]'")

    def test_closed_port_is_unreachable(self, ray):
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))  # and does not listen
            address = f"127.0.0.1:{one.getsockname()[1]}"
            assert self.connect(address).startswith(
                f"no Ray cluster answers at {address}: Connection refused."
            )

    def test_address_without_port_is_refused(self, ray):
        assert self.connect("somewhere").startswith("--address somewhere: expected HOST:PORT")

    def test_server_that_is_not_ray_is_unreachable(self, ray, monkeypatch):
        monkeypatch.setattr(ray_cluster, "_INIT_TIMEOUT_S", 0.05)
        is_over = threading.Event()
        ray.init = lambda *_, **__: is_over.wait()
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = f"127.0.0.1:{server.getsockname()[1]}"
            text = self.connect(address)
        is_over.set()
        assert text.startswith(f"no Ray cluster answers at {address}: what answers there is not Ray")

    def test_messages_of_ray_are_logged(self, ray, caplog, capsys, monkeypatch):
        logger = logging.getLogger("ray")
        monkeypatch.setattr(logger, "handlers", [])  # Ray's own, if a test has imported it
        monkeypatch.setattr(logger, "propagate", True)  # to pytest; Ray sets it to False
        ray.init = lambda *_, **__: None
        with connected("local"):
            ray._private.worker.print_to_stdstream({"lines": ["a node is lost"]}, ignore_prefix=False)
        assert caplog.messages == ["a node is lost"]
        assert capsys.readouterr().out == ""
        assert ray._private.worker.print_to_stdstream is print

    def test_ray_has_the_private_name_that_is_replaced(self):
        worker = pytest.importorskip("ray", reason="Ray is not installed")._private.worker
        assert callable(worker.print_to_stdstream)

    def test_connection_of_the_caller_is_kept(self, ray):
        ray.is_initialized = lambda: True
        ray.shutdown = lambda: pytest.fail("the caller's connection was closed")
        with connected(None):
            pass
