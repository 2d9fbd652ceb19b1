"""One of three nested services, each a process of its own: ``python nested_service.py front|middle|back [ADDRESS]``.

It prints its port, and when a request has ended a line of JSON: the seconds that were left at the beginning and at the
end, and how it ended. The front is an ASGI application that asks the middle, a WSGI application, over HTTP; that asks
the back over gRPC, which retries a dependency that never answers.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from wsgiref.simple_server import WSGIRequestHandler, make_server

import grpc
import httpx

from resilience import remaining, retry_on_category
from resilience.clients import protect, send_deadline
from resilience.integrations.deadlines import DeadlineHeader, DeadlineMiddleware, WsgiDeadlineMiddleware
from resilience.integrations.deadlines.grpc import DeadlineInterceptor

HEADER = DeadlineHeader("x-envoy-expected-rq-timeout-ms")
PATIENCE = 60.0


def say(**line: object) -> None:
    sys.stdout.write(f"{json.dumps(line)}\n")
    sys.stdout.flush()


@contextmanager
def reported(service: str) -> Iterator[None]:
    begin, end = remaining(), "done"
    try:
        yield
    except BaseException as error:
        end = type(error).__name__
        raise
    finally:
        say(service=service, begin=begin, left=remaining(), end=end)


def front(middle: str) -> None:
    import uvicorn

    async def app(scope: dict[str, object], receive: object, send: object) -> None:
        with reported("front"):
            async with protect(httpx.AsyncClient(timeout=PATIENCE), send_deadline(HEADER)) as client:
                response = await client.get(f"http://{middle}/")
                response.raise_for_status()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    class Server(uvicorn.Server):
        async def startup(self, sockets: object = None) -> None:
            await super().startup(sockets)
            say(port=self.servers[0].sockets[0].getsockname()[1])

    limited = DeadlineMiddleware(app, header=HEADER)
    Server(uvicorn.Config(limited, port=0, lifespan="off", log_level="error")).run()


class Quiet(WSGIRequestHandler):
    """Logs no requests."""

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - the base class has it


def middle(back: str) -> None:
    channel = protect(grpc.insecure_channel(back), retry_on_category(attempts=5))

    def app(environ: object, start_response: object) -> list[bytes]:
        with reported("middle"):
            channel.unary_unary("/nested/Find")(b"")
        start_response("200 OK", [])
        return [b"done"]

    with make_server("127.0.0.1", 0, WsgiDeadlineMiddleware(app, header=HEADER), handler_class=Quiet) as server:
        say(port=server.server_port)
        server.serve_forever()


def back() -> None:
    @retry_on_category(attempts=10_000, base_delay=0.05, max_delay=0.05, jitter="none")
    def ask_a_dependency_that_never_answers() -> None:
        time.sleep(max(remaining(), 0))
        raise TimeoutError

    def find(request: bytes, context: grpc.ServicerContext) -> bytes:
        with reported("back"):
            ask_a_dependency_that_never_answers()
        return b"found"

    server = grpc.server(ThreadPoolExecutor(4), interceptors=[DeadlineInterceptor()])
    methods = {"Find": grpc.unary_unary_rpc_method_handler(find)}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("nested", methods)])
    say(port=server.add_insecure_port("127.0.0.1:0"))
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    {"front": front, "middle": middle, "back": back}[sys.argv[1]](*sys.argv[2:])
