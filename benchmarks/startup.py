"""The time of `zoo --help` and `zoo list`, including the start of Python.

python benchmarks/startup.py
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from measuring import machine, main, run, table, take_turns, zoo_command

LIMITS = {"--help": 0.3, "list": 0.5}  # seconds to hold


def measure() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10, metavar="N", help="runs of each command (10)")
    runs = max(1, parser.parse_args().runs)
    with tempfile.TemporaryDirectory(prefix="zoo-startup-") as folder:
        seconds = take_turns(
            LIMITS,
            lambda argument: run(f"zoo {argument}", [*zoo_command(), argument], Path(folder)).seconds,
            runs,
        )
    rows = [
        [
            f"`zoo {argument}`",
            f"{statistics.median(times):.3f}",
            f"{min(times):.3f} … {max(times):.3f}",
            f"{LIMITS[argument]:.1f}",
        ]
        for argument, times in seconds.items()
    ]
    print(machine("keras-zoo"), end="\n\n")
    print(table(["command", f"median of {runs}, s", "range, s", "hold, s"], rows))


if __name__ == "__main__":
    main(measure)
