"""What the installed plugins registered: by kind and name, with the distribution it came from.

A registry is an object made afresh; there is no global plugin manager. Entry points are loaded one
by one, each in isolation: a plugin that breaks the contract is left out and named among `problems`,
and whoever needs what it would have registered is told why it is not there.

    _plugin.py     Plugin and Component: what there is to know of one
    _contract.py   the hooks: what a module registers, and every way to get it wrong
    _installed.py  the entry points of group `zoo`, the zoo they require, those ZOO_PLUGINS names
    _place.py      where in a plugin's own files something happened
    _verdict.py    whether a plugin can be loaded without harm; asked once, then remembered
    _probe.py      the process in which that is found out
    _registry.py   Registry: everything together
"""

from zoo.registry._code import component_code_digest, distribution_digests
from zoo.registry._contract import RESERVED, is_name
from zoo.registry._installed import canonical_name, plugin_requirements, requirement_of
from zoo.registry._plugin import (
    HOOKS,
    KINDS,
    Component,
    Plugin,
    distribution_versions,
    plugin_versions,
)
from zoo.registry._registry import Registry

__all__ = [
    "HOOKS",
    "KINDS",
    "RESERVED",
    "Plugin",
    "Component",
    "Registry",
    "component_code_digest",
    "distribution_digests",
    "is_name",
    "plugin_requirements",
    "plugin_versions",
    "requirement_of",
    "canonical_name",
    "distribution_versions",
]
