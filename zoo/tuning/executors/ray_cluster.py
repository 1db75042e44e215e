"""A Ray cluster: connecting to it, its nodes, and starting an agent on each."""

from __future__ import annotations

import logging
import math
import os
import re
import signal
import socket
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from zoo.errors import ZooError, one_line
from zoo.process import terminal_signals_blocked
from zoo.training import backend
from zoo.tuning.executors.engine import Engine
from zoo.tuning.executors.ray_agent import Agent, Settings

_CONNECT_TIMEOUT_S = 2.0
_INIT_TIMEOUT_S = 5.0  # for a running cluster, so that an error comes within ten seconds of the start of zoo
_CLIENT_TIMEOUT_S = 40.0  # for a client server, which starts a process for this client


@dataclass(frozen=True)
class NodeFacts:
    """A node that can run trials.

    Args:
        slots: number of trials at the same time.
    """

    id: str
    name: str
    slots: int


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Connect this process to a Ray cluster until the block ends; without an address, start a local one.

    A connection that the caller of `zoo.tune` has opened is used, and stays open.
    """
    ray = _import_ray()
    if ray.is_initialized():
        yield
        return
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    if address not in ("local", "auto"):
        _check_reachable(address)
    with _messages_logged(ray):
        _init(ray, address)
        try:
            yield
        finally:
            ray.shutdown()


def _import_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise ZooError(f"--engine ray needs Ray ({one_line(error)}): pip install 'keras-zoo[ray]'") from None
    return ray


@contextmanager
def _messages_logged(ray: Any) -> Iterator[None]:
    """Log what Ray would print to stdout, such as that a node is lost; `log_to_driver` does not cover it.

    Ray has no public name for this; tests/tuning/test_ray_executor.py fails if the private one disappears.
    """
    worker = ray._private.worker
    print_message = worker.print_to_stdstream

    def log(data: Mapping[str, Any], *_: Any, **__: Any) -> None:
        logging.getLogger("ray").warning("%s", "; ".join(data["lines"]))

    worker.print_to_stdstream = log
    try:
        yield
    finally:
        worker.print_to_stdstream = print_message


def _check_reachable(address: str) -> None:
    """Raise ZooError unless a server answers at `HOST:PORT` or `ray://HOST:PORT`; Ray would wait minutes."""
    found = re.fullmatch(r"(?:ray://)?\[?([^/\[\]]+?)\]?:(\d{1,5})", address)
    if found is None or int(found[2]) > 65535:
        raise ZooError(
            f"--address {address}: expected HOST:PORT, such as 192.0.2.1:6379, or ray://HOST:10001 for a "
            "machine outside the cluster"
        )
    try:
        with socket.create_connection((found[1], int(found[2])), _CONNECT_TIMEOUT_S):
            pass
    except OSError as error:
        raise _unreachable(address, error.strerror or one_line(error)) from None


def _unreachable(address: str, reason: str) -> ZooError:
    return ZooError(
        f"no Ray cluster answers at {address}: {reason}. Start one with `ray start --head`, correct the "
        "address, or leave it out to use this machine."
    )


def _init(ray: Any, address: str) -> None:
    """Call `ray.init`, without the output of its native code."""
    quiet = {"log_to_driver": False, "configure_logging": False}
    with backend.discard_stderr():
        if address == "local":
            _start_local(ray, quiet)
        else:
            _connect(ray, address, quiet)


def _start_local(ray: Any, quiet: Mapping[str, bool]) -> None:
    """Start Ray on this machine. Its processes end with this thread, by a signal of the kernel."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        with terminal_signals_blocked():  # the supervisor handles signals, and needs Ray afterwards
            ray.init("local", include_dashboard=False, **quiet)
    except Exception as error:
        raise ZooError(f"the start of Ray on this machine failed: {one_line(error)[:300]}") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray replaces the handler


def _connect(ray: Any, address: str, quiet: Mapping[str, bool]) -> None:
    """Call `ray.init` in a thread, since it waits for minutes if what answers is not Ray."""
    errors: list[Exception] = []

    def init() -> None:
        try:
            ray.init(address, **quiet)
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=init, daemon=True)
    thread.start()
    thread.join(_CLIENT_TIMEOUT_S if address.startswith("ray://") else _INIT_TIMEOUT_S)
    if thread.is_alive():
        raise _unreachable(
            address, "what answers there is not Ray, expects a token (RAY_AUTH_MODE=token), or is too busy"
        )
    if errors:
        raise _unreachable(address, one_line(errors[0])[:300]) from errors[0]


