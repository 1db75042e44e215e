"""What the light commands load, and how the command line speaks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import zoo
import zoo.cli

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
    run = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return run.stderr.splitlines()[-1]


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
def test_light_commands_load_nothing_heavy(arguments, tmp_path, clean_environment):
    line = last_line(["-c", LOADED, *arguments.split()], tmp_path, clean_environment)
    assert line == "loaded: [] status: 0"


@pytest.mark.parametrize(
    "statement", ["import zoo", "from zoo import Float, Int, List, hookimpl", "import zoo.study"]
)
def test_importing_zoo_loads_nothing_heavy(statement, tmp_path, clean_environment):
    code = (
        f"{statement}\nimport sys\nnames = {{name.partition('.')[0] for name in sys.modules}}\n"
        f"print(sorted(names & {HEAVY!r}), file=sys.stderr)"
    )
    assert last_line(["-c", code], tmp_path, clean_environment) == "[]"


def test_every_public_name_is_there():
    for name in zoo.__all__:
        assert getattr(zoo, name) is not None
    assert set(zoo.__all__) == set(dir(zoo))
    with pytest.raises(AttributeError, match="module 'zoo' has no attribute 'tuna'"):
        zoo.tuna  # noqa: B018


def test_every_command_has_a_module_and_a_line():
    modules = {
        path.stem.removesuffix("_command") for path in Path(zoo.cli.__file__).parent.glob("*_command.py")
    }
    assert modules == set(zoo.cli.COMMANDS)
    for name in modules:
        command = zoo.cli.zoo.get_command(None, name)
        assert command.name == name
        assert command.help


def test_help_lists_every_command(zoo_command):
    helped = zoo_command("--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    for name, line in zoo.cli.COMMANDS.items():
        assert f"  {name}" in helped.stdout
        assert line in helped.stdout
    assert zoo_command().stdout == helped.stdout
    assert zoo_command("-h").stdout == helped.stdout


def test_the_version(zoo_command):
    assert zoo_command("--version").stdout == f"zoo, version {zoo.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("shwo", "error: There is no command 'shwo'. Did you mean 'show'?"),
        ("xyzzy", "error: There is no command 'xyzzy'. Available: check, compare, "),
        ("plugins chek zoo-x", "error: There is no command 'plugins chek'. "),
        ("list --jsn", "error: No such option"),
        ("list fish", "error: Invalid value for '[KIND]': 'fish' is not one of 'datasets', "),
        ("show", "error: Missing argument 'NAME'. (See: zoo show --help)"),
        ("show convnet", "error: Nothing is registered as 'convnet'. Did you mean 'conv_net'?"),
        (
            "check digit_cnn",
            "error: There is no study named 'digit_cnn' in ./studies or among the shipped studies. "
            "Did you mean 'digits_cnn'?",
        ),
    ],
)
def test_bad_input_is_one_line_and_status_2(zoo_command, arguments, line):
    run = zoo_command(*arguments.split())
    assert run.returncode == 2
    assert run.stdout == "" or arguments.startswith("check")
    assert len(run.stderr.splitlines()) == 1
    assert run.stderr.startswith(line)


@pytest.mark.parametrize("arguments", ["list", "check", "show digits_cnn"])
def test_a_working_folder_that_is_gone(arguments, tmp_path, monkeypatch, capsys):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    monkeypatch.setattr(sys, "argv", ["zoo", *arguments.split()])
    with pytest.raises(SystemExit) as ended:
        zoo.cli.main()
    assert ended.value.code == 2
    assert capsys.readouterr() == ("", "error: The working folder is gone; cd to one that exists.\n")


def test_debug_shows_where_an_error_came_from(zoo_command):
    for arguments in (["--debug", "show", "convnet"], ["show", "convnet", "--debug"]):
        run = zoo_command(*arguments)
        assert run.returncode == 2
        assert "Traceback" in run.stderr
        assert run.stderr.splitlines()[-1].startswith("error: Nothing is registered as 'convnet'.")


def test_a_terminal_without_the_signs_still_gets_its_text(zoo_command):
    run = zoo_command("show", "conv_net", env={"PYTHONIOENCODING": "latin-1"})
    assert run.returncode == 0, run.stderr
    assert "8 ? 128 (log)" in run.stdout
