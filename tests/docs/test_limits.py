"""docs/guides/limits.md matches the code, and every limit has a meaning."""

import pytest

from tests.support import limits

NAMES = [limit.name for limit in [*limits.list_settings(), *limits.list_constants()]]


def test_page_of_limits_is_up_to_date():
    assert limits.PAGE.read_text("utf-8") == limits.render_page(), "try: make limits"


def test_every_limit_is_listed_once_and_has_a_meaning():
    assert len(NAMES) == len(set(NAMES))
    for limit in [*limits.list_settings(), *limits.list_constants()]:
        assert limit.meaning, f"{limit.name}: try: a docstring, or a comment in config.toml"


def test_every_limit_has_a_test_at_the_limit():
    untested = set(NAMES) - limits.find_tests_by_limit().keys()
    assert not untested, 'try: @pytest.mark.limit("…") on a test below, at and above the limit'


def test_marks_name_only_existing_limits():
    assert set(limits.find_tests_by_limit()) <= set(NAMES)


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("fetch.max_bytes", "Bytes that are read of a page, 1 to 33554432 (32 MiB)."),
        ("fetch.max_retries", "Retries of a request that failed for a passing reason, 0 to 10."),
        ("report_links.valid_days", "Days that a link of an association to its report is valid"),
    ],
)
def test_meaning_of_a_setting_is_its_comment(name, meaning):
    [setting] = [limit for limit in limits.list_settings() if limit.name == name]
    assert setting.meaning.startswith(meaning)
