"""Ray nodes on this machine, each started by `ray start` like that of another machine."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
from end_to_end_tools import is_alive, until

_SMALL = ["--num-gpus", "0", "--object-store-memory", "80000000", "--disable-usage-stats", "--block"]
_FREE_PORTS = ["--min-worker-port", "0", "--max-worker-port", "0", "--dashboard-agent-listen-port", "0"]


class RayNode:
    """A node of a cluster."""

    def __init__(self, folder: Path, arguments: list[str], environment: Mapping[str, str]) -> None:
        with (folder / "output.txt").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ray.scripts.scripts", "start", *arguments, *_SMALL, *_FREE_PORTS],
                cwd=folder,
                env={**environment, "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def processes(self) -> list[psutil.Process]:
        """Return all processes of the node, with those of trials."""
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.process.pid)
            return [process, *process.children(recursive=True)]
        return []

    def kill(self) -> None:
        """Kill Ray's processes of the node, as when the machine fails; the trials have only their guards."""
        processes = self.processes()
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()


class RayCluster:
    """Nodes of this machine; the first one is the head."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.folder = Path(tempfile.mkdtemp(prefix="zoo-ray-"))  # Ray's sockets need a short path
        self.port = _free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.nodes: dict[str, RayNode] = {}

    def start(self, name: str, cpus: int = 1, **variables: str) -> RayNode:
        """Start a node and wait until the cluster has it."""
        folder = self.folder / f"node-{name}"
        folder.mkdir()
        if self.nodes:
            arguments = ["--address", self.address]
        else:
            temporary = str(self.folder / "t")
            arguments = ["--head", "--port", str(self.port), "--temp-dir", temporary]
            arguments += ["--ray-client-server-port", str(_free_port()), "--include-dashboard", "false"]
        arguments += ["--node-name", name, "--num-cpus", str(cpus)]
        node = RayNode(folder, arguments, {**self._environment, **variables})
        self.nodes[name] = node
        until(lambda: self._has_started(folder, node), what=f"the Ray node {name}")
        return node

    def _has_started(self, folder: Path, node: RayNode) -> bool:
        text = (folder / "output.txt").read_text(errors="replace")
        assert node.process.poll() is None, text
        return "Ray runtime started." in text

    def agents(self) -> list[psutil.Process]:
        """Return the processes of the agents of studies, and everything that they have started."""
        found: list[psutil.Process] = []
        for node in self.nodes.values():
            for process in node.processes():
                with contextlib.suppress(psutil.Error):
                    if "ray::Agent" in " ".join(process.cmdline()):
                        found += [process, *process.children(recursive=True)]
        return found

    def stop(self) -> None:
        """End every process of every node."""
        processes: list[Any] = []
        for node in self.nodes.values():
            processes += node.processes()
            node.kill()
        until(lambda: not any(map(is_alive, processes)), what="the end of the cluster")
        shutil.rmtree(self.folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("", 0))
        return int(one.getsockname()[1])
