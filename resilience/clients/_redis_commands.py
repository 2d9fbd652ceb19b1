"""Commands of Redis: which may be sent twice, and which wait for another client.

A command is taken for an HTTP method that is as idempotent: a read is a GET, a write that leaves the same data and has
the same reply when it is made twice is a PUT, and all others are POSTs, also those that this module does not know. So a
retry that repeats no POST repeats an INCR only where it was surely not sent.

The reply counts because programs decide by it: ``if client.sadd("seen", id)`` handles a message once, and a second SADD
after a lost reply would say that it was handled before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

__all__ = ["READS", "REPEATABLE_WRITES", "is_blocking", "method_of", "method_of_all", "name_of_command"]


def _names(text: str) -> frozenset[str]:
    """Return the names of commands that *text* lists; the two words of one name are joined by a hyphen."""
    return frozenset(name.replace("-", " ") for name in text.split())


READS: Final = _names(
    "BITCOUNT BITFIELD_RO BITPOS CLUSTER-INFO CLUSTER-NODES CLUSTER-SHARDS CLUSTER-SLOTS CONFIG-GET DBSIZE DUMP ECHO"
    " EVALSHA_RO EVAL_RO EXISTS EXPIRETIME FCALL_RO GEODIST GEOHASH GEOPOS GEORADIUSBYMEMBER_RO GEORADIUS_RO GEOSEARCH"
    " GET GETBIT GETRANGE HEXISTS HEXPIRETIME HGET HGETALL HKEYS HLEN HMGET HPEXPIRETIME HPTTL HRANDFIELD HSCAN HSTRLEN"
    " HTTL HVALS INFO KEYS LASTSAVE LCS LINDEX LLEN LOLWUT LPOS LRANGE MEMORY-USAGE MGET OBJECT-ENCODING OBJECT-FREQ"
    " OBJECT-IDLETIME OBJECT-REFCOUNT PEXPIRETIME PFCOUNT PING PTTL PUBSUB-CHANNELS PUBSUB-NUMPAT PUBSUB-NUMSUB"
    " RANDOMKEY SCAN SCARD SCRIPT-EXISTS SCRIPT-LOAD SDIFF SINTER SINTERCARD SISMEMBER SLOWLOG-GET SLOWLOG-LEN SMEMBERS"
    " SMISMEMBER SORT_RO SRANDMEMBER SSCAN STRLEN SUBSTR SUNION TIME TOUCH TTL TYPE XINFO-CONSUMERS XINFO-GROUPS"
    " XINFO-STREAM XLEN XPENDING XRANGE XREAD XREVRANGE ZCARD ZCOUNT ZDIFF ZINTER ZINTERCARD ZLEXCOUNT ZMSCORE"
    " ZRANDMEMBER ZRANGE ZRANGEBYLEX ZRANGEBYSCORE ZRANK ZREVRANGE ZREVRANGEBYLEX ZREVRANGEBYSCORE ZREVRANK ZSCAN"
    " ZSCORE ZUNION"
)
"""Commands that change nothing; SCRIPT LOAD stores what EVALSHA asks for."""

REPEATABLE_WRITES: Final = _names("EXPIRE EXPIREAT HMSET MSET PEXPIRE PEXPIREAT PFMERGE PSETEX SET SETEX SETRANGE")
"""Commands that leave the same data, and have the same reply, when they are made twice; see `_has_condition`."""

_BLOCKING: Final = _names("BLMOVE BLMPOP BLPOP BRPOP BRPOPLPUSH BZMPOP BZPOPMAX BZPOPMIN WAIT WAITAOF")
_BLOCKING_WITH_OPTION: Final = frozenset({"XREAD", "XREADGROUP"})
_VALUES: Final = {"SET": 3, "EXPIRE": 3, "EXPIREAT": 3, "PEXPIRE": 3, "PEXPIREAT": 3}
"""The words of a command that may have a condition, before its options: the name, the key, and the value."""
_UNCONDITIONAL: Final = frozenset({"EX", "PX", "EXAT", "PXAT", "KEEPTTL", "XX"})


def name_of_command(command: Sequence[object]) -> str:
    """Return the name of *command*, the words as redis-py gets them, in capitals.

    >>> name_of_command(["incr", "visits"]), name_of_command([b"GET", "lamp"])
    ('INCR', 'GET')
    """
    return _word(command[0])


def method_of(command: Sequence[object]) -> str:
    """Return the HTTP method that is as idempotent as *command*: GET, PUT or POST.

    >>> method_of(["GET", "lamp"]), method_of(["SET", "lamp", 7, "EX", 60]), method_of(["INCR", "visits"])
    ('GET', 'PUT', 'POST')
    >>> method_of(["SET", "lock", "me", "NX"])
    'POST'
    """
    name = name_of_command(command)
    if name in READS:
        return "GET"
    if name in REPEATABLE_WRITES and not _has_condition(name, command):
        return "PUT"
    return "POST"


def method_of_all(commands: Iterable[Sequence[object]]) -> str:
    """Return the method of a pipeline: that of the least idempotent of its *commands*."""
    methods = {method_of(command) for command in commands}
    return next((method for method in ("POST", "PUT") if method in methods), "GET")


def is_blocking(command: Sequence[object]) -> bool:
    """Return whether *command* waits until another client does something, such as BLPOP.

    >>> is_blocking(["BLPOP", "jobs", 0]), is_blocking(["XREAD", "BLOCK", 0, "STREAMS", "jobs", "$"])
    (True, True)
    """
    name = name_of_command(command)
    return name in _BLOCKING or (name in _BLOCKING_WITH_OPTION and "BLOCK" in map(_word, command[1:]))


def _has_condition(name: str, command: Sequence[object]) -> bool:
    """Return whether the effect or the reply of *command* depends on the data before it: SET with NX or GET."""
    if name not in _VALUES:
        return False
    options = map(_word, command[_VALUES[name] :])
    if name != "SET":
        return any(options)
    return not all(option in _UNCONDITIONAL or option.isdigit() for option in options)


def _word(part: object) -> str:
    if isinstance(part, bytes):
        return part.decode("ascii", "replace").upper()
    return str(part).upper()
