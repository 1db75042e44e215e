"""The file `finished.json` of a study: what the command knew that found no trial left to run.

With it, the next command that finds the same record loads no Keras, and draws and describes nothing again.
It may be deleted at any time.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass

from zoo.checksums import read_json, write_json
from zoo.errors import RecordError
from zoo.record.directories import StudyDirectory


@dataclass(frozen=True)
class FinishedStudy:
    """The end of a study.

    Args:
        trials: the number of trials that the study was to run; 0 if it was never finished.
        state: a digest of everything that the report and the description in MLflow show.
    """

    trials: int = 0
    state: str = ""


def read_finished(directory: StudyDirectory) -> FinishedStudy:
    """Return the last end of a study; if the file is missing or damaged, that of no study."""
    with suppress(RecordError, TypeError):
        document = read_json(directory.path / "finished.json", "")
        return FinishedStudy(int(document["trials"]), str(document["state"]))
    return FinishedStudy()


def write_finished(directory: StudyDirectory, finished: FinishedStudy) -> None:
    write_json(directory.path / "finished.json", asdict(finished))
