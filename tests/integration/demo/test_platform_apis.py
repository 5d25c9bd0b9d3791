"""The fake platform APIs describe the same accounts as the fake pages."""

from __future__ import annotations

from auditor.config.schema import load_config
from auditor.demo import model, play
from tests.support.demo_session import (
    EXPECTED_VALUES_PATH,
    EXPECTED_VALUES_WITH_KEYS_PATH,
    build_api_key_environ,
    read_expected_values,
)


def test_results_with_and_without_api_key_never_contradict():
    """An account is never present without an API key and gone with it, or the other way round."""
    states = {}
    for path in (EXPECTED_VALUES_PATH, EXPECTED_VALUES_WITH_KEYS_PATH):
        for value in read_expected_values(path):
            if value.kind == "status":
                key = (value.association, value.channel, value.run_number)
                states.setdefault(key, set()).add(value.value.split(" ")[0])
    assert not [key for key, found in states.items() if {"present", "gone"} <= found]


def test_demo_api_keys_are_read_from_environment_variables(tmp_path):
    config = play.write_demo_config(tmp_path, 8899, build_api_key_environ())
    keys = {
        name: channel.api_key.get_secret_value()
        for name, channel in config.channels.items()
        if channel.api_key
    }
    assert keys == model.DEMO_API_KEYS
    assert load_config(tmp_path / "config.toml", {}).channels["youtube"].api_key is None
