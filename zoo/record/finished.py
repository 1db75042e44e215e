"""The file `finished.json` of a study: what the last command recorded after it found no trial left to run.

If the next command finds the same record, it does not load Keras, draw figures or write descriptions again.
The file may be deleted at any time.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass

from zoo.checksums import read_json, write_json
from zoo.errors import RecordError
from zoo.record.directories import StudyDirectory


@dataclass(frozen=True)
class FinishedStudy:
    """The recorded end of a study.

    Args:
        trials: the number of trials that the study had to run; 0 if it was never finished.
        state: a digest of everything that the report and the description in MLflow show.
    """

    trials: int = 0
    state: str = ""


def read_finished(directory: StudyDirectory) -> FinishedStudy:
    """Return the last end of a study; an empty one if the file is missing or damaged."""
    with suppress(RecordError, TypeError):
        document = read_json(directory.path / "finished.json", "")
        return FinishedStudy(int(document["trials"]), str(document["state"]))
    return FinishedStudy()


def write_finished(directory: StudyDirectory, finished: FinishedStudy) -> None:
    write_json(directory.path / "finished.json", asdict(finished))
