'use strict'

/**
 * The near-cache: copies of sessions that this process has read, outside the V8 heap, each for as
 * long as the server would tell that it changed.
 *
 * It owns the rules by which a copy is kept and dropped. It sends nothing. What was read is kept
 * only if no invalidation of its key came since the read was sent; what was written, only if exactly
 * one came, which is the write's own. Absence is not cached.
 */

const { clearInterval, setImmediate, setInterval } = require('../real.js')
const { bodyKind, toSerialized } = require('../body.js')
const { createStore } = require('../native/addon.js')
const { readStats } = require('../native/stats.js')
const { monotonic } = require('./clock.js')

/** No copy is kept for longer than this, in milliseconds, whatever the server told of it. */
const MAX_AGE = 5 * 60 * 1000

/**
 * A read or a write under way.
 *
 * @typedef {object} Ticket
 * @property {string} sid
 * @property {number} invalidations of its key that came since it was sent
 * @property {boolean} isBeaten whether what it brings is not to be kept in any case
 */

class NearCache {
  invalidations = 0
  #native = {}
  /** The tickets of each sid. */
  #tickets = new Map()
  #isTrusted = false
  #trustedUntil = -Infinity
  #isOrdered
  #sweep

  /**
   * @param limits `max` and `maxBytes`, as the native store takes them
   * @param isOrdered whether replies and invalidations arrive in the server's order
   */
  constructor(limits, isOrdered) {
    createStore(this.#native, {
      ...limits,
      stale: false,
      dispose: false,
      noDisposeOnSet: true,
      isFinal: false,
      touchAfter: 0,
      mapSize: 0,
    })
    this.#isOrdered = isOrdered
    this.#sweep = setInterval(() => this.clear(), MAX_AGE)
    this.#sweep.unref()
  }

  /** From here on what is read is kept: the server is known to tell of changes. */
  trust() {
    this.clear()
    this.#isTrusted = true
  }

  /** From here on nothing is kept, and what was kept is served as stale only. */
  distrust() {
    if (this.#isTrusted) this.#trustedUntil = monotonic()
    this.#isTrusted = false
    this.#beatAll()
  }

  /** The copy of a session; undefined if there is none. */
  get(sid) {
    return this.#isTrusted ? this.#read(sid) : undefined
  }

  /** Whether there is a copy of a session. It does not count as used. */
  has(sid) {
    return this.#isTrusted && this.#native.isAlive(sid, Math.floor(monotonic()))
  }

  /** As get, also if the server may have changed it up to `age` milliseconds ago. */
  getStale(sid, age) {
    const isRecent = this.#isTrusted || monotonic() - this.#trustedUntil <= age
    return isRecent ? this.#read(sid) : undefined
  }

  /** Notes that a read is being sent. */
  beginRead(sid) {
    return this.#begin(sid)
  }

  /** Keeps what a read has brought, unless it may have changed since. */
  endRead(ticket, body, life) {
    this.#end(ticket)
    if (!ticket.isBeaten && ticket.invalidations === 0) this.#keep(ticket.sid, body, life)
  }

  /** Notes that a write is being sent: the copy goes, and so does what reads under way bring. */
  beginChange(sid) {
    this.drop(sid)
    return this.#begin(sid)
  }

  /**
   * Notes that a write was answered. What is stored now, `body`, is kept if the server tells of
   * nothing but this write. Without a body, nothing is known to be stored.
   */
  endChange(ticket, body, life) {
    const canKeep = body !== undefined && this.#isOrdered && !ticket.isBeaten
    if (!canKeep || ticket.invalidations > 1) return this.#finishChange(ticket)
    if (ticket.invalidations === 1) return this.#finishChange(ticket, body, life)
    // The invalidation comes right behind the answer, but maybe in the next chunk of data.
    setImmediate(() => {
      const isOwn = ticket.invalidations === 1 && !ticket.isBeaten
      this.#finishChange(ticket, isOwn ? body : undefined, life)
    })
  }

  /** Notes that the server tells of a change. */
  invalidate(sid) {
    this.invalidations++
    this.#remove(sid)
    for (const ticket of this.#tickets.get(sid) ?? []) ticket.invalidations++
  }

  drop(sid) {
    this.#remove(sid)
    for (const ticket of this.#tickets.get(sid) ?? []) ticket.isBeaten = true
  }

  clear() {
    this.#native.clear(0)
    this.#beatAll()
  }

  /** Removes what has expired. */
  prune() {
    this.#native.prune(Math.floor(monotonic()))
  }

  stats() {
    return readStats(this.#native)
  }

  close() {
    clearInterval(this.#sweep)
    this.#isTrusted = false
    this.#native.close(0)
  }

  #begin(sid) {
    const ticket = { sid, invalidations: 0, isBeaten: !this.#isTrusted }
    const tickets = this.#tickets.get(sid)
    if (tickets) tickets.add(ticket)
    else this.#tickets.set(sid, new Set([ticket]))
    return ticket
  }

  #end(ticket) {
    const tickets = this.#tickets.get(ticket.sid)
    if (!tickets.delete(ticket)) return
    if (tickets.size === 0) this.#tickets.delete(ticket.sid)
  }

  #finishChange(ticket, body, life) {
    this.#end(ticket)
    // Otherwise a later write of this process knows better.
    if (ticket.isBeaten) return
    this.drop(ticket.sid)
    if (body !== undefined) this.#keep(ticket.sid, body, life)
  }

  #beatAll() {
    for (const tickets of this.#tickets.values()) {
      for (const ticket of tickets) ticket.isBeaten = true
    }
  }

  #read(sid) {
    const body = this.#native.get(sid, Math.floor(monotonic()))
    return body && { body: toSerialized(body), expiresAt: this.#native.expires() }
  }

  #keep(sid, body, life) {
    if (!this.#isTrusted || life <= 0) return
    // As text of any serializer, so that it comes back to the byte. One that does not fit is not
    // kept, and that is all.
    this.#native.set(sid, body, Math.floor(monotonic()), life, bodyKind(undefined, body))
  }

  #remove(sid) {
    this.#native.drop(sid)
  }
}

module.exports = { NearCache }
