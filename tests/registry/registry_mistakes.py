"""Plugins that break the contract, each in one way, and the messages about them.

Each value has the source of a plugin, and the message about it without the start, which is
`Plugin 'NAME' of DISTRIBUTION VERSION`. FILE stands for the file of the plugin's module.
"""

from __future__ import annotations

import textwrap

IMPORTS = "from typing import Annotated\nfrom zoo import Choice, Float, Int, List, hookimpl, variant\n"


def hook(body, kind="architecture", name="net"):
    """Return a module with one hook that registers `name`, which `body` defines."""
    return (
        f"{IMPORTS}{textwrap.dedent(body)}\n"
        f"@hookimpl\ndef register_{kind}s(register):\n    register({name})\n"
    )


def net(parameters):
    """Return a module that registers an architecture with these keyword-only parameters."""
    return hook(f"def net(input_shape, num_classes, *, {parameters}): ...")


FROM_HOOKS = {
    "misspelt": (
        f"{IMPORTS}@hookimpl\ndef register_architecture(register): ...",
        ": there is no hook named 'register_architecture'. Did you mean 'register_architectures'?",
    ),
    "misspelt_and_unmarked": (
        "def register_model(register): ...",
        ": expected at least one component, but the plugin registers none. There is no hook named "
        "'register_model'. Did you mean 'register_metrics'?",
    ),
    "one_of_two_misspelt_and_unmarked": (
        hook("def net(input_shape, num_classes): ...") + "def register_dataset(register): ...",
        ": there is no hook named 'register_dataset'. Did you mean 'register_datasets'?",
    ),
    "unmarked": (
        "def register_architectures(register): ...",
        ": register_architectures has no decorator; write @zoo.hookimpl above it.",
    ),
    "one_of_two_unmarked": (
        hook("def net(input_shape, num_classes): ...") + "def register_datasets(register): ...",
        ": register_datasets has no decorator; write @zoo.hookimpl above it.",
    ),
    "empty": (
        "",
        ": expected at least one component, but the plugin registers none. Implement one of "
        "register_datasets, register_architectures, register_augmentations, register_metrics with "
        "@zoo.hookimpl; call register(function) in it.",
    ),
    "registers_nothing": (
        f"{IMPORTS}@hookimpl\ndef register_datasets(register): ...",
        ": expected at least one component, but the plugin registers none. Call register(function) in "
        "register_datasets for each function to register.",
    ),
    "hook_without_register": (
        f"{IMPORTS}@hookimpl\ndef register_architectures(): ...",
        ": expected the hook register_architectures(register), got register_architectures().",
    ),
    "hook_with_other": (
        f"{IMPORTS}@hookimpl\ndef register_datasets(registry): ...",
        ": expected the hook register_datasets(register), got register_datasets(registry).",
    ),
    "hook_with_star": (
        f"{IMPORTS}@hookimpl\ndef register_datasets(*register): ...",
        ": expected the hook register_datasets(register), got register_datasets(*register).",
    ),
    "hook_raises": (
        f"{IMPORTS}@hookimpl\ndef register_datasets(register): raise KeyError('a\\nb')",
        r": register_datasets raised KeyError: 'a\nb' (FILE:4)",
    ),
    "hook_exits": (
        f"{IMPORTS}import sys\n@hookimpl\ndef register_datasets(register): sys.exit(3)",
        ": register_datasets raised SystemExit: 3 (FILE:5)",
    ),
    "returns": (
        f"{IMPORTS}@hookimpl\ndef register_datasets(register): return [len]",
        ": expected register_datasets to register functions, but it returned list; call register(function) "
        "for each function.",
    ),
    "yields": (
        f"{IMPORTS}@hookimpl\ndef register_datasets(register): yield len",
        ": expected register_datasets to register functions, but it returned generator; call "
        "register(function) for each function.",
    ),
    "a_class": (
        hook("class net: ..."),
        ": register_architectures: expected a function that is defined with def, got the class net.",
    ),
    "a_lambda": (
        hook("net = lambda input_shape, num_classes: None"),
        ": register_architectures: expected a function that is defined with def, got a lambda.",
    ),
    "a_partial": (
        hook("import functools; net = functools.partial(print)"),
        ": register_architectures: expected a function that is defined with def, got "
        "functools.partial(<built-in function print>).",
    ),
    "twice": (
        hook("def net(input_shape, num_classes): ...").replace("(net)\n", "(net); register(net)\n"),
        ": register_architectures registered 'net' twice; rename or remove one of the functions.",
    ),
    "illegal_name": (
        hook("def net(input_shape, num_classes): ...\nnet = variant(net, 'res-net 50', 'Deep.')"),
        ": register_architectures: expected a name of ASCII letters, digits and _ that does not begin with a "
        "digit, got 'res-net 50'; rename the function.",
    ),
    "accented_name": (
        hook("def réseau(input_shape, num_classes): ...", name="réseau"),
        ": register_architectures: expected a name of ASCII letters, digits and _ that does not begin with a "
        "digit, got 'réseau'; rename the function.",
    ),
    "builtin_name": (
        hook("def conv_net(input_shape, num_classes): ...", name="conv_net"),
        ": register_architectures registered 'conv_net', but zoo has a built-in architecture of this name; "
        "rename the function.",
    ),
}

