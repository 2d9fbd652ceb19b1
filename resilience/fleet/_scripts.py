"""The Lua scripts of a fleet's store in Redis or Valkey: one for each verb, and what they have in common.

All keys of a fleet have one hash tag, and so one slot of a cluster::

    resilience:fleet:1:{shop}:meta                  hash    seq, incarnation, offset and last of the fleet time
    resilience:fleet:1:{shop}:nodes                 zset    live processes, by when they were heard
    resilience:fleet:1:{shop}:changes               zset    circuits, by the epoch of their last change
    resilience:fleet:1:{shop}:audit                 list    the last commands of operators
    resilience:fleet:1:{shop}:circuit:payments      hash    a circuit
    resilience:fleet:1:{shop}:members:payments      zset    processes that have it
    resilience:fleet:1:{shop}:votes:payments        zset    processes whose own circuit is open, by until when
    resilience:fleet:1:{shop}:leases:payments       zset    tokens of probes, by until when
    resilience:fleet:1:{shop}:rate:openai           string  when the bucket of a quota is full again

and the channel ``resilience:fleet:1:{shop}:news``. The 1 is the version of the protocol: processes of versions that
differ do not see each other. Times are microseconds of fleet time.

A fleet that is gone needs no cleaning up. Most keys expire a day after they were last written; votes, leases and open
circuits a day after the time that they hold; ``changes`` and ``audit`` after 30 days. Only a circuit whose mode has no
end stays until it is released.

A script runs alone on the server, so it is atomic, and blocks all other clients while it runs: none loops over more
than the circuits of one answer, or the members of one circuit. Only `_READ`, for operators, visits all circuits.
Numbers are sent as text, since Redis cuts a Lua number in an answer to a whole one.
"""

from __future__ import annotations

__all__ = ["AUDITED", "DAY", "LIVE", "PAGE", "SCRIPTS", "TOLERANCE", "VERSION"]

VERSION = 1
"""The version of the protocol, a part of every key."""
DAY = 86_400
LIVE = 5_000_000
"""Microseconds after its last beat for which a process counts as live."""
TOLERANCE = 60_000_000
"""Microseconds by which the server's clock may jump before the fleet time makes up for it."""
PAGE = 200
"""The most changes in one answer."""
AUDITED = 100
"""The commands that are kept."""

