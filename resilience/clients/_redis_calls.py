"""The calls of a protected Redis client: each command and each pipeline, taken through the policies.

`put_guard` replaces the methods of a client through which its commands go, and gives the pipelines, subscriptions and
clients that it makes what they need: pipelines the same guard, subscriptions the client's own retries.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence
from typing import Any, cast

import redis

from resilience.clients._protection import Protection, attach_protection
from resilience.clients._redis_commands import is_blocking, method_of, method_of_all, name_of_command
from resilience.clients._redis_connections import AsyncPatientPool, PatientPool, subclass_of
from resilience.clients.bodies import FIXED, Body, OneTimeBody
from resilience.clients.call_options import ParsedOptions, parse_options
from resilience.clients.exchange import AsyncExchange, BaseExchange, Exchange
from resilience.clients.guards import AsyncGuard, Guard
from resilience.policies.retry import Retry

__all__ = ["CommandCall", "RedisPeer", "put_guard"]


class RedisPeer:
    """The parts that all calls of one client share: its guards, the *address* of the server, its own *retry*.

    Commands that wait for another client have a guard of the retries alone. A time limit would cut such a command off
    while its reply is sent, and with it the message that BLPOP has taken from its list; a bulkhead would be full of
    commands that wait; a circuit would count them as slow.
    """

    def __init__(self, guard: Guard | AsyncGuard, protection: Protection, address: str, retry: object) -> None:
        retries = [policy for policy in protection.policies if isinstance(policy, Retry)]
        self._guard = guard
        self._blocking = type(guard)(guard.target, retries, guard.errors)
        self.address: str = address
        self.retry: object = retry
        self.is_async: bool = isinstance(guard, AsyncGuard)

    def command(self, send: Callable[..., Any], command: Sequence[Any], body: Body = FIXED) -> Any:
        """Make the call of one command by *send*, which gets nothing."""
        guard = self._guard
        if is_blocking(command):
            guard = self._blocking
        return self._run(guard, name_of_command(command), method_of(command), send, body)

    def batch(self, send: Callable[..., Any], commands: Sequence[Sequence[Any]], body: Body) -> Any:
        """Make the call of a pipeline."""
        return self._run(self._guard, "PIPELINE", method_of_all(commands), send, body)

    def _run(self, guard: Guard | AsyncGuard, command: str, method: str, send: Callable[..., Any], body: Body) -> Any:
        """Make the call through *guard*, or past it where the block around the call says so: `request_options`."""
        options = parse_options(None)
        if not options.enabled:
            return send()
        if isinstance(guard, AsyncGuard):  # the coroutine of the guard
            return guard.call(_AsyncCommandCall(options, self.address, command, method, send, body))
        return guard.call(_SyncCommandCall(options, self.address, command, method, send, body))


class CommandCall(BaseExchange[Any]):
    """The call of a command or a pipeline, as policies and functions such as ``idempotent=`` get it.

    Its *method* is the HTTP method that is as idempotent as the command, so that rules which know HTTP alone, such as
    `unless_post`, decide rightly. Its *host* is the address of the server. There is no status: the client raises the
    error that the server replies with.
    """

    def __init__(
        self, options: ParsedOptions, address: str, command: str, method: str, send: Callable[..., Any], body: Body
    ) -> None:
        super().__init__(options)
        self.method: str = method
        #: The name of the command in capitals, such as INCR or CONFIG GET; PIPELINE of a pipeline.
        self.command: str = command
        self._address = address
        self._send = send
        self._queued = body

    @property
    def url(self) -> str:
        return f"redis://{self._address}/{self.command}"

    @property
    def host(self) -> str:
        return self._address

    def request_headers(self) -> object:
        return {}

    def body(self) -> Body:
        return self._queued

    def status(self, response: Any) -> int:
        return 200  # the client raises an error that the server replies with

    def describe_failure(self, error: BaseException) -> None:
        """Set the attributes that an error of this version of redis-py has, as one that is made here has them."""
        example = redis.ConnectionError()
        error.__dict__.update({name: value for name, value in vars(example).items() if name not in error.__dict__})


class _SyncCommandCall(CommandCall, Exchange[Any]):
    """The call of a sync client. A reply has been read when the client returns it: nothing is settled or closed."""

    def send(self) -> Any:
        return self._send()

    def settle(self, response: Any) -> None: ...

    def close(self, response: Any) -> None: ...


class _AsyncCommandCall(CommandCall, AsyncExchange[Any]):
    """The call of an async client, as `_SyncCommandCall`."""

    async def send(self) -> Any:
        return await self._send()

    async def settle(self, response: Any) -> None: ...

    async def close(self, response: Any) -> None: ...


# -- the methods of a client that are guarded --------------------------------------------------------------------------


def put_guard(client: Any, peer: RedisPeer, protection: Protection) -> None:
    """Put the guard into *client*, and into the pipelines and clients that are made of it."""
    send, pipeline, pubsub, connected = client.execute_command, client.pipeline, client.pubsub, client.client

    @functools.wraps(send)
    def execute_command(*command: Any, **options: Any) -> Any:
        return peer.command(functools.partial(send, *command, **options), command)

    @functools.wraps(pipeline)
    def guarded_pipeline(*given: Any, **named: Any) -> Any:
        made = pipeline(*given, **named)
        made.__class__ = subclass_of(cast("Hashable", type(made)), _GuardedPipeline)
        made._resilience_peer = peer
        return made

    @functools.wraps(pubsub)
    def patient_pubsub(**named: Any) -> Any:
        made = pubsub(**named)
        patient = PatientPool
        if peer.is_async:
            patient = AsyncPatientPool
        made.connection_pool = patient(made.connection_pool, peer.retry)
        return made

    @functools.wraps(connected)
    def guarded_client() -> Any:
        made = connected()
        put_guard(made, peer, protection)
        attach_protection(made, protection)
        return made

    client.execute_command, client.pipeline = execute_command, guarded_pipeline
    client.pubsub, client.client = patient_pubsub, guarded_client


class _GuardedPipeline:
    """A pipeline, sync or async: its batch is one call, and so is each command that it makes while it watches keys.

    A mixin of the pipeline's own class, see `subclass_of`. While a batch runs, redis-py makes commands at once for it,
    such as SCRIPT EXISTS; by ``_resilience_in_batch`` they belong to the attempt, and are no calls of their own.
    """

    command_stack: list[Any]
    scripts: set[Any]
    watching: bool
    explicit_transaction: bool
    _resilience_peer: RedisPeer
    _resilience_in_batch: bool = False

    def execute(self, raise_on_error: bool = True) -> Any:
        """Send the queued commands as one call: a retry sends all of them again."""
        untyped: Any = super()
        send = functools.partial(untyped.execute, raise_on_error)
        if self._resilience_peer.is_async:
            send = functools.partial(self._batch_async, send)
        else:
            send = functools.partial(self._batch, send)
        commands = [command for command, _ in self.command_stack]
        return self._resilience_peer.batch(send, commands, self._body(_Queue(self)))

    def immediate_execute_command(self, *command: Any, **options: Any) -> Any:
        """Send one command now, as a call of its own unless a batch runs that needs it."""
        untyped: Any = super()
        send = functools.partial(untyped.immediate_execute_command, *command, **options)
        if self._resilience_in_batch:
            return send()
        return self._resilience_peer.command(send, command, self._body(FIXED))

    def _body(self, body: Body) -> Body:
        """Return *body*; one that is sent once while keys are watched, for the watch is lost with the connection."""
        if self.watching:
            return OneTimeBody()
        return body

    def _batch(self, send: Callable[[], Any]) -> Any:
        self._resilience_in_batch = True
        try:
            return send()
        finally:
            self._resilience_in_batch = False

    async def _batch_async(self, send: Callable[[], Any]) -> Any:
        self._resilience_in_batch = True
        try:
            return await send()
        finally:
            self._resilience_in_batch = False


class _Queue(Body):
    """The commands of a pipeline, which its ``execute`` takes away also where it fails."""

    shareable = False

    def __init__(self, pipeline: _GuardedPipeline) -> None:
        self._pipeline = pipeline
        self._commands = pipeline.command_stack
        self._scripts = pipeline.scripts
        self._explicit = pipeline.explicit_transaction

    def rewind(self) -> None:
        self._pipeline.command_stack = self._commands
        self._pipeline.scripts = self._scripts
        self._pipeline.explicit_transaction = self._explicit
