"""What the light commands import, and how the command line reports errors."""

from __future__ import annotations

import atexit
import errno
import sys
from pathlib import Path

import pytest
from shared_tools import run_python

import zoo
import zoo.cli
from zoo.cli import common

HEAVY = {
    "keras",
    "tensorflow",
    "jax",
    "torch",
    "mlflow",
    "optuna",
    "pandas",
    "matplotlib",
    "sklearn",
    "mlxtend",
    "plotly",
}

LOADED = f"""
import sys
sys.argv = ["zoo", *sys.argv[1:]]
import zoo.cli
try:
    zoo.cli.main()
except SystemExit as end:
    status = end.code
names = {{name.partition(".")[0] for name in sys.modules}}
print("loaded:", sorted(names & {HEAVY!r}), "status:", status, file=sys.stderr)
"""


def last_line(command, folder, env):
    return run_python(*command, cwd=folder, env=env, status=None).stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "--help",
        "--version",
        "plugins new zoo-mine --kind dataset",
        "list",
        "list --json",
        "show conv_net",
        "show affine --json",
        "show digits_cnn",
        "check",
        "plugins",
        "plugins check --help",
        *(f"{command} --help" for command in zoo.cli.COMMANDS),
        "inspect features --help",
    ],
)
def test_light_command_imports_nothing_heavy(arguments, tmp_path, clean_environment):
    line = last_line(["-c", LOADED, *arguments.split()], tmp_path, clean_environment)
    assert line == "loaded: [] status: 0"


@pytest.mark.parametrize(
    "statement", ["import zoo", "from zoo import Float, Int, List, hookimpl", "import zoo.study"]
)
def test_importing_zoo_imports_nothing_heavy(statement, tmp_path, clean_environment):
    code = (
        f"{statement}\nimport sys\nnames = {{name.partition('.')[0] for name in sys.modules}}\n"
        f"print(sorted(names & {HEAVY!r}), file=sys.stderr)"
    )
    assert last_line(["-c", code], tmp_path, clean_environment) == "[]"


def test_every_public_name_exists():
    for name in zoo.__all__:
        assert getattr(zoo, name) is not None
    assert set(zoo.__all__) == set(dir(zoo))
    with pytest.raises(AttributeError, match="module 'zoo' has no attribute 'tuna'"):
        zoo.tuna  # noqa: B018


def test_every_command_has_a_module_and_a_help_line():
    modules = {
        path.stem.removesuffix("_command") for path in Path(zoo.cli.__file__).parent.glob("*_command.py")
    }
    assert modules == set(zoo.cli.COMMANDS)
    for name in modules:
        command = zoo.cli.zoo.get_command(None, name)
        assert command.name == name
        assert command.help


def test_help_lists_every_command(zoo_command):
    help_run = zoo_command("--help")
    assert (help_run.returncode, help_run.stderr) == (0, "")
    for name, line in zoo.cli.COMMANDS.items():
        assert f"  {name}" in help_run.stdout
        assert line in help_run.stdout
    assert zoo_command().stdout == help_run.stdout
    assert zoo_command("-h").stdout == help_run.stdout


def test_version_is_printed(zoo_command):
    assert zoo_command("--version").stdout == f"zoo, version {zoo.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("shwo", "error: there is no command 'zoo shwo'. Did you mean 'show'?"),
        ("xyzzy", "error: there is no command 'zoo xyzzy'. Available: check, compare, "),
        ("plugins chek zoo-x", "error: there is no command 'zoo plugins chek'. Did you mean 'check'?"),
        ("list --jsn", "error: no such option '--jsn'"),
        ("tune digits_cnn --trails 3", "error: no such option '--trails'. Did you mean '--trials'?"),
        ("tune", "error: missing argument STUDY. Available: "),
        ("train", "error: missing argument STUDY. Available: "),
        (
            "compare",
            "error: missing argument STUDIES. No study is recorded; `zoo tune` records one. (See",
        ),
        ("evaluate", "error: missing argument STUDY or --run FOLDER. No study is recorded"),
        ("delete", "error: missing argument STUDY. No study is recorded"),
        ("tune a --study b", 'error: got "a" and --study "b"; use one of the two (See: zoo tune --help)'),
        ("compare a --study b", 'error: got ["a"] and --study ["b"]; use one of the two'),
        ("rename old", "error: missing argument 'NEW'."),
        ("list fish", "error: invalid value for '[KIND]': 'fish' is not one of 'datasets', "),
        ("show", "error: missing argument 'NAME'. (See: zoo show --help)"),
        ("show convnet", "error: there is no component or study named 'convnet'. Did you mean 'conv_net'?"),
        (
            "check digit_cnn",
            "error: there is no study named 'digit_cnn' in ./studies or among the shipped studies. "
            "Did you mean 'digits_cnn'?",
        ),
    ],
)
def test_mistake_is_one_line_and_status_2(zoo_command, arguments, line):
    run = zoo_command(*arguments.split())
    assert run.returncode == 2
    assert run.stdout == "" or arguments.startswith("check")
    assert len(run.stderr.splitlines()) == 1
    assert run.stderr.startswith(line)


