'use strict'

/**
 * Writes of sessions to records that answer later. A session that a request has read is written only
 * in place of what is known to be stored, and merged with what other requests wrote meanwhile.
 */

const { isSameBody } = require('../body.js')
const { merged } = require('../conflict.js')
const { debug, tag } = require('../log.js')
const { monotonic } = require('./clock.js')
const { sessionIn, TOLERANCE } = require('./copies.js')

/**
 * After so many attempts, each beaten by another write, what is stored is overwritten. No realistic
 * number of processes causes this, but a server that gives back other text than it was given would
 * make the loop endless.
 */
const MAX_ATTEMPTS = 100

class Writes {
  #state
  #records
  #counters
  #turns

  constructor({ state, records, counters, turns }) {
    this.#state = state
    this.#records = records
    this.#counters = counters
    this.#turns = turns
  }

  /**
   * Writes a session that nobody is known to have read. Returns what it has replaced, if that is to
   * be disposed of.
   */
  async writeNew(key, session, { body, ttl }) {
    const { options, ties, isNew } = this.#state
    const readAt = monotonic()
    const how = { isFinal: isFinal(options), wantsOld: disposesOnSet(options) }
    const { isWritten, old } = await this.#records.create(key, body, ttl, how)
    if (!isWritten) return this.#noteRefusal(key)
    this.#counters.sets++
    const version = { body, readAt, expiresAt: readAt + ttl, cookie: undefined }
    // A new session is tied from its first write on: its request may write it again.
    if (isNew(session)) ties.tieNew(session, key, body, version)
    return old
  }

  /**
   * Writes a session that was read before, unless it was destroyed since. Returns what it has
   * replaced, if that is to be disposed of.
   *
   * @param {Call} call on whose behalf it is
   * @param {{body: string | Uint8Array, ttl: number, isMerge: boolean}} given the session as its
   *   request has it
   */
  async writeTied(call, tie, session, given, serializer) {
    let replaced
    const isForced = this.#state.options.conflict === 'overwrite'
    const mergedWith = (stored) => this.#mergedWith(stored, tie, session, given, serializer)
    await this.#turns.run(tie.key, async (left) => {
      // Other requests of this process may have waited for their turns, and written, meanwhile.
      const expected = (!isForced && left) || tie.version
      const write = isForced ? given : mergedWith(expected)
      const written = await this.#write(call, tie, expected, write, { isForced, mergedWith })
      if (written === undefined) return this.#noteRefusal(tie.key)
      this.#counters.sets++
      if (written.isMerge) this.#noteMerge(tie.key)
      this.#state.ties.noteWritten(tie, given.body, written.copy, !written.isMerge)
      replaced = written.replaced
      return written.copy
    })
    return disposesOnSet(this.#state.options) ? replaced?.body : undefined
  }

  /**
   * Writes until what is stored is what the write was made for. Returns the copy that is stored
   * then, and which it `replaced`; undefined if the session was destroyed.
   */
  async #write(call, { key, version }, expected, write, { isForced, mergedWith }) {
    for (let attempt = 1; !call.isOver; attempt++) {
      const { body, ttl, isMerge } = write
      const readAt = monotonic()
      const stored = await this.#records.write(key, expected, body, ttl, {
        readAt: version.readAt,
        isOthers: expected !== version,
        isForced: isForced || attempt === MAX_ATTEMPTS,
        isFinal: isFinal(this.#state.options),
      })
      if (stored === false) return undefined
      if (stored === true) {
        const copy = { body, readAt, expiresAt: readAt + ttl, cookie: undefined }
        return { copy, replaced: expected, isMerge }
      }
      expected = stored
      write = mergedWith(stored)
    }
    throw new Error('its caller waits no longer')
  }

  /** What to write if `stored` is what is stored. */
  #mergedWith(stored, tie, session, given, serializer) {
    const isRenewed = stored.expiresAt > tie.version.expiresAt + TOLERANCE
    const isSame = isSameBody(stored.body, tie.body) && !isRenewed
    if (isSame || stored.body === '') return given
    const { options } = this.#state
    const theirs = sessionIn(stored, serializer, options)
    const life = stored.expiresAt - monotonic()
    return merged(options, serializer, tie.body, session, given, theirs, life) ?? given
  }

  #noteRefusal(key) {
    this.#counters.refusedWrites++
    if (debug.enabled) debug('REFUSED %s: it was destroyed', tag(key))
    return undefined
  }

  #noteMerge(key) {
    this.#counters.merges++
    if (debug.enabled) debug('MERGE %s', tag(key))
  }
}

/** Whether `dispose` is called for what a `set` or `touch` overwrites. */
function disposesOnSet({ dispose, noDisposeOnSet }) {
  return Boolean(dispose) && !noDisposeOnSet
}

/** Whether a destroyed sid refuses all writes for a while. */
function isFinal({ destroyed }) {
  return destroyed === 'final'
}

module.exports = { disposesOnSet, isFinal, MAX_ATTEMPTS, Writes }
