"""Plugins that harm the process they are loaded in: they are left out, with a message."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from zoo.errors import PluginError, ZooError
from zoo.registry import Registry, _isolation

PAGE = Path(__file__).parents[2] / "docs" / "plugin-errors.md"

GOOD = """
from zoo import hookimpl

@hookimpl
def register_augmentations(register):
    register({name})

def {name}():
    "Something."
"""

CHANGES = (
    " changes global state when it is loaded: {}; do that, or import the package that does it, "
    "inside the function that needs it."
)
IMPORTS = (
    " imports {} when it is loaded ({}), which takes seconds; import it inside the function that needs it."
)
ENDS = " ended the process that loaded it: {}."
HANGS = (
    " took longer than 3 s to load, at zoo_rogue/{}; do less when it is imported, or set ZOO_PLUGIN_SECONDS "
    "to more seconds."
)
PRINTS = " prints when it is loaded: {}; print inside a function, or do not print."

# name -> code in front of a good plugin, and the end of the message about it; "" if it stays a good plugin
ROGUES = {
    "exits": ("import os\nos._exit(3)", ENDS.format("exited with status 3")),
    "exits_well": ("import os\nos._exit(0)", ENDS.format("exited with status 0")),
    "crashes": (
        "import ctypes\n\ndef boom():\n    ctypes.string_at(0)\n\nboom()",
        ENDS.format("killed by signal 11 (SIGSEGV), at zoo_rogue/crashes.py:5"),
    ),
    "is_killed": (
        "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
        ENDS.format("killed by signal 9 (SIGKILL)"),
    ),
    "hangs": ("import time\ntime.sleep(600)", HANGS.format("hangs.py:3")),
    "hangs_with_the_lock": (  # of Python: no other thread can run
        "import ctypes\nctypes.PyDLL(None).sleep(600)",
        HANGS.format("hangs_with_the_lock.py:3"),
    ),
    "prints": ("print('hello')\nprint('you')", PRINTS.format("'hello you'")),
    "prints_much": ("print('x' * 100_000)", PRINTS.format("'" + 59 * "x" + "…'")),
    "prints_natively": ("import os\nos.write(1, b'hello')", PRINTS.format("'hello'")),
    "complains": ("import sys\nprint('oh', file=sys.stderr)", PRINTS.format("'oh'")),
    "asks": ("input()", " could not be loaded: EOFError: EOF when reading a line (zoo_rogue/asks.py:2)"),
    "interrupts": (
        "raise KeyboardInterrupt",
        " could not be loaded: KeyboardInterrupt (zoo_rogue/interrupts.py:2)",
    ),
    "environment": (
        "import os\nos.environ['ZOO_ROGUE'] = '1'",
        CHANGES.format("the environment variable ZOO_ROGUE"),
    ),
    "forgets": ("import os\ndel os.environ['PATH']", CHANGES.format("the environment variable PATH")),
    "moves": ("import os\nos.chdir('/')", CHANGES.format("the working folder")),
    "seeds": (
        "import random\nimport numpy\nrandom.seed(0)\nnumpy.random.seed(0)",
        CHANGES.format("Python's random numbers, NumPy's random numbers"),
    ),
    "silences": ("import warnings\nwarnings.simplefilter('ignore')", CHANGES.format("warnings.filters")),
    "logs": ("import logging\nlogging.basicConfig(level='DEBUG')", CHANGES.format("the root logger")),
    "handles": (
        "import signal\nsignal.signal(signal.SIGTERM, lambda *_: None)",
        CHANGES.format("the handler of SIGTERM"),
    ),
    "path": ("import sys\nsys.path.insert(0, '/rogue')", CHANGES.format("sys.path")),
    "divides": ("import numpy\nnumpy.seterr(divide='raise')", CHANGES.format("numpy.geterr()['divide']")),
    "changes_much": (
        "import os, random, signal, sys, warnings\nos.environ['ZOO_ROGUE'] = '1'\nos.chdir('/')\n"
        "sys.path.append('/')\nwarnings.simplefilter('ignore')\nsignal.signal(signal.SIGUSR1, print)\n"
        "random.seed(0)",
        CHANGES.format(
            "the environment variable ZOO_ROGUE, the working folder, sys.path, warnings.filters, "
            "the handler of SIGUSR1 and 1 more"
        ),
    ),
    "hangs_with_a_child": (
        "import subprocess, time\nfrom pathlib import Path\nchild = subprocess.Popen(['sleep', '600'])\n"
        "Path(__file__).with_name('child.txt').write_text(str(child.pid))\ntime.sleep(600)",
        HANGS.format("hangs_with_a_child.py:6"),
    ),
    "heavy": ("\nimport mlflow", IMPORTS.format("mlflow", "zoo_rogue/heavy.py:3")),
    "heavy_if_there": (
        "try:\n    import keras\nexcept ImportError:\n    keras = None",
        IMPORTS.format("keras", "zoo_rogue/heavy_if_there.py:3"),
    ),
    "heavy_through_another": (
        "from zoo_rogue import heavy_inside",
        IMPORTS.format("optuna", "zoo_rogue/heavy_inside.py:2"),
    ),
    "heavy_in_what_a_hook_calls": (
        "from zoo import hookimpl\n\ndef roll():\n    import keras\n\n"
        "@hookimpl\ndef register_datasets(register):\n    register(roll())",
        IMPORTS.format(
            "keras",
            "zoo_rogue/heavy_in_what_a_hook_calls.py:5, called by register_datasets, "
            "zoo_rogue/heavy_in_what_a_hook_calls.py:9",
        ),
    ),
    "heavy_through_zoo": (
        "from zoo import tune\nfrom zoo.tracking import preload\npreload()",
        IMPORTS.format("mlflow", "zoo_rogue/heavy_through_zoo.py:4, through zoo"),
    ),
    "fine": ("", ""),
    "fine_asks_what_is_there": ("from importlib.util import find_spec\nfind_spec('keras')", ""),
    "fine_with_numpy": ("import numpy\nnumpy.zeros(3)", ""),
    "fine_after_itself": (
        "import os, subprocess, sys, warnings\nwith warnings.catch_warnings():\n"
        "    warnings.simplefilter('ignore')\nsubprocess.run([sys.executable, '-c', ''], check=True)",
        "",
    ),
    "fine_that_warns": ("import warnings\nwarnings.warn('old')\nfound = '\\d'", ""),
}


def write_plugins(site, sources, distribution="zoo-rogue", version="2.0"):
    """Write an installed distribution with a package of these modules, each of them a plugin."""
    package = distribution.replace("-", "_")
    info = site / f"{package}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    points = "\n".join(f"{name} = {package}.{name}" for name in sources)
    (info / "entry_points.txt").write_text(f"[zoo]\n{points}\n")
    (site / package).mkdir()
    for name, source in {"__init__": "", **sources}.items():
        (site / package / f"{name}.py").write_text(textwrap.dedent(source))
    return site / package


@pytest.fixture(scope="module")
def rogues(tmp_path_factory):
    """The registry with every rogue installed, their folder, and global state before and after loading."""
    site = tmp_path_factory.mktemp("site")
    sources = {
        name: f"'''A rogue.'''\n{source}\n{GOOD.format(name=name)}" for name, (source, _) in ROGUES.items()
    }
    folder = write_plugins(site, sources)
    (folder / "heavy_inside.py").write_text("'''Not a plugin.'''\nimport optuna")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_PLUGIN_SECONDS", "3")
        patch.syspath_prepend(site)
        before = shared(), set(sys.modules)
        registry = Registry.load()
        after = shared(), set(sys.modules)
        yield registry, folder, before, after
        for name in [name for name in sys.modules if name.partition(".")[0] == "zoo_rogue"]:
            del sys.modules[name]


def shared():
    """Return some of the state that the rogues change."""
    return dict(os.environ), Path.cwd(), sys.path[:], signal.getsignal(signal.SIGTERM)


@pytest.mark.parametrize("name", ROGUES)
def test_each_rogue_has_its_message(rogues, name):
    (plugin,) = (plugin for plugin in rogues[0].plugins if plugin.name == name)
    expected = ROGUES[name][1]
    assert plugin.problem == (expected and f"Plugin '{name}' of zoo-rogue 2.0{expected}")
    assert plugin.state == ("left out" if expected else "loaded")


def test_left_out_plugin_never_runs_in_this_process(rogues):
    _, _, (state, modules), (state_after, modules_after) = rogues
    assert state == state_after
    rogue = {name for name in modules_after - modules if name.startswith("zoo_rogue.")}
    assert rogue == {f"zoo_rogue.{name}" for name, (_, ending) in ROGUES.items() if not ending}


def test_other_plugins_are_loaded(rogues):
    registry = rogues[0]
    names = [entry.name for entry in registry.entries() if entry.distribution == "zoo-rogue"]
    assert sorted(names) == sorted(name for name in ROGUES if name.startswith("fine"))
    assert registry.get("architecture", "conv_net").distribution == "keras-zoo"


def test_error_names_the_left_out_plugin(rogues):
    with pytest.raises(
        PluginError, match=r"no augmentation named 'exits'.*'exits' of zoo-rogue 2\.0 ended the"
    ):
        rogues[0].get("augmentation", "exits")


def test_processes_of_a_plugin_are_killed(rogues):
    child = int((rogues[1] / "child.txt").read_text())
    with suppress(psutil.NoSuchProcess):
        assert psutil.Process(child).status() == psutil.STATUS_ZOMBIE  # if nobody clears it away here


def test_page_quotes_the_real_messages():
    shown = [
        IMPORTS.format("keras", "zoo_wrong.py:3"),
        IMPORTS.format(
            "keras", "zoo_wrong/nets.py:3, called by register_architectures, zoo_wrong/__init__.py:9"
        ),
        PRINTS.format("'hello'"),
        CHANGES.format("the environment variable OMP_NUM_THREADS"),
        HANGS.format("zoo_wrong.py:7").replace("3 s", "5 s").replace("zoo_rogue/", ""),
        ENDS.format("killed by signal 11 (SIGSEGV), at zoo_wrong.py:7"),
    ]
    page = PAGE.read_text(encoding="utf-8")
    assert [line for line in shown if f"`Plugin 'first' of zoo-wrong 0.1.0{line}`" not in page] == []


# --- a good result is remembered


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder on sys.path and an empty cache; the plugins' modules are removed afterwards."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    yield site
    for name in [name for name in sys.modules if name.partition(".")[0] == "zoo_rogue"]:
        del sys.modules[name]


@pytest.fixture
def processes(monkeypatch):
    """Names of the plugins for which a process was started, in order."""
    started = []
    probe = _isolation._Probe

    def counting(plugin, timeout):
        started.append(plugin.name)
        return probe(plugin, timeout)

    monkeypatch.setattr(_isolation, "_Probe", counting)
    return started


def load():
    """Return a registry as in a new process: the plugins' modules are imported again."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "zoo_rogue"]:
        del sys.modules[name]
    return Registry.load()


