"""A trial whose process starts while others train: it builds its network, then waits for its turn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from zoo.process import WorkerProcess
from zoo.record import TrialDirectory
from zoo.trial import TrialConfig


@dataclass(frozen=True)
class PreparedTrial:
    """A process that waits for the turn of its trial. Until then, its only file is a temporary log."""

    number: int
    config: TrialConfig
    worker: WorkerProcess
    log_path: Path

    def begin(self, number: int, config: TrialConfig, folder: Path) -> WorkerProcess | None:
        """Let the trial begin in `folder`; return None, and end the process, if it cannot run this trial."""
        directory = TrialDirectory(folder)
        is_same = (number, config) == (self.number, self.config) and not directory.checkpoints_dir.exists()
        # Without a log, the process was forked only now, so a new process takes hardly longer.
        if not is_same or self.worker.process.exitcode is not None or not self.log_path.exists():
            self.drop()
            return None
        self.log_path.replace(directory.output_path)
        self.worker.send(True)
        return self.worker

    def drop(self) -> None:
        """End the process and remove its log."""
        self.worker.kill()
        self.worker.finish()
        self.log_path.unlink(missing_ok=True)