def find_nodes(engine: Engine, jobs: float, known: Collection[str] = ()) -> list[NodeFacts]:
    """Return the nodes of the cluster that can run trials, without the known ones.

    Args:
        jobs: the largest number of trials, divided between the nodes; `math.inf` is no limit.
        known: ids of nodes.
    """
    cpus, gpus = engine.cpus_per_trial or 1.0, gpus_per_trial(engine)
    nodes = _unique_names([_facts_of(node, cpus, gpus) for node in _alive()])
    return _limit([node for node in nodes if node.slots and node.id not in known], jobs)


def check_room(engine: Engine) -> None:
    """Raise ZooError if no node has the CPUs and GPUs of a trial."""
    if not find_nodes(engine, math.inf):
        raise ZooError(_lack_text(_alive(), engine.cpus_per_trial or 1.0, gpus_per_trial(engine)))


def _alive() -> list[Mapping[str, Any]]:
    import ray

    return [node for node in ray.nodes() if node["Alive"]]


def gpus_per_trial(engine: Engine) -> float:
    """Return the GPUs that a trial takes: by default one, if the cluster has any."""
    import ray

    if engine.gpus_per_trial is not None:
        return engine.gpus_per_trial
    return 1.0 if ray.cluster_resources().get("GPU") else 0.0


def _facts_of(node: Mapping[str, Any], cpus: float, gpus: float) -> NodeFacts:
    resources = node["Resources"]
    slots = int(resources.get("CPU", 0) / cpus + 1e-9)
    if gpus:  # a trial does not use a half of one GPU and a half of another
        slots = min(slots, int(resources.get("GPU", 0)) * int(1 / gpus + 1e-9))
    return NodeFacts(node["NodeID"], node.get("NodeName") or node["NodeManagerHostname"], slots)


def _unique_names(nodes: list[NodeFacts]) -> list[NodeFacts]:
    names = [node.name for node in nodes]
    return [
        node if names.count(node.name) == 1 else replace(node, name=f"{node.name} ({node.id[:6]})")
        for node in nodes
    ]


def _lack_text(nodes: list[Mapping[str, Any]], cpus: float, gpus: float) -> str:
    """Return an error line: no node has enough CPUs and GPUs for a trial. It lists what each node has."""
    each = [(node["NodeName"], node["Resources"]) for node in nodes]
    has = "; ".join(f"{name}: {r.get('CPU', 0):g} CPU, {r.get('GPU', 0):g} GPU" for name, r in each)
    wanted = f"{cpus:g} CPU" + (f" and {gpus:g} GPU" if gpus else "")
    fix = "use a smaller --cpus-per-trial or --gpus-per-trial"
    if gpus and not any(r.get("GPU") for _, r in each):
        fix = "the cluster has no GPU, so use --gpus-per-trial 0"
    return f"no node of the Ray cluster has {wanted} for a trial ({has}); {fix}"


def _limit(nodes: list[NodeFacts], jobs: float) -> list[NodeFacts]:
    """Return the nodes with fewer slots: at most `jobs` on all nodes together, divided evenly."""
    slots = [0] * len(nodes)
    while sum(slots) < jobs and (free := [n for n, node in enumerate(nodes) if slots[n] < node.slots]):
        slots[min(free, key=lambda n: slots[n])] += 1
    return [replace(node, slots=count) for node, count in zip(nodes, slots, strict=True) if count]


def start_agent(node: NodeFacts, engine: Engine, settings: Settings) -> Any:
    """Start the agent of a node and return at once; the agent ends with this process."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    gpus = node.slots * gpus_per_trial(engine)
    actor = ray.remote(
        num_cpus=node.slots * (engine.cpus_per_trial or 1.0),
        num_gpus=math.ceil(gpus) if gpus > 1 else gpus,  # Ray divides one GPU only
        max_concurrency=2,  # one thread waits in `events`
    )(Agent)
    on_node = NodeAffinitySchedulingStrategy(node.id, soft=False)
    return actor.options(scheduling_strategy=on_node).remote(settings, node.slots)


def end_agent(agent: Any) -> None:
    """End an agent, whose trials were stopped."""
    import ray

    with suppress(Exception):  # its node may be lost
        ray.get(agent.close.remote(), timeout=2.0)
    with suppress(Exception):
        ray.kill(agent)