def states(registry):
    return {one.name: one.state for one in registry.plugins if one.distribution == "zoo-rogue"}


def test_good_plugin_is_tried_once_bad_one_always(site, processes):
    write_plugins(site, {"fine": GOOD.format(name="fine"), "raises": "raise RuntimeError"})
    for _ in range(3):
        assert states(load()) == {"fine": "loaded", "raises": "left out"}
    assert sorted(processes) == ["fine", "raises", "raises", "raises"]


def test_changed_file_makes_plugin_tried_again(site, processes):
    helper = "ANSWER = 42\n"
    source = "from zoo_rogue.helper import ANSWER\n" + GOOD.format(name="fine")
    folder = write_plugins(site, {"fine": source})
    (folder / "helper.py").write_text(helper)
    assert states(load()) == {"fine": "loaded"}
    (folder / "helper.py").write_text(helper + "print(ANSWER)\n")
    assert states(load()) == {"fine": "left out"}
    (folder / "helper.py").write_text(helper + "QUESTION = None\n")
    assert states(load()) == {"fine": "loaded"}
    assert len(processes) == 3


def test_other_installation_makes_plugin_tried_again(site, processes):
    write_plugins(site, {"fine": GOOD.format(name="fine")})
    assert states(load()) == {"fine": "loaded"}
    (site / "another-1.0.dist-info").mkdir()
    assert states(load()) == {"fine": "loaded"}
    assert len(processes) == 2


