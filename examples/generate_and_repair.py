# ruff: noqa: INP001 -- a program by itself, which prints
"""A model generates code, which fails and is repaired, while the container that should run it cannot be reached.

    python -m examples.generate_and_repair

The model is wrong twice: it forgets a definition, and then imports a module that the level does not allow. The
container refuses two connections; its circuit opens, and the code runs on this machine instead. Only the model is
scripted: the port, the processes and their reports are real. It ends with the right result, after three
generations and five failures, and with a report of each of them.
"""

from __future__ import annotations

import dataclasses
import socket

import anyio

from resilience import circuit_breaker
from resilience.contrib.executor import ContainerConnectivityError
from resilience.execution import (
    ErrorHistory,
    ExecutionReport,
    ExecutionRequest,
    Executor,
    FallbackExecutor,
    Feedback,
    GeneratedRun,
    Listener,
    SubprocessExecutor,
    run_generated,
)

DRAFTS = (
    "```python\nprices = [4, 8, 15, 16, 23, 42]\nprint('mean of', len(prices))\nround(mean(prices), 2)\n```",
    "```python\nimport os\nprices = [4, 8, 15, 16, 23, 42]\nround(sum(prices) / int(os.environ['COUNT']), 2)\n```",
    "```python\nprices = [4, 8, 15, 16, 23, 42]\nround(sum(prices) / len(prices), 2)\n```",
)


@dataclasses.dataclass
class Model:
    """Stands for a language model: it gives the next draft, whatever the feedback. Put yours in its place."""

    prompts: list[str] = dataclasses.field(default_factory=list[str])

    async def generate(self, feedback: Feedback) -> str:
        """Return the next draft."""
        self.prompts.append(feedback.to_llm(400))
        return DRAFTS[feedback.generation - 1]


@dataclasses.dataclass
class Container:
    """An executor behind a port on which no server listens: a container that is not up yet."""

    inside: Executor
    host: str
    port: int

    async def execute(self, request: ExecutionRequest | str, *, on_event: Listener | None = None) -> ExecutionReport:
        """Execute *request* inside, where the port accepts a connection."""
        try:
            await (await anyio.connect_tcp(self.host, self.port)).aclose()
        except OSError as error:
            raise ContainerConnectivityError("connection refused", self.host, self.port) from error
        return await self.inside.execute(request, on_event=on_event)

    def execute_sync(self, request: ExecutionRequest | str, *, on_event: Listener | None = None) -> ExecutionReport:
        """Do the same, and block."""
        try:
            socket.create_connection((self.host, self.port)).close()
        except OSError as error:
            raise ContainerConnectivityError("connection refused", self.host, self.port) from error
        return self.inside.execute_sync(request, on_event=on_event)


async def generate_and_repair(model: Model) -> GeneratedRun:
    """Run the loop."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]  # free, and closed again
    async with SubprocessExecutor() as here:
        circuit = circuit_breaker("container", failure_threshold=2)
        executor = FallbackExecutor(
            Container(here, "127.0.0.1", port), here, circuit=circuit, attempts=2, base_delay=0.01
        )
        return await run_generated(model.generate, executor, history=ErrorHistory())


def main() -> None:
    """Run the loop, and print the feedback, the failures and the result."""
    model = Model()
    run = anyio.run(generate_and_repair, model)
    assert run.report is not None
    for number, prompt in enumerate(model.prompts, 1):
        if prompt:
            print(f"--- feedback to the model before generation {number}\n{prompt}\n")
    print("--- what went wrong, in order")
    for report in run.reports:
        print(f"{report.category.label}: {report.error_summary}")
    print(f"--- generation {run.generations}, executed {run.report.ran_on}ly\n{run.code.rstrip()}")
    print(f"--- result: {run.report.execution_result.return_value}")


if __name__ == "__main__":
    main()
