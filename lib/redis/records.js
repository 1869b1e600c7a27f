'use strict'

/**
 * The records of a store on Redis or Valkey: reads, writes and removes sessions, each in one step of
 * the server, and serves what it has read from the near-cache for as long as that is known to be
 * current.
 *
 * It knows nothing of session objects, requests and merges. Lifetimes are in milliseconds,
 * `Infinity` for ever. Moments are those of the monotonic clock.
 */

const { reservedSidError } = require('../errors.js')
const { monotonic } = require('../remote/clock.js')
const { TOMBSTONE } = require('../remote/rules.js')
const { NearCache } = require('../remote/near-cache.js')
const { EXPIRED, argumentsOfWrite, asArgument, flag, leftOf, pxOf } = require('./arguments.js')
const { Connection } = require('./connection.js')
const { IndexedRecords, isDone, lifeOf } = require('./indexed-records.js')
const { Names } = require('./names.js')

/** How many keys a step of SCAN looks at. */
const KEYS_A_STEP = '1000'

/**
 * A session as it was read or written.
 *
 * @typedef {object} Copy
 * @property {string | Buffer} body as it is stored, to the byte
 * @property {number} readAt a moment at which this was stored
 * @property {number} expiresAt the moment at which it expires
 * @property {object | undefined} cookie of the session, for whoever has parsed it
 */

class RedisRecords {
  #connection
  #form
  #names
  #cache
  #indexed
  #isIndexed
  #maxStale
  #staleIfError
  /**
   * When sessions were read since it was known of all that it is current, the earliest first. Who
   * was logged out before that was not logged out after the read.
   */
  #readAfter = new Map()

