"""One of several processes: ``python -m tests.integrations.prometheus_worker WHAT``. The test reads what it wrote."""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
import threading
import time

from prometheus_client import CollectorRegistry, generate_latest, multiprocess

from resilience import circuit_breaker, retry_on_category
from resilience.integrations.prometheus import install
from resilience.metrics import track_errors

breaker = circuit_breaker("billing", failure_threshold=2, reset_timeout=60)


@track_errors(component="billing")
@retry_on_category(attempts=2, base_delay=0)
@breaker
def charge(amount: int) -> int:
    if amount < 0:
        raise ConnectionResetError
    return amount


def serve(good: int, bad: int) -> None:
    for _ in range(good):
        charge(1)
    for _ in range(bad):
        try:
            charge(-1)
        except ConnectionResetError:
            pass


def scrape() -> str:
    """What a process answers that has done nothing itself."""
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    return generate_latest(registry).decode()


def main(what: str) -> None:
    if what == "serve":  # comes to its end
        install()
        serve(good=5, bad=1)
    elif what == "killed":  # is killed after a while
        undo = install()
        serve(good=5, bad=1)
        time.sleep(1.5)
        assert "resilience_calls_total" in scrape()
        undo.flush()
        os._exit(1)
    elif what == "killed at once":  # after its circuit has opened
        install()
        breaker.open()
        os._exit(1)
    elif what == "killed later":  # by itself it has written twice
        install()
        for _ in range(2):
            serve(good=5, bad=0)
            time.sleep(1.5)
        os._exit(1)
    elif what == "forgets":  # a circuit
        undo = install()
        short_lived = circuit_breaker("short-lived")
        short_lived.open()
        undo.flush()
        assert 'circuit="short-lived",state="open"} 1' in scrape()
        del short_lived
        gc.collect()
    elif what == "fork":  # as a server that loads the program before it forks
        threads: list[int] = []
        os.register_at_fork(before=lambda: threads.append(threading.active_count()))  # the last one to be called
        install()
        serve(good=3, bad=0)
        child = os.fork()
        assert threads == [1]
        if child == 0:
            serve(good=4, bad=0)
            sys.exit()  # runs what atexit has
        os.waitpid(child, 0)
    elif what == "multiprocessing":
        install()
        serve(good=1, bad=0)
        context = multiprocessing.get_context("fork")
        processes = [context.Process(target=serve, args=(10, 0)) for _ in range(2)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
    elif what == "twice":  # in two registries
        first, second = install(CollectorRegistry()), install(CollectorRegistry())
        serve(good=2, bad=0)
        first()
        second()


if __name__ == "__main__":
    main(sys.argv[1])