_COMMON = """
local P = string.sub(KEYS[1], 1, -5)   -- without "meta"
local node = ARGV[1]
local expected, since = string.match(ARGV[2], '^(%d+) (.*)')
expected = tonumber(expected)

local function text(number) return string.format('%.0f', number) end

local meta = redis.call('HMGET', KEYS[1], 'offset', 'last', 'seq', 'incarnation')
local offset, last, seq = tonumber(meta[1] or 0), tonumber(meta[2] or 0), tonumber(meta[3] or 0)
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2]) + offset
local stepped = 0
if now < last then
  stepped = last - now
elseif expected > 0 and (last == 0 or since == meta[4]) and math.abs(now - expected) > TOLERANCE then
  stepped = math.max(expected, last) - now
end
if stepped ~= 0 then
  now, offset = now + stepped, offset + stepped
  redis.call('HSET', KEYS[1], 'offset', text(offset))
end

local function key(kind, name) return P .. kind .. ':' .. name end
local function keep(name) redis.call('EXPIRE', name, DAY) end

-- before a time is written: from here on the fleet time is never earlier
local function reach(time)
  redis.call('HSET', KEYS[1], 'last', text(time))
  keep(KEYS[1])
end
if stepped ~= 0 then reach(now) end

local FIELDS = {'epoch', 'state', 'until', 'opened', 'opens', 'failures', 'category', 'error', 'mode', 'mode_until',
  'by', 'why', 'ok', 'bad', 'blocked'}

local function load(name)
  local held = redis.call('HMGET', key('circuit', name), unpack(FIELDS))
  local circuit = {name = name}
  for i, field in ipairs(FIELDS) do circuit[field] = held[i] or '' end
  for _, field in ipairs({'epoch', 'until', 'opened', 'opens', 'failures', 'mode_until', 'ok', 'bad', 'blocked'}) do
    circuit[field] = tonumber(circuit[field]) or 0
  end
  if circuit.mode == '' or (circuit.mode_until > 0 and circuit.mode_until <= now) then
    circuit.mode, circuit.mode_until, circuit.by, circuit.why = 'normal', 0, '', ''
  end
  return circuit
end

-- as Python reads it: the times relative to now
local function view(c)
  local mode_left, left = '', '0'
  if c['until'] > 0 then left = text(c['until'] - now) end
  if c.mode_until > 0 then mode_left = text(c.mode_until - now) end
  return {c.name, text(c.epoch), c.state, left, text(c.opened), text(c.opens), text(c.failures),
    c.category, c.error, c.mode, mode_left, c.by, c.why}
end

-- an epoch that is greater than any other of this fleet, also after a loss of all keys
local function next_epoch(known)
  seq = math.max(seq + 1, known + 1, now)
  redis.call('HSET', KEYS[1], 'seq', text(seq))
  return seq
end

local function store(c)
  reach(now)
  local name = key('circuit', c.name)
  local pairs_ = {}
  for _, field in ipairs(FIELDS) do
    local value = c[field]
    if type(value) == 'number' then value = text(value) end
    pairs_[#pairs_ + 1] = field
    pairs_[#pairs_ + 1] = value
  end
  redis.call('HSET', name, unpack(pairs_))
  keep(name)
  -- until a mode or an open time of more than a day is over
  local longest = math.max(c['until'], c.mode_until) - now
  if longest > 0 then redis.call('EXPIRE', name, DAY + math.ceil(longest / 1000000)) end
  if c.mode ~= 'normal' and c.mode_until == 0 then redis.call('PERSIST', name) end
  redis.call('ZADD', P .. 'changes', text(c.epoch), c.name)
  redis.call('ZREMRANGEBYSCORE', P .. 'changes', '-inf', text(now - DAY * 1000000 * 30))
  redis.call('EXPIRE', P .. 'changes', DAY * 30)
  redis.call('PUBLISH', P .. 'news', cjson.encode(view(c)))
end

local function open(c, known, duration, opens, failures, category, error_type)
  c.epoch = next_epoch(math.max(c.epoch, known))
  c.opened, c.state, c['until'] = c.epoch, 'open', now + duration
  c.opens, c.failures, c.category, c.error = opens, failures, category, error_type
  c.ok, c.bad = 0, 0
  store(c)
end

local function live(names)
  local alive = {}
  for i = 1, #names do
    local heard = tonumber(redis.call('ZSCORE', P .. 'nodes', names[i]) or 0)
    if heard > now - LIVE then alive[#alive + 1] = names[i] end
  end
  return alive
end
"""

_BEAT = """
local cursor, incarnation, ending = tonumber(ARGV[3]), ARGV[4], ARGV[6]
if not meta[4] then
  meta[4] = ARGV[5]
  redis.call('HSET', KEYS[1], 'incarnation', meta[4])
end
if ending == '1' then
  redis.call('ZREM', P .. 'nodes', node)
  return {meta[4], text(now), '0', '0', {}}
end
if cursor > seq then seq = cursor end
redis.call('HSET', KEYS[1], 'seq', text(seq))
reach(now)
redis.call('ZADD', P .. 'nodes', text(now), node)
redis.call('ZREMRANGEBYSCORE', P .. 'nodes', '-inf', text(now - 60 * 1000000))
keep(P .. 'nodes')
for i = 7, #ARGV do
  local members = key('members', ARGV[i])
  redis.call('ZADD', members, text(now), node)
  redis.call('ZREMRANGEBYSCORE', members, '-inf', text(now - 300 * 1000000))
  keep(members)
end
if incarnation ~= meta[4] then cursor = 0 end
local changed = redis.call('ZRANGEBYSCORE', P .. 'changes', '(' .. text(cursor), '+inf', 'LIMIT', 0, PAGE)
local views = {}
for i = 1, #changed do
  local circuit = load(changed[i])
  if circuit.epoch > 0 then
    views[#views + 1] = view(circuit)
  else
    redis.call('ZREM', P .. 'changes', changed[i])   -- its key has expired
  end
end
local nodes = redis.call('ZCOUNT', P .. 'nodes', '(' .. text(now - LIVE), '+inf')
local more = '0'
if #changed == PAGE then more = '1' end
return {meta[4], text(now), tostring(nodes), more, views}
"""

