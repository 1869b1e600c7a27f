'use strict'

/**
 * What the server does in one step. Each script is sent by its hash, and whole if the server does
 * not know it.
 *
 * Scripts read tombstones by GETEX, because a GET would make the server track them. A script that
 * changes a session reads it first and asks for it again at the end. So this connection gets exactly
 * one invalidation of its own, and goes on being told of the changes of others.
 */

const { createHash } = require('node:crypto')
const { INDEXED_SCRIPTS } = require('./indexed-scripts.js')
const { DESTROYED_SINCE, IS_RENEWED, MAY_WRITE, NOW, STORE } = require('./lua.js')

const SCRIPTS = {
  /** Gives the session and for how long it lives in milliseconds, -1 for ever. */
  peek: `
local body = redis.call('GETEX', KEYS[1])
return body and { body, redis.call('PTTL', KEYS[1]) }
`,

  /**
   * KEYS: session, tombstone. ARGV: body, px, whether a tombstone refuses the write, whether to
   * give the session that was there. Gives 0 if it is refused, else 1 or that session.
   */
  create: `${STORE}
if ARGV[3] == '1' and redis.call('GETEX', KEYS[2]) then return 0 end
redis.call('EXISTS', KEYS[1])
local old = ARGV[4] == '1' and redis.call('GET', KEYS[1])
store(KEYS[1], ARGV[1], ARGV[2])
return old or 1
`,

  /**
   * KEYS: session, tombstone. ARGV: what is expected to be stored, body, px, the milliseconds
   * since the writer read, whether the session as it was read has expired meanwhile, whether
   * anything may be stored, whether any tombstone refuses the write, whether the writer has read
   * something else than what is expected, for how long the session is expected to live at most
   * (empty if it does not matter).
   *
   * A session that lives longer, and longer than the writer would have it, was renewed by another
   * request: then what is stored is not what is expected.
   *
   * Gives 1 if the body was written, 0 if the session was destroyed, and else the session that is
   * stored and for how long it lives.
   */
  write: `${NOW}${DESTROYED_SINCE}${IS_RENEWED}${STORE}
local px = ARGV[3]
${MAY_WRITE}
store(KEYS[1], ARGV[2], px)
return 1
`,

  /**
   * KEYS: session. ARGV: what is expected to be stored, px, for how long the session is expected
   * to live at most (empty if it does not matter).
   *
   * Gives 1 if its expiry was moved, 2 if it stays because another request has moved it as far or
   * further, 0 if there is no session, and else the session that is stored and for how long it lives.
   * With 2 the server tells of no change, as it does of one that is made.
   */
  renew: `${IS_RENEWED}
local stored = redis.call('GET', KEYS[1])
if not stored then return 0 end
if stored ~= ARGV[1] then return { stored, redis.call('PTTL', KEYS[1]) } end
if ARGV[2] == '' then
  if redis.call('PERSIST', KEYS[1]) == 0 then return 2 end
elseif is_renewed(KEYS[1], ARGV[2], ARGV[3]) then
  return 2
else
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
redis.call('EXISTS', KEYS[1])
return 1
`,

  /**
   * KEYS: session, tombstone. ARGV: how long to keep the tombstone, whether to give the session.
   * Gives that or 1, or 0 if there was none. What is no session, because it is no string, goes too.
   */
  destroy: `${NOW}
local old = ARGV[2] == '1' and redis.pcall('GETEX', KEYS[1])
if type(old) ~= 'string' then old = false end
redis.call('SET', KEYS[2], string.format('{"destroyed":%.3f}', now()), 'PX', ARGV[1])
local found = redis.call('UNLINK', KEYS[1])
return old or found
`,
}

/** The scripts by their names: each a `text` and its `sha`, by which a server knows it. */
const scripts = {}
for (const [name, text] of Object.entries({ ...SCRIPTS, ...INDEXED_SCRIPTS })) {
  scripts[name] = { text, sha: createHash('sha1').update(text).digest('hex') }
}

module.exports = { scripts }
