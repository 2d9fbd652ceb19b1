"""Circuits and quotas that the processes of a service share, through Redis or Valkey.

Make one `Fleet` for a program, and give it to circuits: ``circuit_breaker("payments", fleet=fleet)``. Every process
decides by itself, at once and without I/O; what it decides is a vote, and a quorum of votes opens the circuit in all of
them. ``rate_limit("openai", "500/min", fleet=fleet)`` is one quota for all. Operators isolate and release circuits for
the whole fleet.

    _fleet          `Fleet`, the public object, and its operators' commands
    _circuit        the policy of a shared circuit
    _quota          the bucket of a shared rate limit
    _lane           the one thread of a process that talks to the store
    _protocol       the verbs of a store, with what they take and answer
    _redis_store    the verbs on Redis or Valkey, by the Lua scripts of `_scripts`
    _memory_store   the same in plain Python: the model of the protocol, and ``memory://`` for tests

Three kinds of threads meet here. Calls, in threads of the program or in its event loop, decide under the lock of their
circuit or bucket and queue requests. The lane's thread performs the requests. A listener's thread receives published
changes and queues them for the lane. No lock is held during I/O, and no call depends on the store: while it cannot be
reached, circuits and quotas decide by themselves.

The client library is an optional one: `redis` or `valkey`, whichever the program has. Nothing here imports it before a
fleet is given a URL or a client.
"""

from typing import TYPE_CHECKING

from resilience._lazy import attach_lazy

if TYPE_CHECKING:
    from resilience.fleet._fleet import Fleet, FleetAudit, FleetCircuitSnapshot, FleetNode, FleetSnapshot

__all__ = ["Fleet", "FleetAudit", "FleetCircuitSnapshot", "FleetNode", "FleetSnapshot"]

attach_lazy(__name__, dict.fromkeys(__all__, "_fleet"))