_VOTE = """
local name, member, duration = ARGV[3], ARGV[4], tonumber(ARGV[5])
local quorum, known = tonumber(ARGV[6]), tonumber(ARGV[7])
local votes, members = key('votes', name), key('members', member)
local c = load(name)
if duration == 0 then
  redis.call('ZREM', votes, node)
  return {'0', '0', view(c)}
end
reach(now)
redis.call('ZADD', votes, text(now + duration), node)
redis.call('ZREMRANGEBYSCORE', votes, '-inf', text(now))
redis.call('EXPIRE', votes, DAY + math.ceil(duration / 1000000))
redis.call('ZADD', members, text(now), node)
keep(members)
redis.call('ZADD', P .. 'nodes', text(now), node)   -- a process that votes lives
keep(P .. 'nodes')
local voters = #live(redis.call('ZRANGE', votes, 0, -1))
local needed = math.max(2, math.ceil(quorum * #live(redis.call('ZRANGE', members, 0, -1)) - 0.000001))
if voters >= needed and c.state ~= 'open' then
  local latest = redis.call('ZRANGE', votes, -1, -1, 'WITHSCORES')
  open(c, known, tonumber(latest[2]) - now, tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[10], ARGV[11])
end
return {tostring(voters), tostring(needed), view(c)}
"""

_LEASE = """
local name, token, duration, probes, wants = ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local known = tonumber(ARGV[8])
local leases = key('leases', name)
local c = load(name)
if known > c.epoch then
  -- the store has lost this circuit, or its last change: a probe may be in flight that it does not know
  c.epoch, c.state, c['until'], c.opened = known, 'open', now + tonumber(ARGV[9]), tonumber(ARGV[10])
  c.opens, c.failures, c.category, c.error = tonumber(ARGV[11]), tonumber(ARGV[12]), ARGV[13], ARGV[14]
  c.ok, c.bad, c.blocked = 0, 0, now + duration
  if known > seq then redis.call('HSET', KEYS[1], 'seq', text(known)) end
  store(c)
end
if c.state ~= 'open' or wants == '0' then return {'', '0', view(c)} end
local free_at = math.max(c['until'], c.blocked)
if free_at <= now then
  local out = redis.call('ZRANGEBYSCORE', leases, '(' .. text(now), '+inf', 'WITHSCORES')
  if #out / 2 < probes then
    token = text(c.opened) .. ':' .. token
    reach(now)
    redis.call('ZADD', leases, text(now + duration), token)
    redis.call('ZREMRANGEBYSCORE', leases, '-inf', text(now))
    redis.call('EXPIRE', leases, DAY + math.ceil(duration / 1000000))
    return {token, '0', view(c)}
  end
  free_at = tonumber(out[2])
end
return {'', text(free_at - now), view(c)}
"""

