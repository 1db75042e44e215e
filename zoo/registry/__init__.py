"""The registry: the components of the installed plugins, by kind and name.

There is no global plugin manager: each `Registry` is a new object. A plugin that breaks the contract is left
out, and `Registry.problems` has a line about it. An error about a missing component names the plugins that
were left out.

    _files.py         plugin files, and which of them this process uses
    _plugin.py        Plugin, Component, digests of their code
    _loading.py       loading the module of an entry point or a plugin file
    _contract.py      calling the hooks of a plugin, and checking the functions that they register
    _isolation.py     starting a probe process for each plugin, and remembering which plugins passed
    _probe.py         the code of the probe process
    _memory.py        the dataset in memory, which no plugin registers
    _installed.py     the installed plugins, by entry points of group `zoo`
    _requirements.py  what the distributions of plugins require
    _registry.py      Registry: selecting and loading the plugins
"""

from zoo.registry._contract import component_space, registered_by
from zoo.registry._files import (
    PluginFile,
    given_files,
    is_file_key,
    keep_files,
    kept_path,
    merge_files,
    plugin_file,
    short_digest,
    takes_plugins,
    using_plugins,
)
from zoo.registry._loading import HEAVY_PACKAGES, import_file, imported_digest
from zoo.registry._memory import IN_MEMORY
from zoo.registry._plugin import (
    DIRECTIONS,
    HOOKS,
    KINDS,
    OWN_DISTRIBUTION,
    Component,
    Plugin,
    component_code_digest,
    describe_with_location,
    distribution_digests,
    distribution_versions,
    plugin_versions,
    source_location,
    top_level_package,
)
from zoo.registry._registry import Registry
from zoo.registry._requirements import (
    canonical_name,
    library_requirements,
    plugin_requirements,
    requirement_of,
)
