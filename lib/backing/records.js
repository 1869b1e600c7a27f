'use strict'

/**
 * The records of a store on any other express-session store, the backing. It does what
 * lib/redis/records.js does, with less to go by: the backing tells of no changes, it remembers no
 * destroyed sids, and most cannot compare and write in one step. So it is asked first, and what was
 * destroyed is what is not there. What this process does itself to one session, it does in turn.
 *
 * Lifetimes are in milliseconds, `Infinity` for ever. Moments are those of the monotonic clock.
 */

const { monotonic } = require('../remote/clock.js')
const { membersOf } = require('../remote/copies.js')
const { Moments } = require('../remote/moments.js')
const { MAX_ATTEMPTS, TOLERANCE, TOMBSTONE } = require('../remote/rules.js')
const { Turns } = require('../remote/turns.js')
const { Calls } = require('./calls.js')
const { isReplaceable, isSameButExpiry } = require('./comparison.js')
const { Copies } = require('./copies.js')
const { findSids, listSids } = require('./listing.js')
const { postgresOf } = require('./postgres.js')
const { Sessions } = require('./sessions.js')

/** How many destroyed sids are remembered. */
const MAX_TOMBSTONES = 10_000

/** Of how many sessions it is remembered how far this process has moved the expiry. */
const MAX_RENEWALS = 10_000

class BackingRecords {
  #calls
  #sessions
  #copies
  #postgres
  #isFinal
  /** The changes of this process. */
  #turns = new Turns()
  #tombstones = new Moments(MAX_TOMBSTONES)
  #renewals = new Moments(MAX_RENEWALS)
  /** How often each sid is being destroyed, and when all sessions were. */
  #destroying = new Map()
  #clearing = 0
  #clearedAt = -Infinity

  /**
   * @param {object} options `timeout`, `maxStale`, `staleIfError`, `limits` of the near-cache, and
   *   `isFinal`, whether a destroyed sid is not written again
   */
  constructor(backing, { timeout, maxStale, staleIfError, limits, isFinal }, serializer) {
    this.#calls = new Calls(backing, timeout)
    this.#sessions = new Sessions(serializer)
    this.#copies = new Copies({ limits, maxStale, staleIfError })
    this.#postgres = postgresOf(backing, this.#calls)
    this.#isFinal = isFinal
  }

  cached(sid) {
    return this.#copies.fresh(sid)
  }

  stale(sid) {
    return this.#isBeingRemoved(sid) ? undefined : this.#copies.stale(sid)
  }

