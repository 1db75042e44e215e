"""A trial that is trained again: with the plugins of today, and the difference is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

import zoo
from zoo.errors import PluginError
from zoo.trial import Chosen
from zoo.tuning.run import with_plugins_of_today


@pytest.fixture
def config(define):
    return define().baseline("a" * 64, seed=7)


def test_with_the_same_plugins_it_is_the_same(config, registry):
    assert with_plugins_of_today(3, config, registry) == (config, [])


def test_another_version_is_told(config, registry):
    before = replace(config, plugins=dict.fromkeys(config.plugins, "0.0.9"))
    again, problems = with_plugins_of_today(3, before, registry)
    assert again == config
    assert problems == [
        f"trial 3 was trained with keras-zoo 0.0.9, now it is with keras-zoo {zoo.__version__}"
    ]


def test_a_record_of_an_earlier_version_does_not_say(config, registry):
    before = replace(config, plugins={})
    assert with_plugins_of_today(3, before, registry) == (config, [])


def test_what_is_not_installed_any_more(config, registry):
    gone = replace(config, architecture=Chosen("res_net"))
    with pytest.raises(PluginError, match=r"^There is no architecture named 'res_net'\. "):
        with_plugins_of_today(3, gone, registry)