  /**
   * @param client the user's client
   * @param {object} options `prefix`, `timeout`, `maxStale`, `staleIfError`, `limits` of the
   *   near-cache, and `isIndexed`, whether there is an index
   * @param {Form} form whether sessions are text or bytes
   */
  constructor(client, options, form) {
    const { prefix, maxStale, staleIfError, limits, isIndexed } = options
    this.#connection = new Connection(client, options, form.isBinary, {
      invalidated: (keys) => this.#invalidated(keys),
      trusted: () => this.#cache.trust(),
      distrusted: () => this.#distrust(),
      nameOf: (text) => this.#names.tombstone(text),
    })
    this.#form = form
    this.#names = new Names(this.#connection.keyPrefix + prefix)
    this.#cache = new NearCache(limits, this.#connection.isOrdered)
    this.#indexed = new IndexedRecords({
      connection: this.#connection,
      names: this.#names,
      form,
      change: (...change) => this.#change(...change),
      forget: (sid) => this.#cache.drop(sid),
    })
    this.#isIndexed = isIndexed
    this.#maxStale = maxStale
    this.#staleIfError = staleIfError
    this.#connection.connect()
  }

  /** The session as it is known to be; undefined if the server has to be asked. */
  cached(sid) {
    const { answeredAt } = this.#connection
    if (monotonic() >= answeredAt + this.#maxStale) return undefined
    const copy = this.#cache.get(sid)
    const readAt = this.#readAfter.get(sid) ?? answeredAt
    return (
      copy && {
        body: copy.body,
        readAt: Math.max(readAt, answeredAt),
        expiresAt: copy.expiresAt,
        cookie: undefined,
      }
    )
  }

  /** The session as it was before the server went away, if that was not too long ago. */
  stale(sid) {
    if (this.#staleIfError === 0) return undefined
    const age = this.#staleIfError
    if (monotonic() >= this.#connection.answeredAt + this.#maxStale + age) return undefined
    const copy = this.#cache.getStale(sid, age)
    return copy && { ...copy, readAt: this.#connection.answeredAt, cookie: undefined }
  }

  /** The session as it is stored; undefined if there is none. */
  async load(sid) {
    if (this.#isReserved(sid)) return undefined
    if (!this.#connection.isReady) await this.#connection.whenReady()
    const ticket = this.#cache.beginRead(sid)
    const readAt = monotonic()
    let copy
    try {
      copy = this.#form.copyOf(await this.#connection.read(this.#names.key(sid)), readAt)
    } finally {
      this.#cache.endRead(ticket, copy?.body, copy ? copy.expiresAt - monotonic() : 0)
    }
    if (copy) this.#noteRead(sid, readAt)
    return copy
  }

  #noteRead(sid, readAt) {
    const { answeredAt } = this.#connection
    for (const [earlier, at] of this.#readAfter) {
      if (at > answeredAt) break
      this.#readAfter.delete(earlier)
    }
    if (readAt <= answeredAt) return
    this.#readAfter.delete(sid)
    this.#readAfter.set(sid, readAt)
  }

  /** As load, for one of many: it is not cached, and not looked up. */
  async peek(sid) {
    if (!this.#connection.isReady) await this.#connection.whenReady()
    const readAt = monotonic()
    return this.#form.copyOf(await this.#connection.run('peek', [this.#names.key(sid)], []), readAt)
  }

  /** Whether there is a session. Nothing is sent if the near-cache has it. */
  async has(sid) {
    if (this.#isReserved(sid)) return false
    const isCurrent = monotonic() < this.#connection.answeredAt + this.#maxStale
    if (isCurrent && this.#cache.has(sid)) return true
    if (!this.#connection.isReady) await this.#connection.whenReady()
    const key = this.#names.key(sid)
    return Number(await this.#connection.send(key, ['EXISTS', key])) > 0
  }

  /**
   * Writes a session that nobody is known to have read. Returns whether it was written, and `old`,
   * the body that was stored, if `wantsOld`. If `isFinal`, a tombstone refuses the write. With a
   * `mark` the index is kept; see indexed-records.js for what more is returned then, by `write` too.
   */
  async create(sid, body, life, { isFinal, wantsOld, mark }) {
    this.#assertNotReserved(sid)
    if (!this.#connection.isReady) await this.#connection.whenReady()
    const key = this.#names.key(sid)
    const px = pxOf(life)
    this.#form.note(body)
    if (mark) return this.#indexed.create(sid, body, life, { isFinal, wantsOld }, mark)
    // The command itself costs the server half of what a script does.
    if (!isFinal && !wantsOld && px !== EXPIRED) {
      const expiry = px === '' ? [] : ['PX', px]
      await this.#change(sid, () =>
        this.#connection.send(key, ['SET', key, asArgument(body), ...expiry]),
      )
      return { isWritten: true }
    }
    const keys = [key, this.#names.tombstone(sid)]
    const args = [asArgument(body), px, flag(isFinal), flag(wantsOld)]
    const reply = await this.#change(
      sid,
      () => this.#connection.run('create', keys, args),
      body,
      life,
    )
    return { isWritten: reply !== 0, old: this.#oldOf(reply) }
  }

  /**
   * Writes a session if what is stored is `expected`, a Copy. Returns true if it was written, false
   * if the session was destroyed since the writer has read it, else what is stored.
   *
   * @param {object} how
   * @param {number} how.readAt when the writer has read the session
   * @param {boolean} how.isOthers whether what is expected is not what the writer has read
   * @param {boolean} how.isForced whether anything may be stored
   * @param {boolean} how.isFinal whether any tombstone refuses the write
   * @param {boolean} how.isLongest whether nobody can have renewed the session for longer than this
   *   write does
   * @param {Mark | undefined} how.mark
   */
  async write(sid, expected, body, life, { mark, ...how }) {
    if (!this.#connection.isReady) await this.#connection.whenReady()
    if (mark) return this.#indexed.write(sid, expected, body, life, how, mark)
    const keys = [this.#names.key(sid), this.#names.tombstone(sid)]
    const now = monotonic()
    const args = argumentsOfWrite(expected, body, life, how, now)
    const reply = await this.#change(
      sid,
      () => this.#connection.run('write', keys, args),
      body,
      life,
    )
    return typeof reply === 'number' ? reply === 1 : this.#form.copyOf(reply, now)
  }

  /**
   * Moves the expiry of a session that is stored as `expected` says, unless another request has
   * moved it further than that. Returns true if that is done, false if there is no session, else
   * what is stored.
   *
   * @param isForced whether to move it in any case
   */
  async renew(sid, expected, life, { isForced, mark }) {
    if (!this.#connection.isReady) await this.#connection.whenReady()
    if (mark) return this.#indexed.renew(sid, expected, life, { isForced }, mark)
    const now = monotonic()
    const left = isForced ? '' : leftOf(expected, now)
    const args = [asArgument(expected.body), pxOf(life), left]
    const keys = [this.#names.key(sid)]
    const run = () => this.#connection.run('renew', keys, args)
    const reply = await this.#change(sid, run, expected.body, life)
    return typeof reply === 'number' ? reply !== 0 : this.#form.copyOf(reply, now)
  }

  /** Removes a session. Returns its body, if `wantsOld`; undefined if there was none. */
  async destroy(sid, wantsOld) {
    if (this.#isIndexed) return (await this.end(sid, wantsOld)).old
    if (this.#isReserved(sid)) return undefined
    if (!this.#connection.isReady) await this.#connection.whenReady()
    const keys = [this.#names.key(sid), this.#names.tombstone(sid)]
    const args = [String(TOMBSTONE), flag(wantsOld)]
    const reply = await this.#change(sid, () => this.#connection.run('destroy', keys, args))
    return this.#oldOf(reply)
  }

  /**
   * Removes a session if it is of `user`, or whosever it is if that is undefined. Returns whether
   * there was one, and its body, if `wantsOld`.
   */
  async end(sid, wantsOld, user) {
    if (this.#isReserved(sid)) return { isFound: false, old: undefined }
    if (!this.#connection.isReady) await this.#connection.whenReady()
    return this.#indexed.end(sid, wantsOld, user)
  }

  /** The sids that are listed for a user; some may be of no session, or of one of another user. */
  async membersOf(user) {
    if (!this.#connection.isReady) await this.#connection.whenReady()
    return this.#indexed.membersOf(user)
  }

  /**
   * As `peek`, with when the session was `created` and `used`, in milliseconds of this machine's
   * clock; undefined if that is not known.
   */
  async describe(sid) {
    if (this.#isReserved(sid)) return undefined
    if (!this.#connection.isReady) await this.#connection.whenReady()
    return this.#indexed.describe(sid)
  }

  /** Yields arrays of sids, in no order; one may come twice. */
  async *scan() {
    if (!this.#connection.isReady) await this.#connection.whenReady()
    for (const send of this.#connection.nodes()) {
      let cursor = '0'
      do {
        const step = ['SCAN', cursor, 'MATCH', this.#names.pattern, 'COUNT', KEYS_A_STEP]
        const [next, keys] = await send(step)
        cursor = String(next)
        const names = keys.map(String).filter((key) => !this.#names.isReserved(key))
        yield names.map((key) => this.#names.sid(key))
      } while (cursor !== '0')
    }
  }

  /** Removes expired copies. */
  prune() {
    this.#cache.prune()
  }

  stats() {
    const { roundTrips } = this.#connection
    return { ...this.#cache.stats(), roundTrips, invalidations: this.#cache.invalidations }
  }

  close() {
    this.#connection.close()
    this.#cache.close()
  }

  /** Sends a write, and keeps `body`, which is stored after it, if the server tells of no other. */
  async #change(sid, send, body, life) {
    const ticket = this.#cache.beginChange(sid)
    const sentAt = monotonic()
    let stored
    try {
      const reply = await send()
      stored = storedLife(reply, life)
      return reply
    } finally {
      const isDone = stored !== undefined
      const left = isDone ? stored - (monotonic() - sentAt) : 0
      this.#cache.endChange(ticket, isDone ? body : undefined, left)
    }
  }

  /** The session that a write has replaced, if it has asked for it. */
  #oldOf(reply) {
    return typeof reply === 'number' ? undefined : this.#form.read(reply)
  }

  #invalidated(keys) {
    if (keys === null) this.#cache.clear()
    else for (const key of keys) this.#cache.invalidate(this.#names.sid(key))
  }

  #distrust() {
    this.#cache.distrust()
    if (this.#staleIfError === 0) this.#cache.clear()
  }

  #isReserved(sid) {
    return this.#names.isReserved(this.#names.key(sid))
  }

  #assertNotReserved(sid) {
    if (this.#isReserved(sid)) throw reservedSidError()
  }
}

/** For how long what was written lives, by the reply of a script; undefined if it was not written. */
function storedLife(reply, life) {
  if (reply === 1) return life
  return isDone(reply) ? lifeOf(reply[1]) : undefined
}

module.exports = { RedisRecords }
