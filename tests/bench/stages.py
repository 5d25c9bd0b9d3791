"""Measure each stage of a run alone, in CPU per link, and compare their sum with the run.

    python tests/bench/stages.py FARM [--hosts 1000] [--secure] [--rounds 3]

Three stages cannot be avoided. `fetch` sends the same requests without parsing. `parse` runs the
probe over the same pages in one process. `write` stores the same observations and bodies in an
empty store. The others are `judge`, `sum up`, and `overview` and `publish`, for which readers wait.
Results are medians of the rounds and of their ratios, because the speed of a machine changes
between a run and its stages. Registers are deleted at the end only, as in `race.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TypeVar

from auditor.app import App
from auditor.checking import checker
from auditor.checking.checker import to_probe_account
from auditor.conclusions import network_view, run_results
from auditor.conclusions.run_results import refresh_summaries
from auditor.config.schema import Config, load_config
from auditor.core import runtime
from probes.classify import classifier
from probes.http.fetcher import Fetcher
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import run_offline
from probes.runner import parser_worker
from storage.files.body_store import BodyWriter
from storage.models.audit import Observation
from tests.bench.farm import Farm, serve_farm, write_farm
from tests.bench.pipeline import RUN_TIMES, BenchRegister

RUN_AT = datetime.fromisoformat(RUN_TIMES[0]).replace(tzinfo=UTC)
UNAVOIDABLE_STAGES = ("fetch", "parse", "write")
Result = TypeVar("Result")
Pages = Mapping[str, Page | FetchError]


@dataclass(frozen=True, slots=True)
class StageCosts:
    """The CPU of each stage, and of the run, in ms per link."""

    stages: Mapping[str, float]
    run: float

    @property
    def unavoidable(self) -> float:
        """Return the CPU of the stages that cannot be avoided."""
        return sum(self.stages[name] for name in UNAVOIDABLE_STAGES)


def describe_rounds(rounds: Sequence[StageCosts]) -> str:
    """Return the medians of several rounds, and of their ratios, as text."""
    stage_costs = {
        name: median(costs.stages[name] for costs in rounds) for name in rounds[0].stages
    }
    lines = [f"  {name:10}{cpu:8.3f} ms CPU a link" for name, cpu in stage_costs.items()]
    run_cost, minimum = (
        median(getattr(costs, name) for costs in rounds) for name in ("run", "unavoidable")
    )
    ratios = [costs.run / costs.unavoidable for costs in rounds]
    all_ratios = f" ({', '.join(f'{costs:.2f}' for costs in ratios)})" if len(ratios) > 1 else ""
    summary = (
        f"  the complete run {run_cost:.3f} ms, {' + '.join(UNAVOIDABLE_STAGES)} {minimum:.3f} ms"
    )
    return "\n".join([*lines, f"{summary}: {median(ratios):.2f} times{all_ratios}"])


def measure_rounds(farm: Farm, rounds: int) -> list[StageCosts]:
    """Return the costs of several rounds."""
    with tempfile.TemporaryDirectory() as folder_name, serve_farm(farm):
        return [measure_stages(farm, Path(folder_name)) for _ in range(rounds)]


def measure_stages(farm: Farm, folder: Path) -> StageCosts:
    """Measure a run, then each of its stages, in two folders within `folder`."""
    links = 5 * farm.hosts
    measured_folder, empty_folder = (Path(tempfile.mkdtemp(dir=folder)) for _ in range(2))
    register = BenchRegister(measured_folder, farm, farm.list_site_links())
    run_seconds = register.run(0).cost.cpu
    BenchRegister(empty_folder, farm, farm.list_site_links())
    with _pin_to_core(1):
        stage_seconds = _measure_stages_alone(measured_folder, empty_folder)
    stage_seconds["publish"] = register.publish().cpu
    return StageCosts(
        {name: 1000 * cpu / links for name, cpu in stage_seconds.items()},
        1000 * run_seconds / links,
    )


def _measure_stages_alone(measured_folder: Path, empty_folder: Path) -> dict[str, float]:
    """Return the CPU seconds of each stage.

    The input is the register in `measured_folder` after its run. Writing uses an empty register.
    """
    with App.open(_load_config(measured_folder)) as app:
        (audit_run,) = app.store.runs.list_all()
        assert audit_run.id is not None
        observations = list(app.store.observations.list_observations(run_id=audit_run.id))
        accounts_by_id = {row.id: row for row in app.store.registry.list_accounts()}
        seconds = {}
        seconds["fetch"], pages = _measure_cpu(
            lambda: runtime.run_async(_fetch_pages(app.config, observations))
        )
        accounts = [
            to_probe_account(accounts_by_id[observation.account_id], None)
            for observation in observations
        ]
        classifier.load_tables()  # as in the parser processes
        parser_worker.exclude_modules_from_garbage_collection()
        seconds["parse"], _ = _measure_cpu(
            lambda: [
                run_offline(checker.create_probe(account), _answer_from(pages))
                for account in accounts
            ]
        )
        seconds["overview"], _ = _measure_cpu(
            lambda: network_view.build_network_overview(app.store, app.config, RUN_AT)
        )
    bodies = [page.body for page in pages.values() if isinstance(page, Page) and page.body]
    with App.open(_load_config(empty_folder)) as app:
        seconds |= _measure_writing(app, observations, bodies)
    return seconds


def _measure_writing(
    app: App, observations: Sequence[Observation], bodies: Sequence[bytes]
) -> dict[str, float]:
    """Return the CPU seconds of storing observations and bodies, and of evaluating them."""
    audit_run = app.store.runs.begin_or_resume(RUN_AT.date(), RUN_AT)
    assert audit_run.id is not None
    new_observations = [
        replace(observation, run_id=audit_run.id, result_id=None) for observation in observations
    ]

    async def write() -> None:
        with BodyWriter(app.body_store) as body_writer:
            async with app.store.observations.open_writer(
                before_commit=body_writer.commit
            ) as writer:
                for body in bodies:
                    body_writer.put(body)
                    if body_writer.is_full:
                        await asyncio.to_thread(body_writer.commit)
                for observation in new_observations:
                    await writer.add(observation)

    seconds = {"write": _measure_cpu(lambda: runtime.run_async(write()))[0]}
    seconds["judge"], _ = _measure_cpu(
        lambda: run_results.evaluate_run(app.store, app.config, audit_run, ())
    )
    seconds["sum up"], _ = _measure_cpu(lambda: refresh_summaries(app.store, app.config))
    return seconds


async def _fetch_pages(
    config: Config, observations: Sequence[Observation]
) -> dict[str, Page | FetchError]:
    """Request every page of the observations again, with the concurrency of a run."""
    remaining: Iterator[Observation] = iter(observations)
    pages: dict[str, Page | FetchError] = {}
    async with Fetcher(config.fetch, RUN_AT) as fetcher:

        async def fetch_pages() -> None:
            for observation in remaining:
                for evidence in observation.evidence:
                    try:
                        pages[evidence.url] = await fetcher.get(
                            PageRequest(
                                evidence.url, is_registered_link=evidence.is_registered_link
                            )
                        )
                    except FetchError as error:
                        pages[evidence.url] = error

        await asyncio.gather(*(fetch_pages() for _ in range(config.fetch.concurrency)))
    return pages


def _answer_from(pages: Pages) -> Callable[[PageRequest], Page | FetchError]:
    return lambda request: pages[request.url]


def _measure_cpu(work: Callable[[], Result]) -> tuple[float, Result]:
    cpu_before = time.process_time()
    result = work()
    return time.process_time() - cpu_before, result


def _load_config(folder: Path) -> Config:
    return load_config(folder / "config.toml", {})


@contextmanager
def _pin_to_core(core: int) -> Iterator[None]:
    """Pin this process to one core if there are several."""
    allowed_cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core} & allowed_cores or allowed_cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed_cores)


def main() -> None:
    """Print the cost of each stage."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("farm", type=Path, help="folder of the farm; it is written if missing")
    parser.add_argument(
        "--hosts", type=int, default=1000, help="number of hosts with five links each"
    )
    parser.add_argument("--secure", action="store_true", help="use TLS")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    farm = Farm(write_farm(options.farm.absolute(), options.hosts), options.secure, options.hosts)
    print(describe_rounds(measure_rounds(farm, options.rounds)))


if __name__ == "__main__":
    main()
