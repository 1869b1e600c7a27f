'use strict'

/**
 * Parts of scripts: functions in Lua for the index of whose sessions there are.
 *
 * Each session has an entry beside it, which tells when it was first written, when last, and whose
 * it is. Each user has a sorted set of sids, by when they expire at the latest. Both are kept for a
 * while longer than the sessions: by then, no request is under way that could write one again.
 */

/** For how long what has ended is remembered, in milliseconds. */
const GRACE = 10 * 60 * 1000

/**
 * The names of keys, as lib/redis/names.js makes them; but not those beside a key with braces that
 * are no hash tag. No sid of express-session has braces.
 */
const KEY_NAMES = `
local function has_hash_tag(key)
  local from = string.find(key, '{', 1, true)
  local to = from and string.find(key, '}', from, true)
  return to and to > from + 1
end

local function tombstone_key(prefix, sid)
  local key = prefix .. sid
  return has_hash_tag(key) and key .. ':destroyed' or prefix .. '{' .. key .. '}'
end

local function entry_key(prefix, sid)
  local key = prefix .. sid
  return (has_hash_tag(key) and key or prefix .. '{' .. key .. '}') .. ':entry'
end

local function set_key(prefix, owner)
  return prefix .. '{' .. prefix .. owner .. '}:user'
end
`

/** Entries. They are JSON, because connect-redis parses all values under its prefix. */
const ENTRIES = `
local function entry_in(key)
  local pattern = '^{"created":(%d+),"used":(%d+),"user":"([%w_-]*)"}$'
  local created, used, owner = string.match(redis.call('GETEX', key) or '', pattern)
  return created and { created = tonumber(created), used = tonumber(used), owner = owner }
end

local function write_entry(key, created, at, owner, px)
  local text = string.format('{"created":%.0f,"used":%.0f,"user":"%s"}', created, at, owner)
  if px == '' then
    redis.call('SET', key, text)
  else
    redis.call('SET', key, text, 'PX', string.format('%.0f', tonumber(px) + ${GRACE}))
  end
end

-- Since when the session is this user's. The clock may have been set back.
local function created_at(was, owner, at)
  return was and was.owner == owner and math.min(was.created, at) or at
end

-- How long a session may live, if it may live no longer than lifetime from its creation.
local function capped(px, lifetime, created, at)
  if lifetime == '' then return px end
  local left = math.max(0, math.ceil(created + tonumber(lifetime) - at))
  if px ~= '' and tonumber(px) <= left then return px end
  return string.format('%.0f', left)
end

local function life_of(px)
  return px == '' and -1 or tonumber(px)
end
`

/**
 * Lists a session in the set of its user, for no less long than before. The set has one member that
 * is no session: its score is the highest of all, which is when the set ends. To ask for that score
 * would make the server track the set.
 */
const LIST = `
local function list(set, marker, sid, px, at)
  local expiry = px == '' and '+inf' or string.format('%.0f', at + tonumber(px))
  redis.call('ZADD', set, 'GT', expiry, sid)
  redis.call('ZREMRANGEBYSCORE', set, '-inf', string.format('(%.0f', at - ${GRACE}))
  if redis.call('ZADD', set, 'GT', 'CH', expiry, marker) == 0 then return end
  if px == '' then
    redis.call('PERSIST', set)
  else
    redis.call('PEXPIRE', set, string.format('%.0f', tonumber(px) + ${GRACE}))
  end
end
`

/**
 * Notes that a session was stored. Without a prefix the sets of users are on other servers, and it
 * was listed before.
 */
const NOTE = `
local function note(key, was, sid, owner, created, px, prefix, at)
  write_entry(key, created, at, owner, px)
  if not prefix then return end
  if was and was.owner ~= '' and was.owner ~= owner then
    redis.call('ZREM', set_key(prefix, was.owner), sid)
  end
  if owner == '' then return end
  local set = set_key(prefix, owner)
  list(set, string.sub(set, #prefix + 1), sid, px, at)
end
`

/** Ends a session, and returns what was stored, if that is wanted, and whether there was one. */
const FINISH = `
local function finish(key, tombstone, entry, tombstone_px, wants_old, at)
  local old = wants_old == '1' and redis.pcall('GETEX', key)
  if type(old) ~= 'string' then old = '' end
  redis.call('SET', tombstone, string.format('{"destroyed":%.3f}', at), 'PX', tombstone_px)
  redis.call('UNLINK', entry)
  return old, redis.call('UNLINK', key)
end
`

/**
 * Makes room for a session of a user who may have `most`: ends those that were used longest ago.
 * Returns the sids of these and what was stored, one after the other; nil if there is no room and
 * none is to be made.
 */
const MAKE_ROOM = `
local function others_of(set, sid, owner, prefix)
  local others = {}
  for _, other in ipairs(redis.call('ZRANGE', set, 0, -1)) do
    local entry = other ~= sid and entry_in(entry_key(prefix, other))
    if entry and entry.owner == owner and redis.call('EXISTS', prefix .. other) == 1 then
      others[#others + 1] = { sid = other, used = entry.used }
    end
  end
  table.sort(others, function(one, other)
    if one.used ~= other.used then return one.used < other.used end
    return one.sid < other.sid
  end)
  return others
end

local function make_room(sid, owner, prefix, most, refuses, tombstone_px, wants_old, at)
  local set = set_key(prefix, owner)
  local others = others_of(set, sid, owner, prefix)
  local surplus = #others + 1 - tonumber(most)
  if surplus > 0 and refuses == '1' then return nil end
  local ended = {}
  for i = 1, math.min(surplus, #others) do
    local other = others[i].sid
    local tombstone, entry = tombstone_key(prefix, other), entry_key(prefix, other)
    local old = finish(prefix .. other, tombstone, entry, tombstone_px, wants_old, at)
    redis.call('ZREM', set, other)
    ended[#ended + 1] = other
    ended[#ended + 1] = old
  end
  return ended
end
`

module.exports = { ENTRIES, FINISH, KEY_NAMES, LIST, MAKE_ROOM, NOTE }
