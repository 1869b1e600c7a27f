'use strict'

/**
 * The near-cache of a store on a backing. Nobody tells of changes, so a copy is served for so long
 * after it was read or written, and no longer; what this process itself changes is known at once.
 */

const { NearCache } = require('../remote/near-cache.js')
const { monotonic } = require('../remote/clock.js')

/** The kinds of a body. */
const [TEXT, BUFFER, BYTES] = ['t', 'b', 'u']

const END_OF_HEADER = '\n'

class Copies {
  #cache
  #maxStale
  #staleIfError

  constructor({ limits, maxStale, staleIfError }) {
    this.#cache = new NearCache(limits, true)
    this.#maxStale = maxStale
    this.#staleIfError = staleIfError
    if (maxStale + staleIfError > 0) this.#cache.trust()
  }

  /** The copy of a session that may be served; undefined if the other store has to be asked. */
  fresh(sid) {
    const copy = this.#maxStale === 0 ? undefined : this.#copyOf(sid)
    return copy !== undefined && monotonic() < copy.readAt + this.#maxStale ? copy : undefined
  }

  /** The copy that may be served if the other store fails. */
  stale(sid) {
    return this.#staleIfError === 0 ? undefined : this.#copyOf(sid)
  }

  beginRead(sid) {
    return this.#cache.beginRead(sid)
  }

  /** Keeps what a read has brought, unless this process has changed the session meanwhile. */
  endRead(ticket, copy) {
    this.#cache.endRead(ticket, ...this.#kept(copy))
  }

  /** Notes that a change is being sent. Those of one session are sent one after the other. */
  beginChange(sid) {
    return this.#cache.beginChange(sid)
  }

  /** Notes that it was answered: `copy` is stored now, or nothing that is known. */
  endChange(ticket, copy) {
    // Reads that were sent meanwhile may have found what was there before.
    this.#cache.invalidate(ticket.sid)
    this.#cache.endChange(ticket, ...this.#kept(copy))
  }

  drop(sid) {
    this.#cache.drop(sid)
  }

  clear() {
    this.#cache.clear()
  }

  prune() {
    this.#cache.prune()
  }

  stats() {
    return this.#cache.stats()
  }

  close() {
    this.#cache.close()
  }

  #copyOf(sid) {
    const kept = this.#cache.get(sid)
    return kept && unpacked(kept.body)
  }

  /** What the cache is to keep of a copy, and for how long. */
  #kept(copy) {
    if (copy === undefined) return [undefined, 0]
    const until = Math.min(copy.expiresAt, copy.readAt + this.#maxStale + this.#staleIfError)
    return [packed(copy), until - monotonic()]
  }
}

/** A copy as one body, with its moments before its own. */
function packed({ body, readAt, expiresAt }) {
  const moments = `${readAt} ${expiresAt}${END_OF_HEADER}`
  if (typeof body === 'string') return TEXT + moments + body
  const kind = Buffer.isBuffer(body) ? BUFFER : BYTES
  return Buffer.concat([Buffer.from(kind + moments), body])
}

function unpacked(data) {
  const start = data.indexOf(END_OF_HEADER) + 1
  const header = data.slice(0, start).toString()
  const [readAt, expiresAt] = header.slice(1).split(' ').map(Number)
  const body = data.slice(start)
  const isBytes = header.startsWith(BYTES)
  return {
    body: isBytes ? new Uint8Array(body.buffer, body.byteOffset, body.length) : body,
    readAt,
    expiresAt,
    cookie: undefined,
  }
}

module.exports = { Copies }