def test_other_version_makes_plugin_tried_again(site, processes):
    write_plugins(site, {"fine": GOOD.format(name="fine")})
    load()
    metadata = site / "zoo_rogue-2.0.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("Version: 2.0", "Version: 2.1"))
    assert load().plugins[-1].version == "2.1"
    assert len(processes) == 2


def test_without_writable_home_plugin_is_always_tried(site, processes, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    write_plugins(site, {"fine": GOOD.format(name="fine")})
    for _ in range(2):
        assert states(load()) == {"fine": "loaded"}
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", no_home)
    assert states(load()) == {"fine": "loaded"}
    assert len(processes) == 3


def no_home():
    raise RuntimeError("Could not determine home directory.")


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"paths": 3}', '{"paths": {"/nowhere": [1, 2]}}'])
def test_damaged_result_file_is_ignored(site, processes, tmp_path, damage):
    write_plugins(site, {"fine": GOOD.format(name="fine")})
    load()
    (kept,) = (tmp_path / "cache" / "zoo" / "plugins").iterdir()
    assert json.loads(kept.read_text())["version"] == "2.0"
    kept.write_text(damage)
    assert states(load()) == {"fine": "loaded"}
    assert len(processes) == 2


def test_interrupted_plugin_is_tried_again(site, processes, tmp_path):
    """A plugin that was sound when it was tried hangs later, and the user presses Ctrl-C."""
    write_plugins(
        site,
        {
            "moody": GOOD.format(name="moody")
            + "import os\nif os.environ.get('MOOD'): raise KeyboardInterrupt"
        },
    )
    load()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOOD", "bad")
        with pytest.raises(KeyboardInterrupt):
            load()
        assert states(load()) == {"moody": "left out"}
    assert states(load()) == {"moody": "loaded"}
    assert len(processes) == 3


def test_plugin_is_loaded_untried_without_processes(site, monkeypatch):
    def refuse(*_, **__):
        raise OSError("no more processes")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    write_plugins(site, {"fine": GOOD.format(name="fine"), "raises": "raise RuntimeError('no')"})
    assert states(load()) == {"fine": "loaded", "raises": "left out"}


def test_failing_probe_blames_no_plugin(site, monkeypatch):
    monkeypatch.setattr(_isolation, "_PROBE", "import sys; sys.exit(1)")
    write_plugins(site, {"fine": GOOD.format(name="fine")})
    assert states(load()) == {"fine": "loaded"}


@pytest.mark.parametrize("text", ["soon", "0", "-1", "inf", "nan"])
def test_invalid_timeout_is_an_error(monkeypatch, text):
    monkeypatch.setenv("ZOO_PLUGIN_SECONDS", text)
    with pytest.raises(ZooError) as refused:
        Registry.load()
    assert str(refused.value) == f"ZOO_PLUGIN_SECONDS: expected a number of seconds above 0, got '{text}'"
