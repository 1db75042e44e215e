"""The plugins that zoo ships. Like any plugin, they import only zoo's public names."""

MODULES = (
    "zoo.builtin.datasets",
    "zoo.builtin.architectures",
    "zoo.builtin.augmentations",
    "zoo.builtin.metrics",
)
