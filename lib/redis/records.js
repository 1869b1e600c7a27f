'use strict'

/**
 * The records of a store on Redis or Valkey: reads, writes and removes sessions, each in one step of
 * the server, and serves what it has read from the near-cache for as long as that is known to be
 * current.
 *
 * It knows nothing of session objects, requests and merges. Lifetimes are in milliseconds,
 * `Infinity` for ever. Moments are those of the monotonic clock.
 */

// Captured at load time, so fake timers do not affect it.
const { setTimeout } = require('node:timers')
const { refusedByServerError, reservedSidError, unavailableError } = require('../errors.js')
const { monotonic } = require('../remote/clock.js')
const { warnOfNoTracking } = require('../warnings.js')
const { openLink } = require('./clients/index.js')
const { Heartbeat } = require('./heartbeat.js')
const { Names } = require('./names.js')
const { NearCache } = require('./near-cache.js')
const { Probe } = require('./probe.js')
const { scripts } = require('./scripts.js')

/** How long a destroyed sid is remembered, in milliseconds. */
const TOMBSTONE = 10 * 60 * 1000

/** The longest lifetime that is stored: Redis refuses what its clock cannot add. */
const LONGEST_LIFE = 8.64e15

/** How long to wait until the server is asked again if it tracks, in milliseconds. */
const PROOF_PAUSE = 1000

