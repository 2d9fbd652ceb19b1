"""A Kafka cluster on the loopback, in a process that tests pause: the brokers that librdkafka has for its own tests.

They speak Kafka's protocol over TCP, keep messages and the offsets of consumer groups in memory, and elect members of a
group. They are not Kafka: what is killed has lost its messages. So tests pause this process, and kill the clients.

As a program it prints the address of its broker, and runs until its standard input is closed.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator

__all__ = ["Cluster", "cluster"]


class Cluster:
    """A running cluster; *address* is what clients bootstrap with."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert process.stdout is not None
        self.address = process.stdout.readline().strip()
        assert self.address

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Have the brokers neither answer nor close a connection."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """Run a cluster of one broker."""
    command = [sys.executable, __file__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Cluster(process)
        finally:
            process.kill()


def main() -> None:
    import confluent_kafka

    owner = confluent_kafka.Producer({"bootstrap.servers": "none", "test.mock.num.brokers": 1, "log_level": 0})
    (broker,) = owner.list_topics(timeout=60).brokers.values()
    sys.stdout.write(f"{broker.host}:{broker.port}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
