-- What a fleet shares, in one step of the store: a member says how it stands, and is told what it got and how the others stand.
--
-- KEYS[1]  the root of all names, with a hash tag: one slot of a cluster
-- ARGV[1]  msgpack: {m = member "gateway:worker", n = number of this message, ttl, settle = milliseconds, bye = it leaves,
--          p = {{name, given, asked, back, age of its oldest waiter in ms, limit}, …}    places, as running totals
--          l = {{key, requests, tokens}, …}    seconds that the levels of a key go up; a level of -1: begin anew
--          c = {{name, ms}, …}    what it would do alone for so long
--          h = {…}    hints for the others, passed on as they are}
--
-- The totals only rise, so a message that comes twice, or whose answer was lost, counts once:
--   given  places this member was ever given      back  those it ever gave back      asked  how many it wants to have been given
-- It holds given - back, and waits for asked - given. Times are the store's own clock.

local root, said = KEYS[1], cmsgpack.unpack(ARGV[1])
local members, names, levels = root .. ":members", root .. ":places", root .. ":levels"
local clock = redis.call("TIME")
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local FIRST = clock[1] * 1000000 + clock[2] -- the version of a place that is new: higher than any it had before it was lost
local KEPT = 24 * 3600 * 1000 -- what nobody has looked after for so long is dropped
local me = said.m
local GIVEN, ASKED, BACK, SINCE, LIMIT, NUMBER = 1, 2, 3, 4, 5, 6
local places, news = {}, {m = me, p = {}, l = {}, h = said.h}

local function place(name)
  local found = places[name]
  if not found then
    found = {rows = {}, dirty = {}, granted = {}, version = FIRST}
    local flat = redis.call("HGETALL", root .. ":p:" .. name)
    for at = 1, #flat, 2 do
      if flat[at] == "version" then
        found.version = tonumber(flat[at + 1])
      else
        found.rows[flat[at]] = cmsgpack.unpack(flat[at + 1])
      end
    end
    places[name] = found
  end
  return found
end

local function totals(found)
  local taken, waiting = 0, 0
  for _, row in pairs(found.rows) do
    taken = taken + row[GIVEN] - row[BACK]
    waiting = waiting + math.max(0, row[ASKED] - row[GIVEN])
  end
  return taken, waiting
end

-- a store that is new, or has lost what it had: for a moment nothing is given out, until everybody has said what is held
local began, anew = redis.call("GET", root .. ":began"), false
if not began then
  began, anew = now, true
end

-- nobody was heard for so long: it stood still, has read an old file, or its clock was moved; whoever holds something may not have
-- been able to say so, and says it now
local heard = tonumber(redis.call("GET", root .. ":heard") or now)
redis.call("SET", root .. ":heard", now, "PX", KEPT)
if now - heard > said.ttl / 2 then began, anew = now, true end

-- its clock went back: so does what it knew of times
if heard - now > 1000 then
  began, anew = now, true
  for _, member in ipairs(redis.call("ZRANGE", members, 0, -1)) do redis.call("ZADD", members, now + said.ttl, member) end
  local flat = redis.call("HGETALL", levels)
  for at = 1, #flat, 2 do
    local level = cmsgpack.unpack(flat[at + 1])
    redis.call("HSET", levels, flat[at], cmsgpack.pack({level[1] - heard + now, level[2] - heard + now}))
  end
end
if anew then redis.call("SET", root .. ":began", now, "PX", KEPT) end
local settling = math.max(0, began + said.settle - now)

