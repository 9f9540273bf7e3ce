"""The Lua scripts that alone change the fleet's record; each runs atomically in Redis.

One hash holds everything, so that nothing can be lost in part unnoticed: ``epoch``, ``status``
(CLEAR or TRIGGERED), ``owner``, ``node``, ``reason`` and ``at`` of the halt, and one field
``member:…`` for each gateway, ``<acknowledged epoch>:<beat>:<silence in ms>``. The beat rises with
every request of that gateway: one that went back shows that Redis restored older data. Every
change that others must hear of at once is published under the key's own name.
"""

from __future__ import annotations

_RECORD = "redis.call('HMGET', KEYS[1], 'epoch', 'status', 'owner', 'node', 'reason')"

_COMMON = """
local function is_hash()
  return redis.call('TYPE', KEYS[1]).ok == 'hash'
end

local function write_member(name, acknowledged, beat, silence)
  local before = redis.call('HGET', KEYS[1], name)
  if before then
    local a, b = string.match(before, '^(%d+):(%d+):')
    acknowledged = math.max(tonumber(acknowledged), tonumber(a) or 0)
    beat = math.max(tonumber(beat), tonumber(b) or 0)
  end
  redis.call('HSET', KEYS[1], name, string.format('%.0f:%.0f:%s', acknowledged, beat, silence))
  return before
end
"""

JOIN = f"""{_COMMON}
-- member, epoch last seen, beat, silence. Makes an empty record only for one who has seen none.
if not is_hash() then redis.call('DEL', KEYS[1]) end
if not redis.call('HGET', KEYS[1], 'epoch') and tonumber(ARGV[2]) == 0 then
  redis.call('HSET', KEYS[1], 'epoch', 0, 'status', 'CLEAR', 'owner', '', 'node', '', 'reason', '')
end
redis.call('HDEL', KEYS[1], ARGV[1])
write_member(ARGV[1], ARGV[2], ARGV[3], ARGV[4])
return {{{_RECORD}, false}}
"""

RENEW = f"""{_COMMON}
-- member, acknowledged epoch, beat, silence. One that is not a member does not become one.
if not is_hash() then return {{{{false, false, false, false, false}}, false}} end
local before = false
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then
  before = write_member(ARGV[1], ARGV[2], ARGV[3], ARGV[4])
end
return {{{_RECORD}, before}}
"""

TRIP = f"""{_COMMON}
-- member, epoch last seen, beat, silence, owner, node, reason, time. Returns the new epoch, our
-- field as it was, and those who have not acknowledged the epoch with their fields.
if not is_hash() then redis.call('DEL', KEYS[1]) end
local known = tonumber(redis.call('HGET', KEYS[1], 'epoch') or '') or 0
if known < 0 or known >= 2^53 or known ~= math.floor(known) then known = 0 end
local epoch = math.max(known, tonumber(ARGV[2])) + 1
local text = string.format('%.0f', epoch)
redis.call('HSET', KEYS[1], 'epoch', text, 'status', 'TRIGGERED', 'owner', ARGV[5],
  'node', ARGV[6], 'reason', ARGV[7], 'at', ARGV[8])
local before = write_member(ARGV[1], epoch, ARGV[3], ARGV[4])
local waiting = {{}}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if string.sub(all[i], 1, 7) == 'member:' and all[i] ~= ARGV[1] then
    local acknowledged = tonumber(string.match(all[i + 1], '^(%d+):') or '') or -1
    if acknowledged < epoch then
      waiting[#waiting + 1] = all[i]
      waiting[#waiting + 1] = all[i + 1]
    end
  end
end
redis.pcall('PUBLISH', KEYS[1], text)
return {{text, before, waiting}}
"""

CLEAR = """
-- epoch, by whom, time. Compare and set: 1 when this very halt was cleared, else 0.
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then return 0 end
local now = redis.call('HMGET', KEYS[1], 'epoch', 'status')
if now[1] ~= ARGV[1] or now[2] ~= 'TRIGGERED' then return 0 end
redis.call('HSET', KEYS[1], 'status', 'CLEAR', 'cleared_by', ARGV[2], 'at', ARGV[3])
redis.pcall('PUBLISH', KEYS[1], ARGV[1])
return 1
"""

REAP = """
-- epoch, members. Removes those of them that have not acknowledged the epoch; returns how many.
local removed = 0
for i = 2, #ARGV do
  local field = redis.call('HGET', KEYS[1], ARGV[i])
  local acknowledged = tonumber(string.match(field or '', '^(%d+):') or '') or -1
  if field and acknowledged < tonumber(ARGV[1]) then
    removed = removed + redis.call('HDEL', KEYS[1], ARGV[i])
  end
end
return removed
"""