/** How much longer than expected a session may live that nobody has renewed, in milliseconds. */
const TOLERANCE = 1000

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
  roundTrips = 0
  #link
  #form
  #names
  #cache
  #heartbeat
  #probe
  #maxStale
  #staleIfError
  /** Counts what makes all that was read doubtful. */
  #epoch = 0
  #hasWarned = false
  /** Why there was no connection, the last time. */
  #cause
  /** Calls that came before the first connection. */
  #first = deferred()

  /**
   * @param client the user's client
   * @param {object} options `prefix`, `timeout`, `maxStale`, `staleIfError` and `limits` of the
   *   near-cache
   * @param {Form} form whether sessions are text or bytes
   */
  constructor(client, { prefix, timeout, maxStale, staleIfError, limits }, form) {
    const handlers = {
      invalidated: (keys) => this.#invalidated(keys),
      changed: () => this.#changed(),
      failed: (err) => this.#failed(err),
    }
    this.#link = openLink(client, handlers, {
      isBinary: form.isBinary,
      isTracking: maxStale > 0,
    })
    this.#form = form
    this.#names = new Names(this.#link.keyPrefix + prefix)
    this.#cache = new NearCache(limits, this.#link.isOrdered)
    this.#heartbeat = new Heartbeat(this.#link, timeout, maxStale, handlers.failed)
    this.#probe = new Probe(timeout)
    this.#maxStale = maxStale
    this.#staleIfError = staleIfError
    this.#link.connect()
  }

  /** The session as it is known to be; undefined if the server has to be asked. */
  cached(sid) {
    const readAt = this.#heartbeat.answeredAt
    if (monotonic() >= readAt + this.#maxStale) return undefined
    const copy = this.#cache.get(sid)
    return copy && { body: copy.body, readAt, expiresAt: copy.expiresAt, cookie: undefined }
  }

  /** The session as it was before the server went away, if that was not too long ago. */
  stale(sid) {
    if (this.#staleIfError === 0) return undefined
    const age = this.#staleIfError
    if (monotonic() >= this.#heartbeat.answeredAt + this.#maxStale + age) return undefined
    const copy = this.#cache.getStale(sid, age)
    return copy && { ...copy, readAt: this.#heartbeat.answeredAt, cookie: undefined }
  }

  /** The session as it is stored; undefined if there is none. */
  async load(sid) {
    if (this.#isReserved(sid)) return undefined
    if (!this.#link.isReady) await this.#connected()
    const ticket = this.#cache.beginRead(sid)
    const readAt = monotonic()
    let copy
    try {
      copy = this.#copyOf(await this.#run('load', sid, [this.#names.key(sid)], []), readAt)
    } finally {
      this.#cache.endRead(ticket, copy?.body, copy ? copy.expiresAt - monotonic() : 0)
    }
    return copy
  }

  /** As load, for one of many: it is not cached, and not looked up. */
  async peek(sid) {
    if (!this.#link.isReady) await this.#connected()
    const readAt = monotonic()
    return this.#copyOf(await this.#run('peek', sid, [this.#names.key(sid)], []), readAt)
  }

  /**
   * Writes a session that nobody is known to have read. Returns whether it was written, and `old`,
   * the body that was stored, if `wantsOld`. If `isFinal`, a tombstone refuses the write.
   */
  async create(sid, body, life, { isFinal, wantsOld }) {
    this.#assertNotReserved(sid)
    if (!this.#link.isReady) await this.#connected()
    const key = this.#names.key(sid)
    const px = pxOf(life)
    this.#form.note(body)
    // The command itself costs the server half of what a script does.
    if (!isFinal && !wantsOld && px !== EXPIRED) {
      const expiry = px === '' ? [] : ['PX', px]
      await this.#change(sid, () => this.#send(key, ['SET', key, asArgument(body), ...expiry]))
      return { isWritten: true }
    }
    const keys = [key, this.#names.tombstone(sid)]
    const args = [asArgument(body), px, flag(isFinal), flag(wantsOld)]
    const reply = await this.#change(sid, () => this.#run('create', sid, keys, args), body, life)
    return { isWritten: reply !== 0, old: this.#oldOf(reply) }
  }

  /**
   * Writes a session that was read as `read`, if what is stored is `expected.body`, or anything if
   * `isForced`. Returns true if it was written, false if the session was destroyed since it was
   * read, else what is stored: a Copy. If `isFinal`, any tombstone refuses the write.
   */
  async write(sid, read, expected, body, life, { isForced, isFinal }) {
    if (!this.#link.isReady) await this.#connected()
    const keys = [this.#names.key(sid), this.#names.tombstone(sid)]
    const now = monotonic()
    const args = [
      asArgument(expected.body),
      asArgument(body),
      pxOf(life),
      (now - read.readAt).toFixed(3),
      flag(now >= expected.expiresAt),
      flag(isForced),
      flag(isFinal),
      flag(expected !== read),
      leftOf(expected, now),
    ]
    const reply = await this.#change(sid, () => this.#run('write', sid, keys, args), body, life)
    return typeof reply === 'number' ? reply === 1 : this.#copyOf(reply, now)
  }

  /**
   * Moves the expiry of a session that is stored as `expected` says, unless another request has
   * moved it further than that. Returns true if that is done, false if there is no session, else
   * what is stored.
   *
   * @param isForced whether to move it in any case
   */
  async renew(sid, expected, life, { isForced }) {
    if (!this.#link.isReady) await this.#connected()
    const now = monotonic()
    const left = isForced ? '' : leftOf(expected, now)
    const args = [asArgument(expected.body), pxOf(life), left]
    const keys = [this.#names.key(sid)]
    const run = () => this.#run('renew', sid, keys, args)
    const reply = await this.#change(sid, run, expected.body, life)
    return typeof reply === 'number' ? reply !== 0 : this.#copyOf(reply, now)
  }

  /** Removes a session. Returns its body, if `wantsOld`; undefined if there was none. */
  async destroy(sid, wantsOld) {
    if (this.#isReserved(sid)) return undefined
    if (!this.#link.isReady) await this.#connected()
    const keys = [this.#names.key(sid), this.#names.tombstone(sid)]
    const args = [String(TOMBSTONE), flag(wantsOld)]
    const reply = await this.#change(sid, () => this.#run('destroy', sid, keys, args))
    return this.#oldOf(reply)
  }

  /** Yields arrays of sids, in no order; one may come twice. */
  async *scan() {
    if (!this.#link.isReady) await this.#connected()
    for (const node of this.#link.nodes()) {
      let cursor = '0'
      do {
        const step = ['SCAN', cursor, 'MATCH', this.#names.pattern, 'COUNT', KEYS_A_STEP]
        const [next, keys] = await this.#answered(node.command(step))
        cursor = String(next)
        const names = keys.map(String).filter((key) => !this.#names.isTombstone(key))
        yield names.map((key) => this.#names.sid(key))
      } while (cursor !== '0')
    }
  }

  /** Removes expired copies. */
  prune() {
    this.#cache.prune()
  }

  stats() {
    const { roundTrips } = this
    return { ...this.#cache.stats(), roundTrips, invalidations: this.#cache.invalidations }
  }

  close() {
    this.#epoch++
    this.#heartbeat.stop()
    this.#link.close()
    this.#cache.close()
    this.#first.reject(unavailableError(this.#cause))
  }

  /** Sends a write, and keeps `body`, which is stored after it, if the server tells of no other. */
  async #change(sid, send, body, life) {
    const ticket = this.#cache.beginChange(sid)
    const sentAt = monotonic()
    let isDone = false
    try {
      const reply = await send()
      isDone = reply === 1
      return reply
    } finally {
      const left = life - (monotonic() - sentAt)
      this.#cache.endChange(ticket, isDone ? body : undefined, left)
    }
  }

  /** Runs a script: its reply. */
  #run(name, sid, keys, args) {
    const { sha, text } = scripts[name]
    const rest = [String(keys.length), ...keys, ...args]
    const [key] = keys
    this.roundTrips++
    const sentAt = monotonic()
    return this.#link.command(key, ['EVALSHA', sha, ...rest]).then(
      (reply) => {
        this.#noteAnswer(sentAt)
        return reply
      },
      (err) => {
        if (!/^NOSCRIPT\b/.test(err?.message)) throw this.#errorOf(err)
        return this.#send(key, ['EVAL', text, ...rest])
      },
    )
  }

  #send(key, args) {
    this.roundTrips++
    const sentAt = monotonic()
    return this.#link.command(key, args).then(
      (reply) => {
        this.#noteAnswer(sentAt)
        return reply
      },
      (err) => {
        throw this.#errorOf(err)
      },
    )
  }

  #noteAnswer(sentAt) {
    if (this.#link.isSingle && this.#link.isOrdered) this.#heartbeat.noteAnswer(sentAt)
  }

  async #answered(promise) {
    this.roundTrips++
    try {
      return await promise
    } catch (err) {
      throw this.#errorOf(err)
    }
  }

  /** Waits for the first connection. When it was there once, or could not be made, it is missed. */
  #connected() {
    if (this.#first.isOver) throw unavailableError(this.#cause)
    return this.#first.promise
  }

  /** What a reply says is stored; undefined if nothing is. */
  #copyOf(reply, readAt) {
    if (!Array.isArray(reply)) return undefined
    const [body, left] = reply
    const expiresAt = left < 0 ? Infinity : readAt + Number(left)
    return { body: this.#form.read(body), readAt, expiresAt, cookie: undefined }
  }

  /** The session that a write has replaced, if it has asked for it. */
  #oldOf(reply) {
    return typeof reply === 'number' ? undefined : this.#form.read(reply)
  }

  #errorOf(err) {
    return isRefusal(err) ? refusedByServerError(err) : unavailableError(err)
  }

  #isReserved(sid) {
    return this.#names.isTombstone(this.#names.key(sid))
  }

  #assertNotReserved(sid) {
    if (this.#isReserved(sid)) throw reservedSidError()
  }

  #invalidated(keys) {
    if (keys === null) {
      this.#cache.clear()
      return
    }
    for (const key of keys) {
      if (!this.#probe.take(key)) this.#cache.invalidate(this.#names.sid(key))
    }
  }

  #changed() {
    const epoch = ++this.#epoch
    this.#cache.distrust()
    if (this.#staleIfError === 0) this.#cache.clear()
    if (!this.#link.isReady) return
    this.#first.resolve()
    if (this.#maxStale > 0) this.#prove(epoch)
  }

  async #prove(epoch) {
    let isProven = false
    try {
      const nameOf = (text) => this.#names.tombstone(text)
      isProven = this.#link.tracks && (await this.#probe.proves(this.#link, nameOf))
    } catch (err) {
      // A server that is full, or loads its data, can still turn out to track.
      if (!IS_FORBIDDEN.test(err?.message)) {
        this.#later(epoch, () => this.#prove(epoch))
        return
      }
    }
    if (epoch !== this.#epoch || !this.#link.isReady) return
    if (isProven) {
      this.#cache.trust()
      this.#heartbeat.beat()
      return
    }
    if (this.#hasWarned) return
    // Where only a connection is missing, there will be another one in a moment.
    this.#later(epoch, () => {
      this.#hasWarned = true
      warnOfNoTracking()
    })
  }

  /** Calls `fn` after a while, unless the connection has changed until then. */
  #later(epoch, fn) {
    const timer = setTimeout(() => {
      if (epoch === this.#epoch) fn()
    }, PROOF_PAUSE)
    timer.unref()
  }

  #failed(err) {
    this.#cause = err
    this.#first.reject(unavailableError(err))
  }
}

const EXPIRED = '0'

/** A lifetime as scripts take it. */
function pxOf(life) {
  if (life > LONGEST_LIFE) return ''
  return life > 0 ? String(Math.ceil(life)) : EXPIRED
}

/**
 * For how long a copy is expected to live at most, as scripts take it: give or take what the server
 * and the network need. Empty for ever.
 */
function leftOf({ expiresAt }, now) {
  return expiresAt === Infinity ? '' : String(Math.ceil(expiresAt - now) + TOLERANCE)
}

/** Bytes as the client libraries take them. */
function asArgument(body) {
  if (typeof body === 'string' || Buffer.isBuffer(body)) return body
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength)
}

function flag(value) {
  return value ? '1' : '0'
}

/** Errors of a server that may answer otherwise in a moment. */
const IS_PASSING = /^(LOADING|CLUSTERDOWN|MASTERDOWN|READONLY|TRYAGAIN|NOREPLICAS|BUSY|UNBLOCKED)\b/

/** An error that the account will always get. */
const IS_FORBIDDEN = /^NOPERM\b/

/** Whether the server has answered, and refuses the command. */
function isRefusal(err) {
  const message = String(err?.message)
  return /^[A-Z]+ /.test(message) && !IS_PASSING.test(message)
}

/** A promise with what settles it; a rejection that nobody waits for is none. */
function deferred() {
  const result = { isOver: false }
  result.promise = new Promise((resolve, reject) => {
    result.resolve = () => {
      result.isOver = true
      resolve()
    }
    result.reject = (err) => {
      result.isOver = true
      reject(err)
    }
  })
  result.promise.catch(() => {})
  return result
}

module.exports = { RedisRecords }