FROM_SIGNATURES = {
    "default_outside": (
        net("dropout: Annotated[float, Float(0.0, 0.5)] = 0.7"),
        ": register_architectures: net: parameter 'dropout': its default is outside its own range: "
        "expected 0 … 0.5, got 0.7. Did you mean 0.5?",
    ),
    "unannotated": (
        net("dropout=0.7"),
        ": register_architectures: net: parameter 'dropout': it has no annotation; write "
        "Annotated[float, Float(0.0, 1.0)], or a plain type.",
    ),
    "no_default": (
        net("dropout: Annotated[float, Float(0.0, 0.5)]"),
        ": register_architectures: net: parameter 'dropout': it has no default; every searched parameter "
        "needs one: 0 … 0.5.",
    ),
    "no_num_classes": (
        hook("def net(input_shape, *, dropout: Annotated[float, Float(0.0, 0.5)] = 0.1): ..."),
        ": register_architectures: net: expected the signature net(input_shape, num_classes, *, …), but its "
        "positional parameters are (input_shape).",
    ),
    "other_positionals": (
        hook("def net(shape, classes): ..."),
        ": register_architectures: net: expected the signature net(input_shape, num_classes, *, …), but its "
        "positional parameters are (shape, classes).",
    ),
    "no_star": (
        hook("def net(input_shape, num_classes, dropout: Annotated[float, Float(0.0, 0.5)] = 0.1): ..."),
        ": register_architectures: net: expected the signature net(input_shape, num_classes, *, …), but its "
        "positional parameters are (input_shape, num_classes, dropout).",
    ),
    "positional_of_a_dataset": (
        hook("def net(folder: str): ...", "dataset"),
        ": register_datasets: net: expected the signature net(*, …), but its positional parameters are "
        "(folder).",
    ),
    "keywords_without_names": (
        hook("def net(input_shape, num_classes, **rest): ..."),
        ": register_architectures: net takes '**rest'; expected one named parameter for each value.",
    ),
    "when_of_a_later": (
        net(
            "momentum: Annotated[float, Float(0.0, 0.9, when={'head': 'dense'})] = 0.5, "
            "head: Annotated[str, Choice('dense', 'average')] = 'dense'"
        ),
        ": register_architectures: net: parameter 'momentum': when names 'head', which comes "
        "after 'momentum'; move it before 'momentum'.",
    ),
    "when_is_never_true": (
        net(
            "head: Annotated[str, Choice('dense', 'average')] = 'dense', "
            "units: Annotated[int, Int(8, 64, when={'head': 'dens'})] = 8"
        ),
        ": register_architectures: net: parameter 'units': when head = \"dens\" is never true: "
        'expected "dense" | "average", got "dens". Did you mean "dense"?',
    ),
    "same_length_as_no_list": (
        net(
            "filters: Annotated[int, Int(8, 64)] = 8, "
            "sizes: Annotated[tuple, List(Choice(3, 5), same_length_as='filters')] = (3,)"
        ),
        ": register_architectures: net: parameter 'sizes': same_length_as names 'filters', "
        "which is not a List: 8 … 64.",
    ),
    "variant_of_a_followed_list": (
        hook(
            "def stack(input_shape, num_classes, *,\n"
            "    filters: Annotated[tuple, List(Int(8, 64), length=(1, 3))] = (16,),\n"
            "    sizes: Annotated[tuple, List(Choice(3, 5), same_length_as='filters')] = (3,),\n"
            "): ...\n"
            "net = variant(stack, 'net', 'Wide.', sizes=(5,))"
        ),
        ": register_architectures: net: parameter 'sizes': the variant changes its default, but not "
        "the default of 'filters', which sets its length; change both.",
    ),
    "parameter_called_name": (
        hook("def net(*, name: str): ...", "dataset"),
        ": register_datasets: net: parameter 'name': this name is reserved, because the key `name` of a "
        "study selects the dataset; rename the parameter.",
    ),
}

FROM_IMPORTS = {
    "missing_import": (
        "import torchvision_of_old",
        " could not be loaded: ModuleNotFoundError: No module named 'torchvision_of_old' (FILE:1)",
    ),
    "divides": ("1 / 0", " could not be loaded: ZeroDivisionError: division by zero (FILE:1)"),
    "exits": ("import sys; sys.exit('bye')", " could not be loaded: SystemExit: bye (FILE:1)"),
    "many_lines": (
        "raise ValueError('one\\n\\n  two')",
        " could not be loaded: ValueError: one two (FILE:1)",
    ),
    "empty_text": ("raise AssertionError", " could not be loaded: AssertionError (FILE:1)"),
    "text_raises": (
        "class Odd(Exception):\n    def __str__(self): raise RuntimeError\nraise Odd",
        " could not be loaded: Odd: (no text: RuntimeError) (FILE:3)",
    ),
    "no_exception": (
        "class Odd(BaseException): ...\nraise Odd('out')",
        " could not be loaded: Odd: out (FILE:2)",
    ),
    "error_of_zoo": (
        "from zoo import ZooError\nraise ZooError('not today')",
        " could not be loaded: not today (FILE:2)",
    ),
    "low_above_high": (
        net("depth: Annotated[int, Int(1, 4)] = 1,\n    dropout: Annotated[float, Float(4.0, 1.0)] = 2.0"),
        " could not be loaded: Float needs low <= high, got low=4.0 and high=1.0 (FILE:4)",
    ),
    "choice_of_a_list": (
        net("depth: Annotated[int, Choice([1, 2, 4])] = 1"),
        " could not be loaded: Choice takes strings, numbers, booleans or None, got [1, 2, 4]; "
        "write Choice(1, 2, 4) (FILE:3)",
    ),
    "in_a_hook": (
        f"{IMPORTS}@hookimpl\ndef register_datasets(register): Float(4.0, 1.0)",
        ": register_datasets: Float needs low <= high, got low=4.0 and high=1.0 (FILE:4)",
    ),
    "syntax": ("\n\nnet = (", " could not be loaded: SyntaxError: '(' was never closed (FILE:3)"),
}

MISTAKES = {**FROM_HOOKS, **FROM_SIGNATURES, **FROM_IMPORTS}
