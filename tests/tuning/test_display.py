"""The progress display: plain lines, or a moving display on a terminal."""

from __future__ import annotations

import io
import math
import re
import sys
from types import SimpleNamespace

import pytest
from rich.console import Console

from zoo.cli import common, live
from zoo.cli.live import LiveDisplay
from zoo.events import EpochEnd, Progress
from zoo.study import Objective
from zoo.tuning import display as display_module
from zoo.tuning.display import (
    NoDisplay,
    NotebookDisplay,
    PlainDisplay,
    begin_text,
    default_display,
    timeout_text,
)

ESCAPE = "\x1b"
ACCURACY = Objective("val_accuracy", "maximize")
SEVERAL = [ACCURACY, Objective("parameters", "minimize"), Objective("latency_ms", "minimize")]


@pytest.fixture
def config(define):
    definition = define()
    return definition.baseline("d" * 64, 0)


@pytest.fixture
def in_folds(define):
    return define("validation.folds=5").baseline("d" * 64, 0)


def run_study(display, config):
    """Call `display` as the supervisor does: a complete, a failed, a pruned and an unfinished trial."""
    display.phase("preparing …")
    display.preparing("decoding images", 0.5)
    display.begin("digits[x]", [ACCURACY], 2, 9)
    for number in (2, 3):
        display.started(number, config)
    display.progress(2, Progress(1, 0.5))
    display.epoch(2, epoch_end(1, 0.75, 0.3))
    display.epoch(2, epoch_end(2, 0.875, 2.25))
    display.problem("the tracker says [no]")
    display.finished(2, "complete", {"val_accuracy": 0.875}, "", (2, 0.875), 3)
    display.finished(3, "failed", {}, "RuntimeError: no [bold]room[/bold]", (2, 0.875), 4)
    display.started(4, config)
    display.epoch(4, epoch_end(1, 0.5, 0.3))
    display.finished(4, "pruned", {"val_accuracy": 0.5}, "pruned after epoch 1", (2, 0.875), 5)
    display.started(5, config)
    display.phase("finishing …")
    display.end()


def epoch_end(epoch, accuracy, seconds=0.1, fold=None):
    return EpochEnd(0.0, epoch, {"val_accuracy": accuracy, "epoch_seconds": seconds}, fold)


class ClosedStream(io.StringIO):
    """A terminal or pipe that was closed at the other end."""

    def __init__(self, error):
        super().__init__()
        self._error = error
        self.num_writes = 0

    def isatty(self):
        return True

    def write(self, text):
        self.num_writes += 1
        raise self._error("closed")

    def flush(self):
        raise self._error("closed")


