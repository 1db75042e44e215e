"""The registry of what the installed plugins registered, by kind and name, with distribution and version.

There is no global plugin manager: each `Registry` is a new object. A plugin that breaks the contract is left
out and named among `problems`; an error about a missing component names the plugins that were left out.

    _plugin.py     Plugin and Component
    _contract.py   the hooks: calls them and checks what they register
    _isolation.py  loads each plugin in a process of its own first
    _probe.py      that process
    _registry.py   Registry: entry points of group `zoo`, which of them are used, and their components
"""

from zoo.registry._contract import component_space
from zoo.registry._plugin import (
    HOOKS,
    KINDS,
    Component,
    Plugin,
    component_code_digest,
    distribution_digests,
    distribution_versions,
    plugin_versions,
    source_location,
)
from zoo.registry._registry import Registry, canonical_name, plugin_requirements, requirement_of
