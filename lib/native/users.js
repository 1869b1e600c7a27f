'use strict'

/** The sessions of one user, and what is known of one session: read without using them. */

const { parse } = require('../body.js')
const { forSid } = require('../sealing.js')
const { sorted, turn } = require('../turns.js')
const { HANDLE_BYTES, recordOf } = require('../users.js')

module.exports = { destroyUser, info, sessionsOf }

/** How many values the native store gives of a session. */
const VALUES = 7

/** What is known of the session `key`; undefined if it is not there. */
function info({ native, state }, key, serializer) {
  const values = []
  native.info(values, key, Date.now())
  if (values.length === 0) return undefined
  const facts = factsAt(values, 0, serializer)
  return recordOf(facts, { user: state.ownerOf?.(facts.session) })
}

/**
 * The sessions of a user, the one used last first. If they are very many, a promise: they are read
 * in slices, one per turn.
 */
function sessionsOf(engine, user, current, serializer) {
  const indexing = whenIndexed(engine, 'sessionsOf')
  if (indexing) return indexing.then(() => sessionsOf(engine, user, current, serializer))
  const listed = []
  const step = (after) => {
    const values = []
    engine.native.sessionsOf(values, user, Date.now(), after)
    const next = engine.native.after()
    for (let at = 0; at < values.length; at += VALUES) {
      const facts = factsAt(values, at, serializer)
      const { sid, used, order } = facts
      listed.push({ used, order, record: recordOf(facts, { current: sid === current }) })
    }
    return next
  }
  const after = step(undefined)
  if (after === undefined) return recordsOf(listed.sort(byUse))
  return eachStep(engine, 'sessionsOf', after, step)
    .then(() => sorted(listed, byUse))
    .then(recordsOf)
}

function recordsOf(listed) {
  return listed.map(({ record }) => record)
}

/** Ends sessions of a user. Returns how many; a promise if there are very many. */
function destroyUser(engine, user, which) {
  const indexing = whenIndexed(engine, 'destroyUser')
  if (indexing) return indexing.then(() => destroyUser(engine, user, which))
  const { except, only } = which
  const { native, disposal, state } = engine
  const handle = only === undefined ? undefined : Buffer.from(only, 'base64url')
  // It is nobody's handle.
  if (handle !== undefined && handle.length !== HANDLE_BYTES) return 0
  const digits = handle?.toString('hex')
  let count = 0
  const step = (after) => {
    const ended = native.destroyUser(user, Date.now(), except, digits, after)
    const next = native.after()
    count += ended
    if (ended > 0) state.watches.askNow()
    if (disposal) disposal.ofRemoved()
    return next
  }
  const after = step(undefined)
  if (after === undefined) return count
  return eachStep(engine, 'destroyUser', after, step).then(() => count)
}

/**
 * Resolves when all sessions of a file are in the index of users; undefined if they are. Those of
 * before the option `user` are put into it a few at a time, one slice per turn.
 */
function whenIndexed({ native, state }, method) {
  if (!native.indexSome()) return undefined
  const rest = async () => {
    do {
      await turn()
      state.assertOpen(method)
    } while (native.indexSome())
  }
  return rest()
}

/** Does the steps after the first, one per turn, as long as the store is open. */
async function eachStep({ state }, method, after, step) {
  for (let next = after; next !== undefined;) {
    await turn()
    state.assertOpen(method)
    next = step(next)
  }
}

function factsAt(values, at, serializer) {
  const [sid, body, created, used, expires, bytes, order] = values.slice(at, at + VALUES)
  return {
    sid,
    created,
    used,
    expires,
    bytes,
    order,
    session: parse(forSid(serializer, sid), body),
  }
}

function byUse(one, other) {
  return other.used - one.used || other.order - one.order
}