-- members that have not been heard of, and one that says good-bye: what they had is free
local gone = redis.call("ZRANGEBYSCORE", members, "-inf", now)
if said.bye then gone[#gone + 1] = me end
if #gone > 0 then
  for _, name in ipairs(redis.call("SMEMBERS", names)) do
    if redis.call("HDEL", root .. ":p:" .. name, unpack(gone)) > 0 then place(name).changed = true end
  end
  redis.call("ZREM", members, unpack(gone))
end

local known = redis.call("ZSCORE", members, me)
if not said.bye then
  redis.call("ZADD", members, now + said.ttl, me)
  for _, told in ipairs(said.p) do
    local name = told[1]
    local found = place(name)
    local row = found.rows[me]
    if not row then
      row = {told[2], 0, 0, 0, 0, 0}
      found.rows[me], found.changed = row, true
      redis.call("SADD", names, name)
    end
    if said.n >= row[NUMBER] then
      local given, back = math.max(row[GIVEN], told[2]), math.max(row[BACK], told[4])
      if given ~= row[GIVEN] or back ~= row[BACK] or told[3] ~= row[ASKED] or told[6] ~= row[LIMIT] then found.changed = true end
      found.rows[me] = {given, told[3], back, now - told[5], told[6], said.n}
      found.dirty[me] = true
    end
    found.told = true
  end
end

-- what is free goes to the member whose oldest waiter came first
for _, found in pairs(places) do
  local taken = totals(found)
  while settling == 0 do
    local first, chosen = nil, nil
    for member, row in pairs(found.rows) do
      if row[ASKED] > row[GIVEN] and taken < row[LIMIT] and (not first or row[SINCE] < first[SINCE] or (row[SINCE] == first[SINCE] and member < chosen)) then
        first, chosen = row, member
      end
    end
    if not first then break end
    first[GIVEN], taken = first[GIVEN] + 1, taken + 1
    found.dirty[chosen], found.granted[chosen], found.changed = true, first[GIVEN], true
  end
end

local many, gateways, seen = 0, 0, {}
for _, member in ipairs(redis.call("ZRANGE", members, 0, -1)) do
  local gateway = string.match(member, "^[^:]*")
  many = many + 1
  if not seen[gateway] then
    seen[gateway], gateways = true, gateways + 1
  end
end

local answer = {known = known and 1 or 0, settling = settling, gateways = gateways, members = many, p = {}, l = {}, c = {}}
for name, found in pairs(places) do
  if found.changed then found.version = found.version + 1 end
  local write = {}
  for member in pairs(found.dirty) do
    write[#write + 1] = member
    write[#write + 1] = cmsgpack.pack(found.rows[member])
  end
  if found.changed then
    write[#write + 1] = "version"
    write[#write + 1] = found.version
  end
  if #write > 0 then redis.call("HSET", root .. ":p:" .. name, unpack(write)) end
  local taken, waiting = totals(found)
  if found.told then
    local row = found.rows[me]
    answer.p[#answer.p + 1] = {name, row[GIVEN], taken, waiting, found.version}
  end
  if found.changed then
    found.granted[me] = nil
    news.p[#news.p + 1] = {name, taken, waiting, found.version, found.granted}
  end
end

for _, told in ipairs(said.l) do
  local key, level = told[1], {now, now}
  local before = redis.call("HGET", levels, key)
  if before then level = cmsgpack.unpack(before) end
  for at = 1, 2 do
    level[at] = told[at + 1] == -1 and now or math.max(level[at], now) + told[at + 1] * 1000
  end
  redis.call("HSET", levels, key, cmsgpack.pack(level))
  local ahead = {key, (level[1] - now) / 1000, (level[2] - now) / 1000, told[2] == -1 and 1 or 0}
  answer.l[#answer.l + 1] = ahead
  news.l[#news.l + 1] = ahead
end

if not known and not said.bye then -- it has seen nothing yet: all levels that are not worked off
  local flat = redis.call("HGETALL", levels)
  for at = 1, #flat, 2 do
    local level = cmsgpack.unpack(flat[at + 1])
    if level[1] > now or level[2] > now then
      answer.l[#answer.l + 1] = {flat[at], math.max(0, level[1] - now) / 1000, math.max(0, level[2] - now) / 1000, 0}
    else
      redis.call("HDEL", levels, flat[at])
    end
  end
end

for _, told in ipairs(said.c) do
  if redis.call("SET", root .. ":once:" .. told[1], me, "NX", "PX", told[2]) then answer.c[#answer.c + 1] = told[1] end
end

-- once a minute: what is left of those that are gone is dropped, and the rest is kept for a day
if math.floor(now / 60000) ~= math.floor(heard / 60000) then
  for _, name in ipairs(redis.call("SMEMBERS", names)) do
    if redis.call("HLEN", root .. ":p:" .. name) <= 1 then -- its version is all
      redis.call("DEL", root .. ":p:" .. name)
      redis.call("SREM", names, name)
    else
      redis.call("PEXPIRE", root .. ":p:" .. name, KEPT)
    end
  end
  for _, kept in ipairs({":began", ":members", ":places", ":levels"}) do redis.call("PEXPIRE", root .. kept, KEPT) end
end

if anew then news.anew = 1 end
if anew or not known or said.bye then news.gateways = gateways end
if (many > 1 or anew or not known) and (#news.p > 0 or #news.l > 0 or #said.h > 0 or news.gateways) then
  redis.call("PUBLISH", root .. ":news", cmsgpack.pack(news))
end
return cmsgpack.pack(answer)