_RESULT = """
local name, token, kind = ARGV[3], ARGV[4], ARGV[5]
local closes, reopens, duration = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local leases = key('leases', name)
local c = load(name)
local ends = tonumber(redis.call('ZSCORE', leases, token) or 0)
redis.call('ZREM', leases, token)
local opened = tonumber(string.match(token, '^(%d+):') or '-1')
if kind == 'none' or ends <= now or c.state ~= 'open' or opened ~= c.opened then return view(c) end
if kind == 'ok' then
  c.ok = c.ok + 1
  if c.ok >= closes then
    c.epoch = next_epoch(c.epoch)
    c.state, c['until'], c.opens, c.ok, c.bad = 'closed', 0, 0, 0, 0
    redis.call('DEL', key('votes', name))
    store(c)
    return view(c)
  end
else
  c.bad = c.bad + 1
  if c.bad >= reopens then
    open(c, c.epoch, duration, c.opens + 1, tonumber(ARGV[9]), ARGV[10], ARGV[11])
    return view(c)
  end
end
redis.call('HSET', key('circuit', name), 'ok', text(c.ok), 'bad', text(c.bad))
return view(c)
"""

_COMMAND = """
local name, mode, duration, by, why = ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6], ARGV[7]
local c = load(name)
c.epoch = next_epoch(c.epoch)
c.mode, c.by, c.why, c.mode_until = mode, by, why, 0
if duration > 0 and mode ~= 'normal' then c.mode_until = now + duration end
store(c)
redis.call('LPUSH', P .. 'audit', cjson.encode({at = text(now), circuit = name, mode = mode, by = by, why = why,
  seconds = text(duration)}))
redis.call('LTRIM', P .. 'audit', 0, AUDITED - 1)
redis.call('EXPIRE', P .. 'audit', DAY * 30)
return view(c)
"""

_TAKE = """
local bucket, interval, burst = key('rate', ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local most, share, ahead, least = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local nodes = redis.call('ZCOUNT', P .. 'nodes', '(' .. text(now - LIVE), '+inf')
local full = tonumber(redis.call('GET', bucket) or 0)
if full > now + ahead + burst * interval then full = now + burst * interval end   -- of another rate
full = math.max(full, now)
local free = math.floor((now + burst * interval - full) / interval + 0.000001)
local tokens, wait = math.min(most, free), 0
if most >= 0 and tokens < least then
  tokens = share
  wait = math.max(0, full + tokens * interval - burst * interval - now)
  if wait > ahead then return {'0', text(wait - ahead), tostring(nodes)} end
end
full = full + tokens * interval
reach(now)
redis.call('SET', bucket, text(full), 'EX', DAY)
return {tostring(tokens), text(wait), tostring(nodes)}
"""

_READ = """
local names = redis.call('ZRANGE', P .. 'changes', 0, -1)
local circuits = {}
for i = 1, #names do
  local c = load(names[i])
  local votes = redis.call('ZRANGEBYSCORE', key('votes', names[i]), '(' .. text(now), '+inf')
  local leases = redis.call('ZCOUNT', key('leases', names[i]), '(' .. text(now), '+inf')
  if c.epoch > 0 then circuits[#circuits + 1] = {view(c), votes, leases} end
end
local nodes = redis.call('ZRANGEBYSCORE', P .. 'nodes', '(' .. text(now - LIVE), '+inf', 'WITHSCORES')
return {text(now), circuits, nodes, redis.call('LRANGE', P .. 'audit', 0, -1)}
"""


def _script(body: str) -> str:
    """Return a whole script: what all have in common, then *body*, with the constants as numbers.

    Each is sent whole, rather than calling a shared one: Redis cannot call a script from a script.
    """
    text = _COMMON + body
    for name, value in (("TOLERANCE", TOLERANCE), ("DAY", DAY), ("LIVE", LIVE), ("PAGE", PAGE), ("AUDITED", AUDITED)):
        text = text.replace(name, str(value))
    return text


SCRIPTS = {
    "beat": _script(_BEAT),
    "vote": _script(_VOTE),
    "lease": _script(_LEASE),
    "result": _script(_RESULT),
    "command": _script(_COMMAND),
    "take": _script(_TAKE),
    "read": _script(_READ),
}
"""The script of each verb. Each is given the key ``meta``, the sender, and what the verb needs."""
