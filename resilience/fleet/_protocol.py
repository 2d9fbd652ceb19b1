"""The protocol of a fleet's store: the requests of a process, and what the store answers.

A store keeps the state of circuits and quotas for many processes, and decides about them: which votes are a quorum,
which probe may go. Every request is one atomic step, by the store's own clock. `RedisStore` runs each as a Lua script;
`MemoryStore` is the same in plain Python, and the model that the scripts are compared with.

The store's clock is called *fleet time*. It never goes back: where the server's clock is set back, an offset makes up
for it, and a process that has seen the fleet time before says with each request what it should be now (`Stamp`).

A circuit's `epoch` grows with each of its changes. A process follows a `CircuitView` only where its epoch is greater
than the one it knows, so that late and repeated answers change nothing.

The store may lose everything at any time: it is a cache with votes, not a database. So each request carries enough to
go on from an empty store, and what a process knows (`Ask.known`, `Vote.epoch`, `Beat.cursor`) restores circuits and
keeps epochs growing. Modes that operators set, the audit and the buckets of quotas have no second copy.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

__all__ = [
    "Ask",
    "Beat",
    "BeatReply",
    "CircuitView",
    "Command",
    "FleetStore",
    "LeaseReply",
    "Result",
    "Stamp",
    "Take",
    "TakeReply",
    "Vote",
    "VoteReply",
]


class Stamp(NamedTuple):
    """The sender of a request: the process, and the fleet time by its own monotonic clock; 0 where it knows none.

    What it expects holds for the *incarnation* of the store that it has it from. One that has lost its contents has
    another time, which others may live by already.
    """

    node: str
    expected: float = 0.0
    incarnation: str = ""


class CircuitView(NamedTuple):
    """One circuit as the store knows it. Times are seconds from the answer on.

    *state* is "open", "closed", or empty where only its *mode* was ever set. An open circuit whose *left* is 0 or less
    is half-open: a lease admits a probe. *opened* is the epoch at which it opened, *opens* how often in a row.
    *mode_left* is None for a mode without an end.

    *failures*, *category* and *error* (the name of a type) are those of the vote or probe that has opened it, for the
    errors of rejected calls. *by* and *why* are the operator's. Times are relative, so that no process compares its
    clock with the server's.
    """

    name: str
    epoch: int
    state: str = ""
    left: float = 0.0
    opened: int = 0
    opens: int = 0
    failures: int = 0
    category: str = ""
    error: str = ""
    mode: str = "normal"
    mode_left: float | None = None
    by: str = ""
    why: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Beat:
    """A sign of life of a process, which asks for the changes since *cursor*.

    *cursor* is the greatest epoch the process has seen, in the store of that *incarnation*; for another one the store
    answers from the beginning. *names* are the circuits whose member it is, where that is due; *ending* says that it
    leaves.
    """

    cursor: int = 0
    incarnation: str = ""
    names: Sequence[str] = ()
    ending: bool = False


class BeatReply(NamedTuple):
    """The answer to a `Beat`: the store's *incarnation*, which is another one after it has lost its contents.

    *now* is the fleet time, *nodes* the number of live processes, *views* what has changed, *more* whether there is
    still more.
    """

    incarnation: str
    now: float
    nodes: int
    views: Sequence[CircuitView]
    more: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Vote:
    """The vote of a process whose own circuit has opened for *seconds*; 0 takes its vote back.

    *member* is the name whose members are the electorate: for the circuit of a key that of its pattern. *quorum* is the
    share of the live members. *epoch* is what the process knows of the circuit, and *opens* how often it has opened in
    a row. A vote ends by itself after *seconds*, so that a process that has gone does not vote for ever.
    """

    name: str
    member: str
    seconds: float
    quorum: float
    epoch: int = 0
    opens: int = 1
    failures: int = 0
    category: str = ""
    error: str = ""


class VoteReply(NamedTuple):
    """The answer to a `Vote`: how many votes there are, how many it takes, and the circuit."""

    votes: int
    needed: int
    view: CircuitView


@dataclasses.dataclass(frozen=True, slots=True)
class Ask:
    """A request for the lease of a probe, for *seconds*, of which there are *probes* at a time.

    It carries what the process knows of the circuit, so that a store that has lost its contents has it back. It then
    gives no lease for *seconds*: one may be in flight that it has forgotten. Without *wants* it only tells.
    """

    name: str
    nonce: str
    seconds: float
    probes: int
    known: CircuitView
    wants: bool = True


class LeaseReply(NamedTuple):
    """The answer to an `Ask`: the token of the lease, or empty; then *wait* says when to ask again, in seconds.

    The token is ``opened:nonce``, the epoch of the opening and the process's own random text: a result that arrives
    after the circuit has opened again is of another opening, and does not count.
    """

    token: str
    wait: float
    view: CircuitView


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """The result of the probe with that *token*: "ok", "bad", or "none", which only gives the lease back.

    So many results close the circuit, *closes*, or open it again, *reopens*, for *seconds*. These come with the result
    because the store knows no options.
    """

    name: str
    token: str
    kind: str
    closes: int = 1
    reopens: int = 1
    seconds: float = 0.0
    failures: int = 0
    category: str = ""
    error: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Command:
    """The command of an operator: a *mode* for a circuit, for *seconds* or, by 0, until it is released."""

    name: str
    mode: str
    seconds: float
    by: str
    why: str


@dataclasses.dataclass(frozen=True, slots=True)
class Take:
    """A request for tokens of a quota, one back in *interval* seconds and *burst* at most.

    It takes up to *most* that are there; where there are fewer than *least* it books *share* of them ahead. With a
    *most* below 0 it gives so many back.
    """

    name: str
    interval: float
    burst: int
    most: float
    share: float
    least: float = 1.0


class TakeReply(NamedTuple):
    """The answer to a `Take`: so many *tokens*, which may be spent after *wait* seconds; and the *nodes* that live."""

    tokens: float
    wait: float
    nodes: int


class FleetStore(Protocol):
    """The store of a fleet: six verbs, each atomic, the contents as a whole, and the news of changes.

    Each verb takes the `Stamp` of its sender. A store that cannot be reached raises an Exception of its own kind. It
    must not retry: a repeated `take` would take twice, and the lane has its own pauses.

    An implementation is called by the lane's thread and, as a second object, by operators. `MemoryStore` is its
    specification: the same requests in the same order have the same answers.
    """

    def beat(self, stamp: Stamp, beat: Beat) -> BeatReply:
        """Note that a process lives, and return what has changed."""
        ...

    def vote(self, stamp: Stamp, vote: Vote) -> VoteReply:
        """Count a vote; open the circuit where they are a quorum."""
        ...

    def lease(self, stamp: Stamp, ask: Ask) -> LeaseReply:
        """Give the lease of a probe. To refuse one writes nothing."""
        ...

    def result(self, stamp: Stamp, result: Result) -> CircuitView:
        """Count the result of a probe whose lease holds."""
        ...

    def command(self, stamp: Stamp, command: Command) -> CircuitView:
        """Set the mode of a circuit."""
        ...

    def take(self, stamp: Stamp, take: Take) -> TakeReply:
        """Take tokens of a quota."""
        ...

    def read(self) -> dict[str, Any]:
        """Return the circuits, the live processes and the last commands of operators, as `Fleet.snapshot` reads them.

        Circuits are triples of a `CircuitView`, the processes that vote, and the number of leases. It writes nothing.
        """
        ...

    def listen(self, heard: Callable[[CircuitView], object], ended: Callable[[], object]) -> Callable[[], object]:
        """Call *heard* with each change from now on, in a thread of its own; return what ends that.

        *ended* is called once, when the connection is lost.
        """
        ...

    def close(self) -> None:
        """Close the connections."""
        ...
