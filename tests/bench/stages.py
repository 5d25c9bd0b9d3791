"""Each stage of a night alone, over what a whole night saw: CPU per link, and their sum beside the whole.

    python tests/bench/stages.py FARM [--hosts 1000] [--secure] [--rounds 3]

Three cannot be avoided: `fetch`, the same requests without reading; `parse`, the same pages read by the probe
in one process; `write`, the same observations and bodies put into an empty store. The others are `judge`,
`sum up` and what readers wait for: `overview`, `publish`. Rounds are told by their medians, and so is their
ratio: a machine moves between a night and its stages. Registers stay until the end, as in `race.py`.
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
from auditor.config.schema import Config, load_config
from auditor.core import runtime
from auditor.evaluation import network_view, run_results
from auditor.evaluation.run_results import refresh_summaries
from probes.http.fetcher import Fetcher
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import run_offline
from probes.runner import parser_worker
from probes.text.lazy_regex import prepare_patterns
from storage.files.body_store import BodyWriter
from storage.models.audit import Observation
from tests.bench.farm import Farm, serving, written
from tests.bench.pipeline import NIGHTS, Register

NIGHT = datetime.fromisoformat(NIGHTS[0]).replace(tzinfo=UTC)
UNAVOIDABLE = ("fetch", "parse", "write")
T = TypeVar("T")
Pages = Mapping[str, Page | FetchError]


@dataclass(frozen=True, slots=True)
class Stages:
    """The CPU of each stage, and of the whole night, in ms a link."""

    alone: Mapping[str, float]
    whole: float

    @property
    def least(self) -> float:
        """What cannot be avoided."""
        return sum(self.alone[name] for name in UNAVOIDABLE)


def told(rounds: Sequence[Stages]) -> str:
    """The medians of several rounds, and of their ratios."""
    alone = {name: median(one.alone[name] for one in rounds) for name in rounds[0].alone}
    lines = [f"  {name:10}{cpu:8.3f} ms CPU a link" for name, cpu in alone.items()]
    whole, least = (median(getattr(one, name) for one in rounds) for name in ("whole", "least"))
    times = [one.whole / one.least for one in rounds]
    each = f" ({', '.join(f'{one:.2f}' for one in times)})" if len(times) > 1 else ""
    last = f"  the whole night {whole:.3f} ms, {' + '.join(UNAVOIDABLE)} {least:.3f} ms"
    return "\n".join([*lines, f"{last}: {median(times):.2f} times{each}"])


def several(farm: Farm, rounds: int) -> list[Stages]:
    """So many rounds."""
    with tempfile.TemporaryDirectory() as place, serving(farm):
        return [stages(farm, Path(place)) for _ in range(rounds)]


def stages(farm: Farm, place: Path) -> Stages:
    """Run a whole night, then each of its stages, in folders of their own within one."""
    links = 5 * farm.hosts
    one, other = (Path(tempfile.mkdtemp(dir=place)) for _ in range(2))
    night = Register(one, farm, farm.sites())
    whole = night.night(0).cost.cpu
    Register(other, farm, farm.sites())
    with _on(1):
        alone = _alone(one, other)
    alone["publish"] = night.published().cpu
    return Stages({name: 1000 * cpu / links for name, cpu in alone.items()}, 1000 * whole / links)


def _alone(seen: Path, empty: Path) -> dict[str, float]:
    """Seconds of CPU of the stages, from a register that had its night to one that has had none."""
    with App.open(_config(seen)) as app:
        (night,) = app.store.list_runs()
        assert night.id is not None
        looks = list(app.store.list_observations(run_id=night.id))
        rows = {row.id: row for row in app.store.list_accounts()}
        spent = {}
        spent["fetch"], pages = _measured(lambda: runtime.run_async(_fetched(app.config, looks)))
        accounts = [to_probe_account(rows[look.account_id], None) for look in looks]
        prepare_patterns()  # as in the processes that read pages
        parser_worker.tune_garbage_collector()
        spent["parse"], _ = _measured(
            lambda: [run_offline(checker.probe_steps_for(one), _from(pages)) for one in accounts]
        )
        spent["overview"], _ = _measured(
            lambda: network_view.build_network_overview(app.store, app.config, NIGHT)
        )
    bodies = [page.body for page in pages.values() if isinstance(page, Page) and page.body]
    with App.open(_config(empty)) as app:
        spent |= _written(app, looks, bodies)
    return spent


def _written(app: App, looks: Sequence[Observation], bodies: Sequence[bytes]) -> dict[str, float]:
    """The looks and bodies put into an empty register, and what is concluded of them."""
    night = app.store.begin_run(NIGHT.date(), NIGHT)
    assert night.id is not None
    new = [replace(look, run_id=night.id, result_id=None) for look in looks]

    async def write() -> None:
        with BodyWriter(app.body_store) as laying:
            async with app.store.open_observation_writer(before_commit=laying.commit) as writer:
                for body in bodies:
                    laying.put(body)
                    if laying.is_full:
                        await asyncio.to_thread(laying.commit)
                for look in new:
                    await writer.add(look)

    spent = {"write": _measured(lambda: runtime.run_async(write()))[0]}
    spent["judge"], _ = _measured(
        lambda: run_results.evaluate_run(app.store, app.config, night, ())
    )
    spent["sum up"], _ = _measured(lambda: refresh_summaries(app.store, app.config))
    return spent


async def _fetched(config: Config, looks: Sequence[Observation]) -> dict[str, Page | FetchError]:
    """Every page of the looks, asked for again by as many at once as a night does."""
    waiting: Iterator[Observation] = iter(looks)
    pages: dict[str, Page | FetchError] = {}
    async with Fetcher(config.fetch, NIGHT) as fetcher:

        async def work() -> None:
            for look in waiting:
                for piece in look.evidence:
                    try:
                        pages[piece.url] = await fetcher.get(
                            PageRequest(piece.url, is_registered_link=piece.is_registered_link)
                        )
                    except FetchError as none:
                        pages[piece.url] = none

        await asyncio.gather(*(work() for _ in range(config.fetch.concurrency)))
    return pages


def _from(pages: Pages) -> Callable[[PageRequest], Page | FetchError]:
    return lambda ask: pages[ask.url]


def _measured(work: Callable[[], T]) -> tuple[float, T]:
    before = time.process_time()
    done = work()
    return time.process_time() - before, done


def _config(folder: Path) -> Config:
    return load_config(folder / "config.toml", {})


@contextmanager
def _on(core: int) -> Iterator[None]:
    """Keep this process on one core, where there are several."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core} & before or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def main() -> None:
    """Tell what each stage costs."""
    asked = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    asked.add_argument("farm", type=Path, help="where the farm lies, or is written")
    asked.add_argument("--hosts", type=int, default=1000, help="five links each")
    asked.add_argument("--secure", action="store_true", help="by TLS")
    asked.add_argument("--rounds", type=int, default=1)
    how = asked.parse_args()
    farm = Farm(written(how.farm.absolute(), how.hosts), how.secure, how.hosts)
    print(told(several(farm, how.rounds)))


if __name__ == "__main__":
    main()