  async load(sid) {
    if (this.#isBeingRemoved(sid)) return undefined
    const ticket = this.#copies.beginRead(sid)
    let copy
    try {
      copy = await this.#read(sid)
      if (copy !== undefined && this.#wasRemovedSince(copy.readAt, sid)) copy = undefined
    } finally {
      this.#copies.endRead(ticket, copy)
    }
    return copy
  }

  peek(sid) {
    return this.#read(sid)
  }

  /** Whether there is a session, whatever copies there are. */
  async has(sid) {
    return (await this.#calls.get(sid)) !== undefined
  }

  create(sid, body, life, { isFinal, wantsOld }) {
    return this.#turns.run(sid, async () => {
      if (isFinal && this.#hasTombstone(sid)) return { isWritten: false }
      const old = wantsOld ? await this.#read(sid) : undefined
      await this.#store(sid, body, life)
      return { isWritten: true, old: old?.body }
    })
  }

  write(sid, expected, body, life, { readAt, isForced, isFinal }) {
    return this.#turns.run(sid, async () => {
      if (isFinal && this.#hasTombstone(sid)) return false
      if (this.#wasRemovedSince(readAt, sid)) return false
      if (this.#postgres && !isForced && life > 0) {
        return this.#replaceAtOnce(sid, expected, body, life)
      }
      const stored = expected.isJustRead ? expected : await this.#read(sid)
      if (stored === undefined && !this.#mayHaveExpired(expected)) return false
      if (stored !== undefined && !isForced && !this.#isReplaceable(expected, stored, body)) {
        return { ...stored, isJustRead: true }
      }
      await this.#store(sid, body, life)
      return true
    })
  }

  renew(sid, expected, life, { isForced }) {
    const expires = life === Infinity ? undefined : new Date(Math.round(Date.now() + life))
    return this.#turns.run(sid, async () => {
      if (this.#wasRemovedSince(expected.readAt, sid)) return false
      const stored = isForced ? expected : await this.#read(sid)
      if (stored === undefined) return false
      if (stored !== expected) {
        const [was, is] = [expected, stored].map(({ body }) => this.#sessions.parse(body))
        if (!isSameButExpiry(was, is)) return { ...stored, isJustRead: true }
        if (isFurther(stored, expected, life)) return true
      }
      return this.#renew(sid, stored, life, expires, isForced)
    })
  }

  /** When a session was created is not known. */
  describe(sid) {
    return this.#read(sid)
  }

  async destroy(sid, wantsOld) {
    this.#noteDestroyed(sid)
    this.#destroying.set(sid, (this.#destroying.get(sid) ?? 0) + 1)
    try {
      return await this.#turns.run(sid, async () => {
        const old = wantsOld ? await this.#read(sid) : undefined
        await this.#remove(sid)
        return old?.body
      })
    } finally {
      const left = this.#destroying.get(sid) - 1
      if (left === 0) this.#destroying.delete(sid)
      else this.#destroying.set(sid, left)
    }
  }

  /** Yields an array of sids. */
  async *scan() {
    yield await listSids(this.#calls)
  }

  async count() {
    if (this.#calls.has('length')) return Number(await this.#calls.call('length'))
    return (await listSids(this.#calls)).length
  }

  /** Removes all sessions. */
  async clear() {
    const hasClear = this.#calls.has('clear')
    const sids = hasClear ? await this.#sidsToRemember() : await listSids(this.#calls, 'cleared')
    for (const sid of sids) this.#noteDestroyed(sid)
    this.#clearedAt = monotonic()
    this.#clearing++
    this.#copies.clear()
    try {
      if (hasClear) await this.#calls.call('clear')
      else await Promise.all(sids.map((sid) => this.#remove(sid)))
    } finally {
      this.#clearing--
    }
  }

  /** Removes expired copies; the backing's own are its business. */
  prune() {
    this.#copies.prune()
  }

  stats() {
    return { ...this.#copies.stats(), roundTrips: this.#calls.count, invalidations: 0 }
  }

  close() {
    this.#copies.close()
  }

  async #read(sid) {
    const readAt = monotonic()
    const session = await this.#calls.get(sid)
    return session ? this.#copyOf(sid, session, readAt) : undefined
  }

  #copyOf(sid, session, readAt) {
    const body = this.#sessions.bodyOf(session)
    return { body, readAt, expiresAt: this.#expiryOf(sid, session, readAt), cookie: undefined }
  }

  /**
   * When a session expires, by its cookie, or further if this process has moved it: many stores do
   * not change the cookie in a touch. Infinity if that is not known.
   */
  #expiryOf(sid, session, readAt) {
    const { expires, originalMaxAge } = membersOf(session.cookie) ?? {}
    const life = expires ? new Date(expires).getTime() - Date.now() : NaN
    const renewed = this.#renewals.of(sid)
    // Otherwise another process has given it a shorter life.
    const most = typeof originalMaxAge === 'number' ? originalMaxAge + TOLERANCE : Infinity
    const isStillSo = renewed > readAt && renewed - readAt <= most
    const latest = Math.max(life > 0 ? readAt + life : -Infinity, isStillSo ? renewed : -Infinity)
    return latest === -Infinity ? Infinity : latest
  }

  /**
   * Whether a session that was read, and is not there any more, may have expired by itself. A store
   * whose touch leaves the cookie alone does not tell how long it was to live.
   */
  #mayHaveExpired({ body, readAt, expiresAt }) {
    const { originalMaxAge } = membersOf(this.#sessions.parse(body)?.cookie) ?? {}
    const most = typeof originalMaxAge === 'number' ? readAt + originalMaxAge : -Infinity
    return monotonic() >= Math.max(expiresAt, most)
  }

  #isReplaceable(expected, stored, body) {
    if (stored === expected) return true
    const three = [expected.body, stored.body, body].map((one) => this.#sessions.parse(one))
    return isReplaceable(...three)
  }

  /** As write, where the backing compares. */
  async #replaceAtOnce(sid, expected, body, life) {
    const session = this.#sessions.sessionOf(body)
    let text = expected.text ?? JSON.stringify(this.#sessions.sessionOf(expected.body))
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      const replace = () => this.#postgres.replace(sid, text, session)
      if (await this.#change(sid, body, life, replace)) return true
      const readAt = monotonic()
      text = await this.#postgres.read(sid)
      if (text === undefined) {
        if (!this.#mayHaveExpired(expected)) return false
        break
      }
      // Otherwise it is the same session in other words, or was renewed.
      const stored = this.#copyOf(sid, JSON.parse(text), readAt)
      if (!this.#isReplaceable(expected, stored, body)) return { ...stored, text }
    }
    await this.#store(sid, body, life)
    return true
  }

  async #renew(sid, stored, life, expires, isForced) {
    const session = this.#sessions.sessionOf(stored.body, expires)
    const method = this.#calls.has('touch') ? 'touch' : 'set'
    const renew = () => this.#calls.call(method, sid, session).then(() => true)
    try {
      // What is stored is known only if it was read just now.
      await this.#change(sid, isForced ? undefined : stored.body, life, renew)
    } catch (err) {
      // To some stores it is an error if there is no such session.
      if ((await this.#read(sid)) !== undefined) throw err
      return false
    }
    return true
  }

  async #store(sid, body, life) {
    if (life <= 0) return this.#remove(sid)
    const sentAt = monotonic()
    const session = this.#sessions.sessionOf(body)
    const set = () => this.#calls.call('set', sid, session).then(() => true)
    await this.#change(sid, body, life, set)
    // All sessions were removed meanwhile, and this one may have come after it.
    if (this.#clearedAt > sentAt) await this.#remove(sid)
  }

  async #remove(sid) {
    await this.#change(sid, undefined, 0, () => this.#calls.destroy(sid))
    this.#renewals.forget(sid)
  }

  /** Sends a change, and keeps `body`, which is stored for `life` if `send` gives true. */
  async #change(sid, body, life, send) {
    const ticket = this.#copies.beginChange(sid)
    const readAt = monotonic()
    let copy
    try {
      const isDone = await send()
      if (isDone) {
        this.#renewals.note(sid, readAt + life)
        copy = body && { body, readAt, expiresAt: readAt + life }
      }
      return isDone
    } finally {
      this.#copies.endChange(ticket, copy)
    }
  }

  /** The sids that a clear protects from being written again, if they can be had. */
  async #sidsToRemember() {
    return (this.#isFinal && (await findSids(this.#calls))) || []
  }

  #noteDestroyed(sid) {
    this.#tombstones.note(sid, monotonic())
    this.#copies.drop(sid)
  }

  #hasTombstone(sid) {
    return monotonic() - this.#tombstones.of(sid) < TOMBSTONE
  }

  #wasRemovedSince(moment, sid) {
    return this.#tombstones.of(sid) > moment || this.#clearedAt > moment
  }

  #isBeingRemoved(sid) {
    return this.#clearing > 0 || this.#destroying.has(sid)
  }
}

/** Whether another request has moved the expiry further than `life`. */
function isFurther(stored, expected, life) {
  if (stored.expiresAt === Infinity) return false
  return stored.expiresAt > monotonic() + life && stored.expiresAt > expected.expiresAt + TOLERANCE
}

module.exports = { BackingRecords }
