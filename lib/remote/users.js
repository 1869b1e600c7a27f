'use strict'

/** The calls about the sessions of a user, and about one session, of records that answer later. */

const { forSid } = require('../sealing.js')
const { sorted, turn } = require('../turns.js')
const { handleOf, recordOf } = require('../users.js')
const { monotonic } = require('./clock.js')
const { sessionIn } = require('./copies.js')
const { disposeOf, disposesOf } = require('./disposal.js')
const { slices } = require('./listing.js')

/** How many sessions are read, or ended, at once: all answers may come in one turn of the loop. */
const AT_ONCE = 50

class Users {
  #state
  #records
  #deadlines

  constructor({ state, records, deadlines }) {
    this.#state = state
    this.#records = records
    this.#deadlines = deadlines
  }

  /** The records of the sessions of `user`, the one used last first. */
  async sessionsOf(user, current, serializer) {
    const run = (work) => this.#deadlines.run('sessionsOf', work)
    const found = []
    const members = await run(() => this.#records.membersOf(user))
    for (const sids of slices(members, AT_ONCE)) {
      this.#state.assertOpen('sessionsOf')
      const copies = await run(() => Promise.all(sids.map((sid) => this.#records.describe(sid))))
      for (const [i, sid] of sids.entries()) {
        if (copies[i] === undefined) continue
        const session = sessionIn(copies[i], forSid(serializer, sid), this.#state.options)
        // It may have been listed for a user who had it before.
        if (this.#state.ownerOf(session) !== user) continue
        const facts = factsOf(sid, session, copies[i])
        const record = recordOf(facts, { current: sid === current })
        found.push({ used: facts.used ?? 0, record })
      }
    }
    return (await sorted(found, byUse)).map(({ record }) => record)
  }

  /** Ends the sessions of `user`, but `except`, or `only` the one with that handle; how many. */
  async destroyUser(user, { except, only }) {
    const run = (work) => this.#deadlines.run('destroyUser', work)
    const members = await run(() => this.#records.membersOf(user))
    const isMeant = (sid) => sid !== except && (only === undefined || handleOf(sid) === only)
    let count = 0
    let failure
    for (const some of slices(members, AT_ONCE)) {
      this.#state.assertOpen('destroyUser')
      const sids = some.filter(isMeant)
      if (sids.length === 0) {
        // Nothing is asked of the server meanwhile.
        await turn()
        continue
      }
      const ended = await run(() => Promise.allSettled(sids.map((sid) => this.#end(sid, user))))
      count += ended.filter(({ value }) => value === true).length
      failure ??= ended.find(({ status }) => status === 'rejected')?.reason
    }
    if (failure) throw failure
    return count
  }

  async info(key, serializer) {
    const copy = await this.#deadlines.run('info', () => this.#records.describe(key))
    if (copy === undefined) return undefined
    const session = sessionIn(copy, serializer, this.#state.options)
    return recordOf(factsOf(key, session, copy), { user: this.#state.ownerOf?.(session) })
  }

  async #end(sid, user) {
    const { options, watches } = this.#state
    const { isFound, old } = await this.#records.end(sid, disposesOf(options), user)
    if (isFound) watches.ended(sid)
    disposeOf(this.#state, sid, old, 'destroyed')
    return isFound
  }
}

function byUse(one, other) {
  return other.used - one.used
}

function factsOf(sid, session, { body, created, used, expiresAt }) {
  const expires = Math.round(Date.now() + expiresAt - monotonic())
  const bytes = typeof body === 'string' ? Buffer.byteLength(body) : body.length
  return { sid, session, created, used, expires, bytes }
}

module.exports = { Users }