class TestPlain:
    @pytest.fixture
    def lines(self, config):
        stream = io.StringIO()
        run_study(PlainDisplay(stream), config)
        return stream.getvalue().splitlines()

    def test_each_event_has_a_line(self, lines):
        timeless = [re.sub(r"\d+\.\d s", "T", line) for line in lines]
        assert timeless == [
            "preparing …",
            "study digits[x]: 9 trials, 2 of them done, maximize val_accuracy",
            "trial 2  epoch 2/3  val_accuracy 0.8750  T",  # an epoch that took long
            "warning: the tracker says [no]",
            "trial 2  complete  val_accuracy 0.8750  T  [3/9]  best 0.8750 (trial 2)",
            "trial 3  failed  T  (RuntimeError: no [bold]room[/bold])  [4/9]  best 0.8750 (trial 2)",
            "trial 4  pruned  val_accuracy 0.5000  T  (pruned after epoch 1)  [5/9]  best 0.8750 (trial 2)",
            "finishing …",
        ]

    def test_reason_in_brackets_has_no_full_stop(self, config):
        stream = io.StringIO()
        display = PlainDisplay(stream)
        display.begin("example", [ACCURACY], 0, 1)
        display.started(0, config)
        display.finished(0, "pruned", {}, "expected fewer filters.", None, 1)
        assert "(expected fewer filters)  [1/1]" in stream.getvalue()

    @pytest.mark.parametrize("error", [BrokenPipeError, ValueError])
    def test_closed_stream_is_written_to_once(self, config, error):
        stream = ClosedStream(error)
        run_study(PlainDisplay(stream), config)
        assert stream.num_writes == 1

    def test_lines_have_no_control_characters(self, lines):
        assert not re.search(r"[\x00-\x1f\x7f]", "".join(lines))

    def test_lines_go_to_stderr(self, config, capsys):
        run_study(PlainDisplay(), config)
        captured = capsys.readouterr()
        assert captured.out == ""
        assert "trial 2  complete" in captured.err

    def test_preparation_is_reported_at_growing_intervals(self, monkeypatch):
        stream, now = io.StringIO(), [0.0]
        monkeypatch.setattr(display_module.time, "monotonic", lambda: now[0])
        display = PlainDisplay(stream)
        display.phase("preparing …")
        while now[0] < 100:
            now[0] += 0.1
            display.preparing("decoding [images]", now[0] / 100)
        lines = stream.getvalue().splitlines()
        assert lines[:3] == ["preparing …", "decoding [images]: 2%", "decoding [images]: 4%"]
        assert 8 < len(lines) < 20
        now[0] += 100
        display.preparing("downloading", None)
        assert stream.getvalue().splitlines()[-1] == "downloading …"

    def test_failed_first_trial_has_no_best(self, config, capsys):
        display = PlainDisplay()
        display.begin("example", [Objective("val_loss", "minimize")], 0, 1)
        display.started(0, config)
        display.finished(0, "failed", {}, "it fell", None, 1)
        assert re.fullmatch(
            r"study example: 1 trial, minimize val_loss\ntrial 0  failed  \d.\d s  \(it fell\)  \[1/1\]\n",
            capsys.readouterr().err,
        )

    def test_every_objective_is_formatted(self, config, capsys):
        display = PlainDisplay()
        display.begin("example", SEVERAL, 0, 1)
        display.started(0, config)
        values = {"val_accuracy": 0.5, "parameters": 12345, "latency_ms": 1.23456}
        display.finished(0, "complete", values, "", (0, 0.5), 1)
        first, last = capsys.readouterr().err.splitlines()
        assert first.endswith("1 trial, maximize val_accuracy, minimize parameters, minimize latency_ms")
        assert re.fullmatch(
            r"trial 0  complete  val_accuracy 0.5000  parameters 12,345  latency_ms 1.23  \d.\d s  "
            r"\[1/1\]  best 0.5000 \(trial 0\)",
            last,
        )

    def test_epoch_of_a_fold_names_the_fold(self, in_folds, capsys):
        display = PlainDisplay()
        display.begin("example", [ACCURACY], 0, 1)
        display.started(0, in_folds)
        display.epoch(0, epoch_end(2, 0.5, 2.5, fold=3))
        assert capsys.readouterr().err.splitlines()[1] == (
            "trial 0  fold 3/5  epoch 2/3  val_accuracy 0.5000  2.5 s"
        )


