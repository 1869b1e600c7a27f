'use strict'

/** Calls over all sessions of records that answer later, a step at a time. */

const { forSid } = require('../sealing.js')
const { sessionIn } = require('./copies.js')

/** How many sessions are asked for, or removed, at once. */
const AT_ONCE = 200

class Listing {
  #state
  #records
  #deadlines

  constructor({ state, records, deadlines }) {
    this.#state = state
    this.#records = records
    this.#deadlines = deadlines
  }

  async ids() {
    const ids = []
    for await (const sids of this.#scan('ids')) for (const sid of sids) ids.push(sid)
    return ids
  }

  async length() {
    const records = this.#records
    if (records.count) return this.#deadlines.run('length', () => records.count())
    let length = 0
    for await (const sids of this.#scan('length')) length += sids.length
    return length
  }

  async all(serializer) {
    const sessions = Object.create(null)
    for await (const [sid, session] of this.#entries('all', serializer)) sessions[sid] = session
    return sessions
  }

  async *keys() {
    this.#state.assertOpen('keys')
    for await (const sids of this.#scan('keys')) {
      for (const sid of sids) {
        this.#state.assertOpen('keys')
        yield sid
      }
    }
  }

  async *entries(serializer) {
    this.#state.assertOpen('entries')
    for await (const entry of this.#entries('entries', serializer)) {
      this.#state.assertOpen('entries')
      yield entry
    }
  }

  /**
   * Calls `remove` for some sids after the other, and throws the first error that it returns; but
   * leaves it to the records if they can do it at once, and nobody disposes of the sessions.
   */
  async clear(remove) {
    const records = this.#records
    if (records.clear && !this.#state.options.dispose) {
      return this.#deadlines.run('clear', () => records.clear())
    }
    let failure
    for await (const sids of this.#scan('clear')) {
      for (const some of slices(sids)) {
        const err = await this.#deadlines.run('clear', () => remove(some))
        failure ??= err
      }
    }
    if (failure) throw failure
    return undefined
  }

  async *#entries(method, serializer) {
    for await (const sids of this.#scan(method)) {
      for (const some of slices(sids)) {
        this.#state.assertOpen(method)
        const peek = () => Promise.all(some.map((sid) => this.#records.peek(sid)))
        const copies = await this.#deadlines.run(method, peek)
        for (const [i, sid] of some.entries()) {
          if (copies[i] === undefined) continue
          yield [sid, sessionIn(copies[i], forSid(serializer, sid), this.#state.options)]
        }
      }
    }
  }

  /** Yields arrays of sids, each sid once. */
  async *#scan(method) {
    const seen = new Set()
    const steps = this.#records.scan()
    for (;;) {
      this.#state.assertOpen(method)
      const { value, done } = await this.#deadlines.run(method, () => steps.next())
      if (done) return
      yield value.filter((sid) => !seen.has(sid) && seen.add(sid))
    }
  }
}

/** Yields the sids in slices, of `size` each. */
function* slices(sids, size = AT_ONCE) {
  for (let i = 0; i < sids.length; i += size) yield sids.slice(i, i + size)
}

module.exports = { Listing, slices }
