"""Pages: independent of the user's settings, and removed from memory afterwards."""

from __future__ import annotations

import gc
import threading

import numpy as np
from shared_tools import run_python

from zoo.figures import confusion_matrix, learning_curves, mistakes


def draw_all(folder, events):
    images = np.zeros((4, 8, 8, 1), np.uint8)
    labels, table = [0, 1, 1, 0], np.eye(2)[[0, 1, 0, 1]]
    return [
        learning_curves(events, folder / "c.png", best_epoch=2, title="t"),
        confusion_matrix(labels, table.argmax(axis=1), ["a", "b"], folder / "m.png", title="t"),
        mistakes(images, labels, table, ["a", "b"], folder / "w.png", title="t"),
    ]


def test_drawing_imports_neither_pyplot_nor_keras(tmp_path):
    program = f"""
import sys
from pathlib import Path
import zoo.figures
assert "matplotlib" not in sys.modules and "PIL" not in sys.modules
event = zoo.events.EpochEnd(1.0e9, 1, {{"loss": 1.0, "val_loss": 1.0}})
zoo.figures.learning_curves([event], Path({str(tmp_path)!r}) / "c.png", best_epoch=1, title="t")
zoo.figures.confusion_matrix([0, 1], [0, 0], ["a", "b"], Path({str(tmp_path)!r}) / "m.png", title="t")
assert "matplotlib" in sys.modules and "matplotlib.pyplot" not in sys.modules
heavy = {{"keras", "tensorflow", "mlflow", "optuna", "pandas", "sklearn"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    run_python("-c", program)


def test_no_figure_stays_in_memory(tmp_path, epoch_events):
    from matplotlib._pylab_helpers import Gcf
    from matplotlib.figure import Figure

    def alive():
        gc.collect()
        return sum(isinstance(found, Figure) for found in gc.get_objects())

    before, events = alive(), epoch_events(3)
    for _ in range(10):
        draw_all(tmp_path, events)
    assert alive() == before
    assert not Gcf.figs


def test_user_settings_are_ignored_and_kept(tmp_path, epoch_events):
    import matplotlib

    events = epoch_events(3)
    plain = [path.read_bytes() for path in draw_all(tmp_path, events)]
    wild = {
        "figure.facecolor": "black",
        "text.color": "red",
        "font.size": 30.0,
        "lines.linewidth": 9.0,
        "axes.facecolor": "green",
        "font.family": ["monospace"],
        "xtick.labelcolor": "white",
        "figure.dpi": 30.0,
        "axes.formatter.use_mathtext": True,
        "text.usetex": True,
    }
    with matplotlib.rc_context(wild):
        assert [path.read_bytes() for path in draw_all(tmp_path, events)] == plain
        assert {name: matplotlib.rcParams[name] for name in wild} == wild


def test_threads_draw_the_same_files(tmp_path, epoch_events):
    events = epoch_events(3)
    expected = [path.read_bytes() for path in draw_all(tmp_path, events)]
    drawn = {}

    def draw(number):
        folder = tmp_path / str(number)
        drawn[number] = [path.read_bytes() for path in draw_all(folder, events)]

    threads = [threading.Thread(target=draw, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(drawn.values()) == [expected] * 4
