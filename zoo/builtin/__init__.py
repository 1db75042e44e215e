"""The plugins that zoo ships. They import only zoo's public names, as any plugin has to."""

MODULES = (
    "zoo.builtin.datasets",
    "zoo.builtin.architectures",
    "zoo.builtin.augmentations",
)
