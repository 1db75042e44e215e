"""Probe processes: a plugin that harms the process in which it is loaded is left out, with a message."""

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

SOUND = """
from zoo import hookimpl

@hookimpl
def register_augmentations(register):
    register({name})

def {name}():
    "Something."
"""

CHANGES = (
    " changes global state when it is loaded: {}; move this code, or the import that "
    "causes the change, into the function that needs it."
)
IMPORTS = (
    " imports {0} when it is loaded ({1}), and this import takes seconds; import {0} inside the function "
    "that needs it."
)
ENDS = " ended the process that loaded it: {}; correct or uninstall the plugin."
HANGS = (
    " took longer than 5 s to load, at zoo_harmful/{}; do less in the module and its hooks, or set "
    "ZOO_PLUGIN_SECONDS to more seconds."
)
PRINTS = " prints when it is loaded: {}; remove the output, or print in a function."

# name -> code in front of a sound plugin, and the end of the message about the plugin; "" if sound
PLUGINS = {
    "exits": ("import os\nos._exit(3)", ENDS.format("exited with status 3")),
    "exits_with_status_0": ("import os\nos._exit(0)", ENDS.format("exited with status 0")),
    "crashes": (
        "import ctypes\n\ndef crash():\n    ctypes.string_at(0)\n\ncrash()",
        ENDS.format("killed by signal 11 (SIGSEGV), at zoo_harmful/crashes.py:5"),
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
    "prints_to_stderr": ("import sys\nprint('oh', file=sys.stderr)", PRINTS.format("'oh'")),
    "reads_input": (
        "input()",
        " could not be loaded: EOFError: EOF when reading a line (zoo_harmful/reads_input.py:2)",
    ),
    "interrupts": (
        "raise KeyboardInterrupt",
        " could not be loaded: KeyboardInterrupt (zoo_harmful/interrupts.py:2)",
    ),
    "environment": (
        "import os\nos.environ['ZOO_HARMFUL'] = '1'",
        CHANGES.format("the environment variable ZOO_HARMFUL"),
    ),
    "deletes_variable": (
        "import os\ndel os.environ['PATH']",
        CHANGES.format("the environment variable PATH"),
    ),
    "changes_folder": ("import os\nos.chdir('/')", CHANGES.format("the working folder")),
    "seeds": (
        "import random\nimport numpy\nrandom.seed(0)\nnumpy.random.seed(0)",
        CHANGES.format("Python's random numbers, NumPy's random numbers"),
    ),
    "silences_warnings": (
        "import warnings\nwarnings.simplefilter('ignore')",
        CHANGES.format("warnings.filters"),
    ),
    "logs": ("import logging\nlogging.basicConfig(level='DEBUG')", CHANGES.format("the root logger")),
    "sets_handler": (
        "import signal\nsignal.signal(signal.SIGTERM, lambda *_: None)",
        CHANGES.format("the handler of SIGTERM"),
    ),
    "path": ("import sys\nsys.path.insert(0, '/harmful')", CHANGES.format("sys.path")),
    "sets_numpy_errors": (
        "import numpy\nnumpy.seterr(divide='raise')",
        CHANGES.format("numpy.geterr()['divide']"),
    ),
    "changes_much": (
        "import os, random, signal, sys, warnings\nos.environ['ZOO_HARMFUL'] = '1'\nos.chdir('/')\n"
        "sys.path.append('/')\nwarnings.simplefilter('ignore')\nsignal.signal(signal.SIGUSR1, print)\n"
        "random.seed(0)",
        CHANGES.format(
            "the environment variable ZOO_HARMFUL, the working folder, sys.path, warnings.filters, "
            "the handler of SIGUSR1 and 1 more"
        ),
    ),
    "hangs_with_a_child": (
        "import subprocess, time\nfrom pathlib import Path\nchild = subprocess.Popen(['sleep', '600'])\n"
        "Path(__file__).with_name('child.txt').write_text(str(child.pid))\ntime.sleep(600)",
        HANGS.format("hangs_with_a_child.py:6"),
    ),
    "heavy": ("\nimport mlflow", IMPORTS.format("mlflow", "zoo_harmful/heavy.py:3")),
    "heavy_if_there": (
        "try:\n    import keras\nexcept ImportError:\n    keras = None",
        IMPORTS.format("keras", "zoo_harmful/heavy_if_there.py:3"),
    ),
    "heavy_through_another": (
        "from zoo_harmful import heavy_inside",
        IMPORTS.format("optuna", "zoo_harmful/heavy_inside.py:2"),
    ),
    "heavy_in_what_a_hook_calls": (
        "from zoo import hookimpl\n\ndef make_net():\n    import keras\n\n"
        "@hookimpl\ndef register_datasets(register):\n    register(make_net())",
        IMPORTS.format(
            "keras",
            "zoo_harmful/heavy_in_what_a_hook_calls.py:5, called by register_datasets, "
            "zoo_harmful/heavy_in_what_a_hook_calls.py:9",
        ),
    ),
    "heavy_through_zoo": (
        "from zoo import tune\nfrom zoo.tracking import preload\npreload()",
        IMPORTS.format("mlflow", "zoo_harmful/heavy_through_zoo.py:4, through zoo"),
    ),
    "fine": ("", ""),
    "fine_that_looks_for_keras": ("from importlib.util import find_spec\nfind_spec('keras')", ""),
    "fine_with_numpy": ("import numpy\nnumpy.zeros(3)", ""),
    "fine_with_restored_filters": (
        "import os, subprocess, sys, warnings\nwith warnings.catch_warnings():\n"
        "    warnings.simplefilter('ignore')\nsubprocess.run([sys.executable, '-c', ''], check=True)",
        "",
    ),
    "fine_that_warns": ("import warnings\nwarnings.warn('old')\nfound = '\\d'", ""),
}


def write_plugins(site, sources, distribution="zoo-harmful", version="2.0"):
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
def loaded(tmp_path_factory):
    """The registry with all PLUGINS installed, their folder, and global state before and after loading."""
    site = tmp_path_factory.mktemp("site")
    sources = {
        name: f"'''A plugin.'''\n{source}\n{SOUND.format(name=name)}" for name, (source, _) in PLUGINS.items()
    }
    folder = write_plugins(site, sources)
    (folder / "heavy_inside.py").write_text("'''Not a plugin.'''\nimport optuna")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_PLUGIN_SECONDS", "5")
        patch.setattr(_isolation, "_Probe", patient_probe)
        patch.syspath_prepend(site)
        before = shared(), set(sys.modules)
        registry = Registry.load()
        after = shared(), set(sys.modules)
        yield registry, folder, before, after
        for name in [name for name in sys.modules if name.partition(".")[0] == "zoo_harmful"]:
            del sys.modules[name]


PROBE = _isolation._Probe


def patient_probe(plugin, timeout_s):
    """Only a plugin that hangs is ended; on a busy machine, another may take longer than the limit."""
    return PROBE(plugin, timeout_s if plugin.name.startswith("hangs") else 240.0)


def shared():
    """Return some of the global state that the plugins change."""
    return dict(os.environ), Path.cwd(), sys.path[:], signal.getsignal(signal.SIGTERM)


@pytest.mark.parametrize("name", PLUGINS)
def test_harmful_plugin_is_left_out_with_message(loaded, name):
    (plugin,) = (plugin for plugin in loaded[0].plugins if plugin.name == name)
    expected = PLUGINS[name][1]
    assert plugin.problem == (expected and f"Plugin '{name}' of zoo-harmful 2.0{expected}")
    assert plugin.state == ("left out" if expected else "loaded")


def test_left_out_plugin_never_runs_in_this_process(loaded):
    _, _, (state, modules), (state_after, modules_after) = loaded
    assert state == state_after
    imported = {name for name in modules_after - modules if name.startswith("zoo_harmful.")}
    assert imported == {f"zoo_harmful.{name}" for name, (_, ending) in PLUGINS.items() if not ending}


def test_sound_plugins_are_loaded(loaded):
    registry = loaded[0]
    names = [entry.name for entry in registry.components() if entry.distribution == "zoo-harmful"]
    assert sorted(names) == sorted(name for name in PLUGINS if name.startswith("fine"))
    assert registry.get("architecture", "conv_net").distribution == "keras-zoo"


def test_error_about_missing_component_names_left_out_plugin(loaded):
    with pytest.raises(
        PluginError, match=r"no augmentation named 'exits'.*'exits' of zoo-harmful 2\.0 ended the"
    ):
        loaded[0].get("augmentation", "exits")


def test_process_that_plugin_started_is_killed(loaded):
    child = int((loaded[1] / "child.txt").read_text())
    with suppress(psutil.NoSuchProcess):
        assert psutil.Process(child).status() == psutil.STATUS_ZOMBIE  # if no process here waits for it


def test_page_quotes_the_messages():
    shown = [
        IMPORTS.format("keras", "zoo_wrong.py:3"),
        IMPORTS.format(
            "keras", "zoo_wrong/nets.py:3, called by register_architectures, zoo_wrong/__init__.py:9"
        ),
        PRINTS.format("'hello'"),
        CHANGES.format("the environment variable OMP_NUM_THREADS"),
        HANGS.format("zoo_wrong.py:7").replace("zoo_harmful/", ""),
        ENDS.format("killed by signal 11 (SIGSEGV), at zoo_wrong.py:7"),
    ]
    page = PAGE.read_text(encoding="utf-8")
    assert [line for line in shown if f"`Plugin 'first' of zoo-wrong 0.1.0{line}`" not in page] == []


# --- the result of a plugin that passed is saved


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder on sys.path and an empty cache; the plugins' modules are removed afterwards."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    yield site
    for name in [name for name in sys.modules if name.partition(".")[0] == "zoo_harmful"]:
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
    for name in [name for name in sys.modules if name.partition(".")[0] == "zoo_harmful"]:
        del sys.modules[name]
    return Registry.load()


def states(registry):
    return {one.name: one.state for one in registry.plugins if one.distribution == "zoo-harmful"}


def test_sound_plugin_is_probed_once_broken_one_always(site, processes):
    write_plugins(site, {"fine": SOUND.format(name="fine"), "raises": "raise RuntimeError"})
    for _ in range(3):
        assert states(load()) == {"fine": "loaded", "raises": "left out"}
    assert sorted(processes) == ["fine", "raises", "raises", "raises"]


def test_changed_file_causes_another_probe(site, processes):
    helper = "ANSWER = 42\n"
    source = "from zoo_harmful.helper import ANSWER\n" + SOUND.format(name="fine")
    folder = write_plugins(site, {"fine": source})
    (folder / "helper.py").write_text(helper)
    assert states(load()) == {"fine": "loaded"}
    (folder / "helper.py").write_text(helper + "print(ANSWER)\n")
    assert states(load()) == {"fine": "left out"}
    (folder / "helper.py").write_text(helper + "QUESTION = None\n")
    assert states(load()) == {"fine": "loaded"}
    assert len(processes) == 3


def test_another_installation_causes_another_probe(site, processes):
    write_plugins(site, {"fine": SOUND.format(name="fine")})
    assert states(load()) == {"fine": "loaded"}
    (site / "another-1.0.dist-info").mkdir()
    assert states(load()) == {"fine": "loaded"}
    assert len(processes) == 2


def test_another_version_causes_another_probe(site, processes):
    write_plugins(site, {"fine": SOUND.format(name="fine")})
    load()
    metadata = site / "zoo_harmful-2.0.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("Version: 2.0", "Version: 2.1"))
    assert load().plugins[-1].version == "2.1"
    assert len(processes) == 2


def test_plugin_is_always_probed_without_writable_cache(site, processes, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    write_plugins(site, {"fine": SOUND.format(name="fine")})
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
    write_plugins(site, {"fine": SOUND.format(name="fine")})
    load()
    (saved,) = (tmp_path / "cache" / "zoo" / "plugins").iterdir()
    assert json.loads(saved.read_text())["version"] == "2.0"
    saved.write_text(damage)
    assert states(load()) == {"fine": "loaded"}
    assert len(processes) == 2


def test_interrupted_plugin_is_probed_again(site, processes, tmp_path):
    """A plugin that passed its probe hangs later, and the user presses Ctrl-C."""
    write_plugins(
        site,
        {
            "changeable": SOUND.format(name="changeable")
            + "import os\nif os.environ.get('INTERRUPT'): raise KeyboardInterrupt"
        },
    )
    load()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTERRUPT", "1")
        with pytest.raises(KeyboardInterrupt):
            load()
        assert states(load()) == {"changeable": "left out"}
    assert states(load()) == {"changeable": "loaded"}
    assert len(processes) == 3


def test_plugin_is_loaded_unprobed_if_no_process_starts(site, monkeypatch):
    def refuse(*_, **__):
        raise OSError("no more processes")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    write_plugins(site, {"fine": SOUND.format(name="fine"), "raises": "raise RuntimeError('no')"})
    assert states(load()) == {"fine": "loaded", "raises": "left out"}


def test_failing_probe_leaves_plugin_loaded(site, monkeypatch):
    monkeypatch.setattr(_isolation, "_PROBE", "import sys; sys.exit(1)")
    write_plugins(site, {"fine": SOUND.format(name="fine")})
    assert states(load()) == {"fine": "loaded"}


@pytest.mark.parametrize("text", ["soon", "0", "-1", "inf", "nan"])
def test_invalid_timeout_is_an_error(monkeypatch, text):
    monkeypatch.setenv("ZOO_PLUGIN_SECONDS", text)
    with pytest.raises(ZooError) as refused:
        Registry.load()
    assert str(refused.value) == f"ZOO_PLUGIN_SECONDS: expected a number of seconds above 0, got '{text}'"
