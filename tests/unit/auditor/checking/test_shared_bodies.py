"""Unrelated domains are counted once for each association, and answers are as old as their page."""

from datetime import UTC, datetime

import pytest

from auditor.checking.shared_bodies import (
    MAX_COUNTED_DOMAINS,
    BodyAnsweringSource,
    count_unrelated_domains,
)
from probes.models.finding import Reason
from probes.models.http import FetchError, Page, PageRequest, build_body_url, parse_body_url
from storage.errors import StoreError

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
QUESTION = PageRequest(build_body_url("ab" * 32))
UNRELATED = [("amal", "https://amal-sale.org/"), ("nour", "https://nournet.ma/fr")]


@pytest.mark.parametrize(
    ("pages", "count"),
    [
        ([], 0),
        (UNRELATED, 2),
        ([*UNRELATED, ("warda", "https://www.nournet.ma/")], 2),
        ([*UNRELATED, ("amal", "https://warda.com/")], 2),
        ([*UNRELATED, ("warda", "https://warda.com/")], 3),
        ([("amal", "https://amal.blogspot.com/"), ("nour", "https://nour.wixsite.com/")], 0),
        ([("amal", ""), ("nour", "http://93.184.215.14/")], 0),
        ([(f"a{number}", f"https://site{number}.org/") for number in range(50)], 10),
    ],
)
def test_each_association_and_each_domain_counts_once(pages, count):
    assert count_unrelated_domains(pages) == count
    assert count_unrelated_domains(reversed(pages)) == count
    assert count <= MAX_COUNTED_DOMAINS


class Pages:
    """A web where every page was fetched at NOW."""

    async def get(self, request):
        return Page(request.url, 200, {}, b"", NOW)


async def test_answer_is_a_number_as_old_as_the_page_before_it():
    source = BodyAnsweringSource(Pages(), len)
    await source.get(PageRequest("https://annour.org/"))
    answer = await source.get(QUESTION)
    assert (answer.url, answer.body, answer.fetched_at) == (QUESTION.url, b"64\n", NOW)


async def test_question_without_a_database_is_an_error():
    with pytest.raises(FetchError) as caught:
        await BodyAnsweringSource(Pages()).get(QUESTION)
    assert caught.value.reason is Reason.NOT_CONFIGURED


async def test_failure_of_the_database_is_no_answer():
    def fail(_):
        raise StoreError("cannot read", "disk failure")

    with pytest.raises(StoreError):
        await BodyAnsweringSource(Pages(), fail).get(QUESTION)


def test_address_of_a_question_contains_a_digest():
    assert parse_body_url(QUESTION.url) == "ab" * 32
    assert parse_body_url("body:sha256-ab") is None
    assert parse_body_url("https://annour.org/") is None


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_more_domains_are_not_counted(step):
    count = MAX_COUNTED_DOMAINS + step
    pages = [(f"a{number}", f"https://site{number}.org/") for number in range(count)]
    assert count_unrelated_domains(pages) == min(count, MAX_COUNTED_DOMAINS)
