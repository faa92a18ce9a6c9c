"""Who computes: this process, processes of joblib, or workers of Dask.

Promises that each engine yields the place and the answer of every scenario once, in whatever order they are done, and
lets its workers go when the caller stops listening.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, Literal, TypeAlias

from dsmodel.errors import InvalidInput, MissingDependency

__all__ = ["ENGINES", "Engine", "computed"]

ENGINES = ("serial", "joblib", "dask")
Engine: TypeAlias = "Literal['serial', 'joblib', 'dask'] | Any"
Done: TypeAlias = "tuple[int, Any]"
Work: TypeAlias = Callable[[int], Done]


def computed(work: Work, places: Sequence[int], *, engine: Engine, workers: int | None) -> Iterator[Done]:
    """Compute scenarios.

    Parameters
    ----------
    work : callable
        Takes the place of a scenario, gives the place and its answer; never raises.
    places : sequence of int
        Of those to compute.
    engine : "serial", "joblib", "dask" or distributed.Client
        Who computes.
    workers : int or None
        How many processes; as many as there are cores if None. A client has its own.

    Yields
    ------
    tuple of int and object
        Place and answer, as they are done.

    Raises
    ------
    InvalidInput
        There is no such engine, or less than one worker.
    MissingDependency
        The engine is not installed.
    """
    if workers is not None and workers < 1:
        raise InvalidInput(f"workers={workers}: one process or more")
    if engine == "serial":
        yield from map(work, places)
    elif engine == "joblib":
        yield from _by_joblib(work, places, workers)
    elif engine == "dask" or hasattr(engine, "scheduler_info"):
        yield from _by_dask(work, places, None if engine == "dask" else engine, workers)
    else:
        raise InvalidInput(f"engine={engine!r}: is one of {', '.join(ENGINES)}, or a distributed.Client")


def _by_joblib(work: Work, places: Sequence[int], workers: int | None) -> Iterator[Done]:
    """Let joblib's processes compute."""
    try:
        from joblib import Parallel, delayed
    except ImportError as error:
        raise MissingDependency("engine='joblib' needs joblib: pip install 'dsmodel[parallel]'") from error
    run = Parallel(n_jobs=workers or -1, return_as="generator_unordered")
    yield from run(delayed(work)(place) for place in places)


def _by_dask(work: Work, places: Sequence[int], client: Any, workers: int | None) -> Iterator[Done]:
    """Let workers of Dask compute: those of a client, or processes that live as long as the sweep."""
    try:
        from distributed import Client, LocalCluster, as_completed
    except ImportError as error:
        raise MissingDependency("engine='dask' needs Dask: pip install 'dsmodel[dask]'") from error
    with ExitStack() as stack:
        if client is None:
            options: dict[str, Any] = {"threads_per_worker": 1, "dashboard_address": None, "host": "127.0.0.1"}
            cluster = stack.enter_context(LocalCluster(n_workers=workers, **options))  # type: ignore[no-untyped-call]
            client = stack.enter_context(Client(cluster))  # type: ignore[no-untyped-call]
        shared = client.scatter(work, broadcast=True)
        futures = client.map(_call, [shared] * len(places), list(places), pure=False)
        stack.callback(client.cancel, futures)
        for future in as_completed(futures):  # type: ignore[no-untyped-call]
            yield future.result()


def _call(work: Work, place: int) -> Done:
    """Compute one scenario on a worker, which got the work once."""
    return work(place)