class TestLive:
    @pytest.fixture
    def terminal(self, monkeypatch):
        """The output on a terminal of 100 columns."""
        stream = io.StringIO()
        console = Console(file=stream, force_terminal=True, width=100, height=30, color_system="truecolor")
        monkeypatch.setattr(live, "Console", lambda **_: console)
        return stream

    def shown(self, display):
        """Return the moving part at the bottom."""
        console = Console(file=io.StringIO(), width=100)
        console.print(display._render())
        return console.file.getvalue()

    def test_finished_trial_leaves_one_line(self, terminal, config):
        run_study(LiveDisplay(), config)
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
        lines = [line.rstrip() for line in re.split(r"[\r\n]+", text)]
        assert "study digits[x]: 9 trials, 2 of them done, maximize val_accuracy" in lines
        assert "warning: the tracker says [no]" in lines
        assert any(re.match(r"trial   2  complete  val_accuracy 0.8750 ★  \d", line) for line in lines)
        failed = [line for line in lines if line.startswith("trial   3  failed")]
        assert len(failed) == 1
        assert failed[0].endswith("RuntimeError: no [bold]room[/bold]")
        assert any(re.match(r"trial   4  pruned    val_accuracy 0.5000  \d", line) for line in lines)

    @pytest.mark.parametrize("error", [OSError, BrokenPipeError, ValueError])
    def test_closed_terminal_does_not_raise(self, monkeypatch, config, error):
        stream = ClosedStream(error)
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("TERM", "xterm")
        run_study(LiveDisplay(), config)
        assert stream.num_writes > 1
        assert sys.stderr is stream

    def test_end_restores_the_cursor(self, terminal, config):
        run_study(LiveDisplay(), config)
        text = terminal.getvalue()
        assert text.count(f"{ESCAPE}[?25l") == text.count(f"{ESCAPE}[?25h") == 1  # the cursor is back

    def test_bottom_shows_running_trials_and_the_study(self, terminal, config):
        display = LiveDisplay()
        display.begin("example", [ACCURACY], 0, 4)
        assert "0/4 trials" in self.shown(display)
        assert "no trial complete yet" in self.shown(display)
        display.started(0, config)
        display.progress(0, Progress(2, 0.5))
        display.epoch(0, epoch_end(2, 0.5))
        display.epoch(0, epoch_end(3, 0.75))
        assert re.search(r"trial   0 .*epoch 3/3 .*0\.7500 ▁█ .*conv_net", self.shown(display))
        display.finished(0, "complete", {"val_accuracy": 0.75}, "", (0, 0.75), 1)
        assert re.search(r"1/4 trials  best 0\.7500 \(trial 0\)  0:00:0\d, about", self.shown(display))
        assert "epoch" not in self.shown(display)
        display.end()

    def test_bottom_shows_the_preparation_of_the_dataset(self, terminal):
        display = LiveDisplay()
        display.phase("preparing the dataset …")
        display.preparing("decoding [4] images", 0.25)
        assert re.search(r"━+ .*decoding \[4\] images: 25%", self.shown(display))
        display.preparing("downloading MNIST", None)
        assert re.search(r"━+ .*downloading MNIST …", self.shown(display))
        display.preparing("downloading MNIST", 1.0)
        assert "MNIST" not in self.shown(display)
        display.preparing("reading", 0.5)  # never reported as done
        display.begin("example", [ACCURACY], 0, 4)
        assert "reading" not in self.shown(display)
        display.end()

    def test_bottom_shows_fold_epoch_and_curve(self, terminal, in_folds):
        display = LiveDisplay()
        display.begin("example", SEVERAL, 0, 4)
        display.started(0, in_folds)
        display.epoch(0, epoch_end(3, 0.75))
        display.progress(0, Progress(1, 0.5, fold=2))
        assert display._running[0].done == pytest.approx((3 + 0.5) / 15)
        assert re.search(r"trial   0 .*fold 2/5  epoch 1/3 .*0\.7500 ▄", self.shown(display))
        for epoch, value in ((1, 0.5), (2, 0.625)):
            display.epoch(0, epoch_end(epoch, value, fold=2))
        assert re.search(r"fold 2/5  epoch 2/3 .*0\.6250 ▁█ ", self.shown(display))
        assert display._running[0].done == pytest.approx(5 / 15)
        display.end()

    @pytest.mark.parametrize(
        ("state", "reason"), [("rejected", "1,500 parameters, but"), ("failed", "it fell")]
    )
    def test_trial_without_an_epoch_shows_its_reason(self, terminal, config, state, reason):
        display = LiveDisplay()
        display.begin("example", [ACCURACY], 0, 1)
        display.started(0, config)
        display.finished(0, state, {}, reason, None, 1)
        display.end()
        assert reason in terminal.getvalue()

    def test_trial_can_start_while_the_display_draws(self, terminal, config, monkeypatch):
        display = LiveDisplay()
        display.begin("example", [ACCURACY], 0, 4)
        display.started(0, config)
        display.started(1, config)
        text = live.Text

        def start_another(*arguments, **keywords):
            display._running.setdefault(len(display._running), display._running[0])
            return text(*arguments, **keywords)

        monkeypatch.setattr(live, "Text", start_another)
        display._render()
        display.end()

    def test_end_is_allowed_early_and_twice(self, terminal):
        display = LiveDisplay()
        display.end()
        display.phase("preparing …")
        display.end()
        display.end()


