"""A fleet's store in Redis or Valkey: the verbs as Lua scripts, over a client of its own.

The lane must not wait for what a user's client is set to: ten retries, no time limit, answers decoded or not. So a
store makes a client like the one it was given, to the same server, with a short time limit and no retry. A client of
another kind, such as one of a cluster, is used as it is.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import secrets
import threading
from collections.abc import Callable, Sequence
from typing import Any, cast

from resilience._safe_access import safe_getattr
from resilience._validation import require
from resilience.fleet._protocol import (
    Ask,
    Beat,
    BeatReply,
    CircuitView,
    Command,
    LeaseReply,
    Result,
    Stamp,
    Take,
    TakeReply,
    Vote,
    VoteReply,
)
from resilience.fleet._scripts import PAGE, SCRIPTS, VERSION

__all__ = ["RedisStore", "own_client", "parse_client"]

_AHEAD = 30.0
"""Seconds for which tokens of a quota may be booked ahead."""
_LISTEN = 5.0
"""Seconds after which a listener looks whether it is to end."""

_EXPECTED = "a redis.Redis or valkey.Valkey client, or its URL, such as 'redis://cache:6379/0'"


def parse_client(parameter: str, value: object) -> object:
    """Return a client, or the one that a URL names. Raises TypeError for what is neither, and for an async client."""
    if isinstance(value, str):
        return _client_of_url(parameter, value)
    is_client = callable(safe_getattr(value, "evalsha")) and callable(safe_getattr(value, "pubsub"))
    require(is_client, parameter, value, _EXPECTED, TypeError)
    is_async = ".asyncio" in type(value).__module__
    require(not is_async, parameter, value, "a sync client: it works in a thread of its own", TypeError)
    return value


def _client_of_url(parameter: str, url: str) -> object:
    """Return the client of the library that the scheme of *url* names, which is imported here."""
    scheme = url.partition("://")[0]
    packages = {"redis": "redis", "rediss": "redis", "unix": "redis", "valkey": "valkey", "valkeys": "valkey"}
    # Not the URL itself: it may hold a password.
    require(scheme in packages, parameter, f"{scheme}://...", _EXPECTED)
    package = importlib.import_module(packages[scheme])
    return package.from_url(url)


def own_client(client: Any, timeout: float) -> Any:
    """Return a client to the server of *client*, which waits for *timeout* seconds at most and retries nothing.

    A sentinel's client is made anew by its manager, and keeps following the master. A client without a pool of the
    usual kind is returned as it is.
    """
    pool = safe_getattr(client, "connection_pool")
    package = type(client).__module__.partition(".")[0]
    changed = {"socket_timeout": timeout, "socket_connect_timeout": max(timeout, 1.0), "decode_responses": False}
    manager: Any = safe_getattr(pool, "sentinel_manager")
    if manager is not None:
        return manager.master_for(safe_getattr(pool, "service_name"), **changed)
    options: Any = safe_getattr(pool, "connection_kwargs")
    if not isinstance(options, dict) or not hasattr(pool, "connection_class"):
        return client
    retries = importlib.import_module(f"{package}.retry")
    backoffs = importlib.import_module(f"{package}.backoff")
    no_retry = retries.Retry(backoffs.NoBackoff(), 0)
    own: dict[str, Any] = {**options, **changed, "retry": no_retry, "health_check_interval": 0}
    for name in (
        "retry_on_error",
        "retry_on_timeout",
        "maint_notifications_config",
        "maint_notifications_pool_handler",
    ):
        own.pop(name, None)
    module = importlib.import_module(f"{package}.connection")
    made = module.ConnectionPool(connection_class=cast("Any", pool).connection_class, **own)
    return type(client)(connection_pool=made)


class RedisStore:
    """The verbs of a fleet called *fleet*, each one script on the server that *client* talks to.

    It translates and decides nothing: arguments go out as text and whole microseconds, answers come back as lists of
    bytes. What the verbs mean is in `_protocol`, how they work in `_scripts`. A script is called by its hash and sent
    whole only where the server does not know it. The lane's thread uses one store, operators another; a listener has
    its own connection and thread.
    """

    def __init__(self, client: object, fleet: str, timeout: float) -> None:
        self._prefix = f"resilience:fleet:{VERSION}:{{{fleet}}}:"
        self._client: Any = own_client(client, timeout)
        self._is_own = self._client is not client
        self._scripts = {verb: (hashlib.sha1(text.encode()).hexdigest(), text) for verb, text in SCRIPTS.items()}  # noqa: S324 - as Redis names scripts

    def beat(self, stamp: Stamp, beat: Beat) -> BeatReply:
        """Run the script `beat`."""
        # A new one each time: a store that has lost its contents must not have the same again.
        incarnation = secrets.token_hex(8)
        found = self._run(
            "beat", stamp, beat.cursor, beat.incarnation, incarnation, int(beat.ending), *beat.names[:PAGE]
        )
        incarnation, now, nodes, more, views = found
        return BeatReply(
            _text(incarnation), _seconds(now), int(nodes), [_view(each) for each in views], _text(more) == "1"
        )

    def vote(self, stamp: Stamp, vote: Vote) -> VoteReply:
        """Run the script `vote`."""
        votes, needed, view = self._run(
            "vote",
            stamp,
            vote.name,
            vote.member,
            _micros(vote.seconds),
            vote.quorum,
            vote.epoch,
            vote.opens,
            vote.failures,
            vote.category,
            vote.error,
        )
        return VoteReply(int(votes), int(needed), _view(view))

    def lease(self, stamp: Stamp, ask: Ask) -> LeaseReply:
        """Run the script `lease`."""
        known = ask.known
        token, wait, view = self._run(
            "lease",
            stamp,
            ask.name,
            ask.nonce,
            _micros(ask.seconds),
            ask.probes,
            int(ask.wants),
            known.epoch,
            _micros(known.left),
            known.opened,
            known.opens,
            known.failures,
            known.category,
            known.error,
        )
        return LeaseReply(_text(token), _seconds(wait), _view(view))

    def result(self, stamp: Stamp, result: Result) -> CircuitView:
        """Run the script `result`."""
        found = self._run(
            "result",
            stamp,
            result.name,
            result.token,
            result.kind,
            result.closes,
            result.reopens,
            _micros(result.seconds),
            result.failures,
            result.category,
            result.error,
        )
        return _view(found)

    def command(self, stamp: Stamp, command: Command) -> CircuitView:
        """Run the script `command`."""
        found = self._run(
            "command", stamp, command.name, command.mode, _micros(command.seconds), command.by, command.why
        )
        return _view(found)

    def take(self, stamp: Stamp, take: Take) -> TakeReply:
        """Run the script `take`."""
        tokens, wait, nodes = self._run(
            "take",
            stamp,
            take.name,
            take.interval * 1e6,
            take.burst,
            take.most,
            take.share,
            _micros(_AHEAD),
            take.least,
        )
        return TakeReply(float(tokens), _seconds(wait), int(nodes))

    def read(self) -> dict[str, Any]:
        """Run the script `read`, which writes nothing."""
        now, circuits, nodes, audit = self._run("read", Stamp(""))
        names = [_text(name) for name in nodes[::2]]
        heard = [_seconds(score) for score in nodes[1::2]]
        return {
            "now": _seconds(now),
            "circuits": [
                (_view(view), [_text(node) for node in votes], int(leases)) for view, votes, leases in circuits
            ],
            "nodes": dict(zip(names, heard, strict=True)),
            "audit": [json.loads(each) for each in audit],
        }

    def listen(self, heard: Callable[[CircuitView], object], ended: Callable[[], object]) -> Callable[[], object]:
        """Subscribe to the news of the fleet, and have a thread call *heard* with each change."""
        listener = _Listener(self._client, f"{self._prefix}news", heard, ended)
        listener.start()
        return listener.end

    def close(self) -> None:
        """Close the connections, unless they are those of the client that was given."""
        if self._is_own:
            self._client.connection_pool.disconnect()

    def _run(self, verb: str, stamp: Stamp, *arguments: object) -> Any:
        """Run the script of *verb*. A server that does not know it, after a failover or a restart, is sent its text."""
        sha, script = self._scripts[verb]
        expected = f"{_micros(stamp.expected)} {stamp.incarnation}"
        given = (f"{self._prefix}meta", stamp.node, expected, *arguments)
        try:
            return self._client.evalsha(sha, 1, *given)
        except Exception as error:
            if "NOSCRIPT" not in f"{type(error).__name__} {error}".upper():
                raise
        return self._client.eval(script, 1, *given)


class _Listener(threading.Thread):
    """Listens to the news of a fleet on a connection of its own, until it is ended or the connection is lost.

    It subscribes before it starts, in the thread that makes it: a change that is published before the thread runs waits
    in the connection. It hands on what it reads, and touches no circuit.
    """

    def __init__(
        self,
        client: Any,
        channel: str,
        heard: Callable[[CircuitView], object],
        ended: Callable[[], object],
    ) -> None:
        super().__init__(name="resilience-fleet-news", daemon=True)
        self._subscription = client.pubsub(ignore_subscribe_messages=True)
        # In the thread of the caller: what changes from here on is heard.
        self._subscription.subscribe(channel)
        self._heard = heard
        self._ended = ended
        self._ending = False

    def end(self) -> None:
        """Have it end: with the answer to this, or where the server is gone, a few seconds later."""
        self._ending = True
        with contextlib.suppress(Exception):
            self._subscription.unsubscribe()

    def run(self) -> None:
        """Hand on each change until it is to end, or the connection is lost."""
        try:
            while not self._ending:
                message = self._subscription.get_message(timeout=_LISTEN)
                if message is not None and message["type"] == "message":
                    self._heard(_view(json.loads(message["data"])))
        except Exception:  # noqa: S110 - the connection is lost; the lane notices with its next beat, and says so
            pass
        finally:
            self._ended()
            self._subscription.close()


def _view(fields: Sequence[Any]) -> CircuitView:
    """Return a circuit from the fields of an answer."""
    name, epoch, state, left, opened, opens, failures, category, error, mode, mode_left, by, why = map(_text, fields)
    ends = _seconds(mode_left) if mode_left else None
    return CircuitView(
        name,
        int(epoch),
        state,
        _seconds(left),
        int(opened),
        int(opens),
        int(failures),
        category,
        error,
        mode,
        ends,
        by,
        why,
    )


def _text(value: object) -> str:
    """Return a text of an answer, which a client with ``decode_responses=True`` has decoded."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return str(value)


def _seconds(micros: Any) -> float:
    """Return microseconds of an answer as seconds."""
    return float(micros) / 1e6


def _micros(seconds: float) -> int:
    """Return seconds as microseconds, for a script."""
    return round(seconds * 1e6)
