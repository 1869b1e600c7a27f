'use strict'

/** Parts of scripts: functions in Lua that several of them use. */

/** The seconds and microseconds of TIME, as milliseconds. */
const NOW = `
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + time[2] / 1000
end
`

/** Whether a session was destroyed in the last `age` milliseconds, by its tombstone. */
const DESTROYED_SINCE = `
local function destroyed_since(tombstone, age)
  local text = redis.call('GETEX', tombstone)
  local at = text and tonumber(string.match(text, '^{"destroyed":([%d.]+)}$'))
  return at and at > now() - tonumber(age)
end
`

/** Whether a session lives longer than this writer would have it, and than it was to live. */
const IS_RENEWED = `
local function is_renewed(key, px, expected)
  if px == '' or expected == '' then return false end
  local left = redis.call('PTTL', key)
  return left < 0 or left > tonumber(px) and left > tonumber(expected)
end
`

/** Stores a session until `px` milliseconds have passed; for ever if that is empty. */
const STORE = `
local function store(key, body, px)
  if px == '' then
    redis.call('SET', key, body)
  elseif tonumber(px) > 0 then
    redis.call('SET', key, body, 'PX', px)
  else
    redis.call('UNLINK', key)
  end
  redis.call('EXISTS', key)
end
`

/**
 * Reads what is stored, and returns from the script unless a session may be written that is to live
 * for `px`; for KEYS and ARGV see the script `write`.
 */
const MAY_WRITE = `
local stored = redis.call('GET', KEYS[1])
if ARGV[7] == '1' and redis.call('GETEX', KEYS[2]) then return 0 end
if not stored then
  if ARGV[5] == '0' or redis.call('GETEX', KEYS[2]) then return 0 end
elseif stored ~= ARGV[1] or ARGV[8] == '1' then
  if destroyed_since(KEYS[2], ARGV[4]) then return 0 end
  if ARGV[6] == '0' and stored ~= ARGV[1] then
    return { stored, redis.call('PTTL', KEYS[1]) }
  end
end
if stored and ARGV[6] == '0' and is_renewed(KEYS[1], px, ARGV[9]) then
  return { stored, redis.call('PTTL', KEYS[1]) }
end
`

module.exports = { DESTROYED_SINCE, IS_RENEWED, MAY_WRITE, NOW, STORE }