class TestChoice:
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    def test_terminal_has_a_live_display(self, monkeypatch):
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(sys, "stderr", self.Terminal())
        assert isinstance(common.display(quiet=False), LiveDisplay)

    @pytest.mark.parametrize("term", ["dumb", "unknown"])
    def test_dumb_terminal_has_a_plain_display(self, monkeypatch, term):
        monkeypatch.setenv("TERM", term)
        monkeypatch.setattr(sys, "stderr", self.Terminal())
        assert isinstance(common.display(quiet=False), PlainDisplay)

    def test_pipe_has_a_plain_display(self, monkeypatch):
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        assert isinstance(common.display(quiet=False), PlainDisplay)

    def test_quiet_shows_nothing(self, monkeypatch, config, capsys):
        display = common.display(quiet=True)
        assert type(display) is NoDisplay
        run_study(display, config)
        assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("done", "text"),
    [
        (0, "3 trials, maximize val_accuracy"),
        (2, "3 trials, 2 of them done, maximize val_accuracy"),
        (3, "3 trials, maximize val_accuracy; all done, add trials with --trials N"),
    ],
)
def test_begin_text_counts_trials(done, text):
    assert begin_text([ACCURACY], done, 3) == text


@pytest.mark.parametrize(
    ("deadline", "text"),
    [
        (100.02, "timeout in 1s"),
        (104.6, "timeout in 5s"),
        (825.0, "timeout in 12m5s"),
        (100.0, "timeout reached"),
        (math.inf, ""),
    ],
)
def test_timeout_is_in_whole_seconds(deadline, text, monkeypatch):
    monkeypatch.setattr(display_module, "time", SimpleNamespace(monotonic=lambda: 100.0))
    assert timeout_text(deadline) == text


class TestNotebook:
    @pytest.fixture
    def shown(self, monkeypatch):
        """The HTML of each update, in a notebook that keeps only the last one."""
        ipython = pytest.importorskip("IPython.display")
        shown = []

        def show(html, display_id):
            shown.append(html.data)
            return SimpleNamespace(update=lambda html: shown.append(html.data))

        monkeypatch.setattr(ipython, "display", show)
        return shown

    def test_last_update_shows_the_study(self, shown, config):
        run_study(NotebookDisplay(), config)
        assert '<progress max="9" value="5">' in shown[-1]
        assert "best 0.8750 (trial 2)" in shown[-1]
        assert "trial 4  pruned  val_accuracy 0.5000  pruned after epoch 1" in shown[-1]
        assert "warning: the tracker says [no]" in shown[-1]
        assert "trial 5" not in shown[-1]  # it was running

    def test_running_trial_is_shown(self, shown, config):
        display = NotebookDisplay()
        display.begin("digits", [ACCURACY], 0, 2)
        display.started(0, config)
        assert "trial 0  conv_net" in shown[-1]

    def test_text_is_escaped(self, shown):
        NotebookDisplay().problem("<script>")
        assert "&lt;script&gt;" in shown[-1]

    def test_only_the_last_trials_are_listed(self, shown, config):
        display = NotebookDisplay()
        display.begin("digits", [ACCURACY], 0, 20)
        for number in range(20):
            display.started(number, config)
            display.finished(number, "complete", {}, "", None, number + 1)
        assert "… 8 more" in shown[-1]
        assert "trial 7 " not in shown[-1]

    def test_closed_notebook_does_not_end_a_study(self, monkeypatch, config):
        ipython = pytest.importorskip("IPython.display")
        monkeypatch.setattr(ipython, "display", None)
        run_study(NotebookDisplay(), config)

    @pytest.mark.parametrize(
        ("shell", "expected"), [(SimpleNamespace(kernel=1), NotebookDisplay), (object(), PlainDisplay)]
    )
    def test_display_of_python_calls_depends_on_a_kernel(self, monkeypatch, shell, expected):
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
        assert type(default_display()) is expected
        monkeypatch.delitem(sys.modules, "IPython")
        assert type(default_display()) is PlainDisplay
