"""The nodes of a Ray cluster that run the trials of a study.

A node is used if it has the same versions as this machine. Nodes may join and be lost at any time.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.errors import ZooError, one_line
from zoo.tuning.executors.engine import Engine
from zoo.tuning.executors.ray_agent import Settings, dataset_crcs, identity_of, installed_versions
from zoo.tuning.executors.ray_cluster import NodeFacts, check_room, end_agent, find_nodes, start_agent

_AGENT_TIMEOUT_S = 60.0  # at the start of a study, until the first agent answers
_OTHERS_TIMEOUT_S = 15.0  # then, until the others answer; later ones join the running study
_RETURN_TIMEOUT_S = 20.0  # until an agent runs again on one of the nodes that were lost
_JOIN_INTERVAL_S = 5.0  # between two checks for nodes that have joined the cluster
_BLOCK_SIZE = 2**24  # bytes of a dataset that are sent at once


@dataclass(eq=False)
class Node:
    """A node whose agent runs trials."""

    facts: NodeFacts
    agent: Any
    events: Any = None  # the reference to the result of the agent's `events`
    running: set[int] = field(default_factory=set)  # numbers of trials
    datasets: set[str] = field(default_factory=set)  # digests of the datasets that the node has

    @property
    def name(self) -> str:
        return self.facts.name

    @property
    def free_slots(self) -> int:
        return self.facts.slots - len(self.running)

    def listen(self) -> None:
        """Ask the agent for its next events; one such call is always under way."""
        self.events = self.agent.events.remote()

    def post(self, command: str, *arguments: Any) -> None:
        """Send a command to the agent, without waiting for it."""
        self.agent.post.remote(command, *arguments)


class Nodes:
    """The nodes in use. Iterating over them gives a copy, so that nodes may be lost during a loop."""

    def __init__(
        self,
        engine: Engine,
        jobs: float,
        settings: Settings,
        report: Callable[[str], None],
        on_lost: Callable[[Node, str], None],
    ) -> None:
        """Start nothing.

        Args:
            jobs: the largest number of trials at once, on all nodes; `math.inf` is no limit.
            report: gets a line about each problem that does not stop the study.
            on_lost: called with a lost node, and the reason why its trials end.
        """
        self._engine = engine
        self._jobs = jobs
        self._settings = settings
        self._report = report
        self._on_lost = on_lost
        self._versions = installed_versions(settings.components)  # versions on this machine
        self._used: list[Node] = []
        self._joining: dict[Any, Node] = {}  # by Ray's reference to the versions of the node
        self._known: set[str] = set()  # ids of all nodes that are used, or refused
        self._lost: set[str] = set()  # ids of nodes whose loss is reported
        self._looked_at = 0.0

    def __iter__(self) -> Iterator[Node]:
        return iter([*self._used])

    def __len__(self) -> int:
        return len(self._used)

    def open(self) -> None:
        """Wait for the agents of all nodes; raise ZooError if a node has other versions."""
        import ray

        check_room(self._engine)
        self._start_agents()
        references = [*self._joining]
        if ray.wait(references, timeout=_AGENT_TIMEOUT_S)[0]:
            ray.wait(references, num_returns=len(references), timeout=_OTHERS_TIMEOUT_S)
        if problems := self._admit_ready():
            raise ZooError("\n".join(problems))
        late = ", ".join(node.name for node in self._joining.values())
        if not self.wait_for_one():
            raise ZooError(
                f"no node of the Ray cluster answers ({late or 'all were lost'}). Other jobs may use "
                "their CPUs or GPUs: see `ray status`"
            )
        if late:
            self._report(f"no answer yet from the node {late}; it is used as soon as it answers")

    def look_for_others(self) -> None:
        """Use the nodes that have joined the cluster, and those on which an agent can run again."""
        if time.monotonic() - self._looked_at >= _JOIN_INTERVAL_S:
            self._start_agents()
        for problem in self._admit_ready():
            self._report(f"{problem}. The study runs without this node")

    def wait_for_one(self) -> bool:
        """Wait for a node if all are lost; return False if none comes."""
        deadline = time.monotonic() + _RETURN_TIMEOUT_S
        while not self._used and time.monotonic() < deadline:
            time.sleep(0.2)
            self.look_for_others()
        return bool(self._used)

    def lose(self, node: Node) -> None:
        """Stop using a node whose agent has ended."""
        reason = f"the node {node.name} of the cluster was lost"
        self._used.remove(node)
        # Perhaps only the agent died, and the node still exists. Ray needs some seconds to know.
        self._known.discard(node.facts.id)
        self._lost.add(node.facts.id)
        self._looked_at = time.monotonic()
        self._on_lost(node, reason)
        count = sum(one.facts.slots for one in self._used)
        self._report(f"{reason}; trials at once on the others: {count}")

    def close(self) -> None:
        """End the agents."""
        for node in [*self._used, *self._joining.values()]:
            end_agent(node.agent)
        self._used.clear()
        self._joining.clear()

    def share_dataset(self, folder: Path) -> None:
        """Send a prepared dataset to each node that does not have it, once, through the object store."""
        new = [node for node in self._used if folder.name not in node.datasets]
        if not new:
            return
        crcs = dataset_crcs(folder)
        missing = self._call(new, "missing_files", str(folder), identity_of(folder), crcs)
        for name, crc in crcs.items():
            if nodes := [node for node, names in missing.items() if name in names]:
                self._send(nodes, folder / name, crc)
        for node in missing:
            node.datasets.add(folder.name)

    def _send(self, nodes: Sequence[Node], path: Path, crc: str) -> None:
        """Send a file to several nodes, block by block, so that each block is in memory once."""
        import numpy as np
        import ray

        digest, content = path.parent.name, np.memmap(path, np.uint8, "r")
        for start in range(0, len(content), _BLOCK_SIZE):
            block = ray.put(content[start : start + _BLOCK_SIZE])
            self._call(nodes, "receive", digest, path.name, block)
        self._call(nodes, "complete", digest, path.name, crc)

    def _call(self, nodes: Sequence[Node], method: str, *arguments: Any) -> dict[Node, Any]:
        """Return the results of a method of several agents, without those of nodes that are lost."""
        import ray

        used = [node for node in nodes if node in self._used]
        references = {node: getattr(node.agent, method).remote(*arguments) for node in used}
        results = {}
        for node, reference in references.items():
            try:
                results[node] = ray.get(reference)
            except ray.exceptions.RayTaskError as error:
                raise agent_error(node, error) from error
            except ray.exceptions.RayError:
                self.lose(node)
        return results

    def _start_agents(self) -> None:
        """Start an agent on every node that has none."""
        self._looked_at = time.monotonic()
        nodes = [*self._used, *self._joining.values()]
        room = self._jobs - sum(node.facts.slots for node in nodes)
        for facts in find_nodes(self._engine, room, self._known):
            agent = start_agent(facts, self._engine, self._settings)
            self._known.add(facts.id)
            self._joining[agent.versions.remote()] = Node(facts, agent)

    def _admit_ready(self) -> list[str]:
        """Use the nodes whose agents have answered; return a line for each that cannot be used."""
        import ray

        references = [*self._joining]
        ready, _ = ray.wait(references, num_returns=len(references), timeout=0) if references else ([], [])
        return [*filter(None, map(self._admit, ready))]

    def _admit(self, reference: Any) -> str:
        """Use a node if it has the versions of this machine; else return why it is not used."""
        import ray

        node = self._joining.pop(reference)
        try:
            problem = differences(node.name, ray.get(reference), self._versions)
        except ray.exceptions.RayError as error:
            cause = _raised(error)
            if not cause:
                if node.facts.id not in self._lost:
                    self._report(f"the node {node.name} of the cluster was lost before it ran a trial")
                return ""
            problem = f"no trial can run on the node {node.name}: {cause}"
        if problem:
            end_agent(node.agent)
            return problem
        node.listen()
        self._used.append(node)
        return ""


def differences(name: str, there: Mapping[str, str], here: Mapping[str, str]) -> str:
    """Return one line that names what differs on a node; "" if nothing does."""
    texts = [
        f"{key} {there.get(key, 'missing')} (here {here.get(key, 'missing')})"
        for key in dict.fromkeys([*here, *there])
        if here.get(key) != there.get(key)
    ]
    if not texts:
        return ""
    text = ", ".join(texts)
    return f"the node {name} has other versions than this machine: {text}; install the same ones there"


def agent_error(node: Node, error: Exception) -> ZooError:
    """Return the error of an agent, which stops the study."""
    return ZooError(f"the agent on the node {node.name} failed: {_raised(error) or type(error).__name__}")


def _raised(error: Exception) -> str:
    """Return in one line what an agent has raised; "" if its process ended without an error.

    The text of Ray's error ends with the traceback of the agent.
    """
    cause = getattr(error, "cause", None)
    if isinstance(cause, ZooError):
        return one_line(cause).rstrip(".")
    lines = [line for line in str(error).splitlines() if re.match(r"\s*[\w.]+(Error|Exception)\b", line)]
    return re.sub(r"^zoo\.\w+\.\w+: ", "", one_line(lines[-1]))[:300] if lines else ""
