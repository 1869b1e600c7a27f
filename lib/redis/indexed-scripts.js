'use strict'

/**
 * The scripts of a store that knows whose its sessions are, or how long they may live. They do what
 * those of the same names in lib/redis/scripts.js do, and keep the index in the same step.
 *
 * Where all keys are on one server, that includes the sets of the users; these keys are made in the
 * script, because it is the entry that tells whose a session was. Elsewhere there is no `prefix`:
 * the entry of a session is in its slot, and the set of its user is not.
 */

const { ENTRIES, FINISH, KEY_NAMES, LIST, MAKE_ROOM, NOTE } = require('./index-lua.js')
const { DESTROYED_SINCE, IS_RENEWED, MAY_WRITE, NOW, STORE } = require('./lua.js')

/** What a script that writes ends with: `was` is the entry, `facts` what more it tells. */
const WRITE = `
local ended = {}
local isNewToUser = owner ~= '' and px ~= '0' and not (exists and was and was.owner == owner)
if isNewToUser then facts = facts + 2 end
if isNewToUser and most ~= '' and prefix then
  ended = make_room(sid, owner, prefix, most, refuses, tombstone_px, wants_old, at)
  if not ended then return -1 end
end
store(KEYS[1], body, px)
note(KEYS[3], was, sid, owner, created, px, prefix, at)
local reply = { 1, life_of(px), old, facts }
for _, each in ipairs(ended) do reply[#reply + 1] = each end
return reply
`

/** The arguments of the index, from the argument `first` on. */
const argumentsFrom = (first) => `
local sid, owner, lifetime, most, refuses, tombstone_px, wants_old = unpack(ARGV, ${first})
local prefix = ARGV[${first} + 7]
`

const INDEXED_SCRIPTS = {
  /**
   * KEYS: session, tombstone, entry. ARGV: as `create`; the milliseconds since it was listed, if
   * that was done before; those of the index.
   *
   * Gives 0 if it is refused, because it was destroyed, -1 if the user has too many; else 1, how
   * long the session lives, what was stored if that is wanted, the sum of 1 if it had a tombstone and 2
   * if it is new to its user, and what was ended for it.
   */
  createIndexed: `${NOW}${DESTROYED_SINCE}${STORE}
${KEY_NAMES}${ENTRIES}${LIST}${NOTE}${FINISH}${MAKE_ROOM}
${argumentsFrom(6)}
local facts = redis.call('GETEX', KEYS[2]) and 1 or 0
if ARGV[3] == '1' and facts == 1 then return 0 end
if ARGV[5] ~= '' and destroyed_since(KEYS[2], ARGV[5]) then return 0 end
local exists = redis.call('EXISTS', KEYS[1]) == 1
local old = ARGV[4] == '1' and redis.call('GET', KEYS[1]) or ''
local at, was, body = now(), entry_in(KEYS[3]), ARGV[1]
local created = exists and created_at(was, owner, at) or at
local px = capped(ARGV[2], lifetime, created, at)
${WRITE}`,

  /**
   * KEYS: session, tombstone, entry. ARGV: as `write`; those of the index. Gives what `write`
   * and `createIndexed` do. A session that has expired meanwhile keeps its age.
   */
  writeIndexed: `${NOW}${DESTROYED_SINCE}${IS_RENEWED}${STORE}
${KEY_NAMES}${ENTRIES}${LIST}${NOTE}${FINISH}${MAKE_ROOM}
${argumentsFrom(10)}
local at, was, body, old, facts = now(), entry_in(KEYS[3]), ARGV[2], '', 0
local created = created_at(was, owner, at)
local px = capped(ARGV[3], lifetime, created, at)
${MAY_WRITE}
local exists = stored ~= false
${WRITE}`,

  /**
   * KEYS: session, entry. ARGV: as `renew`; those of the index. Gives what `renew` does, but 1
   * and how long the session lives if its expiry was moved.
   */
  renewIndexed: `${NOW}${IS_RENEWED}${KEY_NAMES}${ENTRIES}${LIST}${NOTE}
${argumentsFrom(4)}
local stored = redis.call('GET', KEYS[1])
if not stored then return 0 end
if stored ~= ARGV[1] then return { stored, redis.call('PTTL', KEYS[1]) } end
local at, was = now(), entry_in(KEYS[2])
local created = created_at(was, owner, at)
local px = capped(ARGV[2], lifetime, created, at)
if is_renewed(KEYS[1], px, ARGV[3]) then return 2 end
local is_moved = true
if px == '' then
  is_moved = redis.call('PERSIST', KEYS[1]) == 1
else
  redis.call('PEXPIRE', KEYS[1], px)
end
redis.call('EXISTS', KEYS[1])
note(KEYS[2], was, sid, owner, created, px, prefix, at)
return is_moved and { 1, life_of(px) } or 2
`,

  /**
   * KEYS: session, tombstone, entry. ARGV: as `destroy`; the user whose it has to be, if that
   * matters; sid; prefix. Gives whether there was one, whose it was, and the session if wanted.
   * A session without an entry may be the user's.
   */
  destroyIndexed: `${NOW}${KEY_NAMES}${ENTRIES}${FINISH}
local sid, prefix = ARGV[4], ARGV[5]
local was = entry_in(KEYS[3])
if ARGV[3] ~= '' and was and was.owner ~= ARGV[3] then return { 0, '', '' } end
local owner = was and was.owner or ARGV[3]
local old, found = finish(KEYS[1], KEYS[2], KEYS[3], ARGV[1], ARGV[2], now())
if prefix and owner ~= '' then redis.call('ZREM', set_key(prefix, owner), sid) end
return { found, owner, old }
`,

  /**
   * KEYS: session, entry. Gives the session and for how long it lives, and if there is an entry:
   * when it was created and used, what time it is, and whose it is. Nothing of it is tracked.
   */
  describe: `${NOW}${ENTRIES}
local body = redis.call('GETEX', KEYS[1])
if not body then return false end
local left, was, at = redis.call('PTTL', KEYS[1]), entry_in(KEYS[2]), now()
if not was then return { body, left } end
return { body, left, was.created, was.used, at, was.owner }
`,

  /** KEYS: set. ARGV: its member that is no session, sid, px. Lists the session. */
  list: `${NOW}${LIST}
list(KEYS[1], ARGV[1], ARGV[2], ARGV[3], now())
return 1
`,

  /** KEYS: set. ARGV: sid. What was destroyed stays listed for as long as it is remembered. */
  unlist: `${NOW}
return redis.call('ZADD', KEYS[1], 'XX', 'LT', string.format('%.0f', now()), ARGV[1])
`,
}

module.exports = { INDEXED_SCRIPTS }
