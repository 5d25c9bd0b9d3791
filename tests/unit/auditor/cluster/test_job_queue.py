"""A job of a cluster is repeated a few times."""

import pytest
from procrastinate import jobs

from auditor.cluster.job_queue import MAX_ATTEMPTS, JobRetryStrategy
from storage.errors import StoreError


@pytest.mark.limit("auditor.cluster.job_queue.MAX_ATTEMPTS")
@pytest.mark.parametrize(("step", "is_retried"), [(-1, True), (0, False), (1, False)])
def test_job_whose_database_fails_is_started_a_few_times(step, is_retried):
    """`attempts` are those before the current one."""
    job = jobs.Job(
        id=1,
        queue="q",
        lock=None,
        queueing_lock=None,
        task_name="t",
        attempts=MAX_ATTEMPTS + step - 1,
    )
    decision = JobRetryStrategy().get_retry_decision(exception=StoreError("x"), job=job)
    assert (decision is not None) is is_retried