@pytest.mark.parametrize("arguments", ["list", "check", "show digits_cnn"])
def test_missing_working_folder_is_one_line(arguments, tmp_path, monkeypatch, capsys):
    (tmp_path / "lost").mkdir()
    monkeypatch.chdir(tmp_path / "lost")
    (tmp_path / "lost").rmdir()
    monkeypatch.setattr(sys, "argv", ["zoo", *arguments.split()])
    with pytest.raises(SystemExit) as ended:
        zoo.cli.main()
    assert ended.value.code == 2
    assert capsys.readouterr() == ("", "error: the working folder no longer exists; cd to one that exists.\n")


def test_full_disk_is_one_line(in_tmp, monkeypatch, capsys):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device", str(in_tmp / "uid"))

    monkeypatch.setattr(sys, "argv", ["zoo", "list"])
    monkeypatch.setattr(zoo.cli.zoo, "main", full)
    with pytest.raises(SystemExit) as ended:
        zoo.cli.main()
    assert ended.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: the disk is full: {in_tmp / 'uid'} cannot be written (")
    assert line.endswith(" MB are free). Make room, and run the same command again.")


def test_line_break_in_an_argument_is_one_line(in_tmp, monkeypatch, capsys):
    for arguments in (["show", "conv\nnet"], ["predict", "no\nmodel.keras", "x.png"]):
        monkeypatch.setattr(sys, "argv", ["zoo", *arguments])
        with pytest.raises(SystemExit):
            zoo.cli.main()
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: there is no ")


def test_debug_shows_the_traceback(zoo_command):
    for arguments in (["--debug", "show", "convnet"], ["show", "convnet", "--debug"]):
        run = zoo_command(*arguments)
        assert run.returncode == 2
        assert "Traceback" in run.stderr
        assert run.stderr.splitlines()[-1].startswith(
            "error: there is no component or study named 'convnet'."
        )


def test_terminal_without_unicode_shows_question_marks(zoo_command):
    run = zoo_command("show", "conv_net", env={"PYTHONIOENCODING": "latin-1"})
    assert run.returncode == 0, run.stderr
    assert "8 ? 128 (log)" in run.stdout


def test_study_can_be_named_twice_alike(zoo_command):
    run = zoo_command("check", "digits_cnn", "--study", "digits_cnn")
    assert run.returncode == 0, run.stderr


def test_missing_study_names_the_recorded_ones(zoo_command, tmp_path):
    for name in ("signs", "digits"):
        (tmp_path / "mlruns" / "zoo" / name / "trials").mkdir(parents=True)
    run = zoo_command("inspect", "curves")
    assert run.stderr == (
        "error: missing argument STUDY or --run FOLDER. Available: digits, signs. "
        "(See: zoo inspect curves --help)\n"
    )


def test_private_name_of_atexit_exists():
    """`zoo.cli.run` calls it before it ends the process; no public function does the same."""
    assert callable(atexit._run_exitfuncs)


def test_closed_stderr_does_not_end_a_command(monkeypatch):
    def fail(*_, **__):
        raise BrokenPipeError

    monkeypatch.setattr("click.echo", fail)
    common.print_next(("zoo list", "names"))
