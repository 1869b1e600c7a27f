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
const { disposesOnSet } = require('./disposal.js')

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
  #marks

  constructor({ state, records, counters, turns, marks }) {
    this.#state = state
    this.#records = records
    this.#counters = counters
    this.#turns = turns
    this.#marks = marks
  }

  /**
   * Writes a session that nobody is known to have read. Returns the sids and bodies of what it has
   * ended and replaced, if that is to be disposed of.
   */
  async writeNew(key, session, { body, ttl, lifetime }, serializer) {
    const { options, ties, isNew } = this.#state
    const readAt = monotonic()
    const mark = this.#marks.ofWrite(body, lifetime, serializer)
    const how = { isFinal: isFinal(options), wantsOld: disposesOnSet(options), mark }
    const written = await this.#records.create(key, body, ttl, how)
    if (!written.isWritten) {
      this.#noteRefusal(key)
      return []
    }
    const { old, life = ttl, ended = [] } = written
    this.#counters.sets++
    const version = { body, readAt, expiresAt: readAt + life, cookie: undefined }
    // A new session is tied from its first write on: its request may write it again.
    if (isNew(session)) ties.tieNew(session, key, body, version)
    return [...ended, [key, old]]
  }

  /**
   * Writes a session that was read before, unless it was destroyed since. Returns as `writeNew`.
   *
   * @param {Call} call on whose behalf it is
   * @param {{body: string | Uint8Array, ttl: number, lifetime: number, isMerge: boolean}} given
   *   the session as its request has it
   */
  async writeTied(call, tie, session, given, serializer) {
    let gone = []
    const isForced = this.#state.options.conflict === 'overwrite'
    const mergedWith = (stored) => this.#mergedWith(stored, tie, session, given, serializer)
    await this.#turns.run(tie.key, async (left) => {
      // Other requests of this process may have waited for their turns, and written, meanwhile.
      const expected = (!isForced && left) || tie.version
      const write = isForced ? given : mergedWith(expected)
      const how = { isForced, mergedWith, serializer }
      const written = await this.#write(call, tie, expected, write, how)
      if (written === undefined) return this.#noteRefusal(tie.key)
      this.#counters.sets++
      if (written.isMerge) this.#noteMerge(tie.key)
      this.#state.ties.noteWritten(tie, given.body, written.copy, !written.isMerge)
      gone = [...written.ended, [tie.key, written.replaced]]
      return written.copy
    })
    return gone
  }

  /**
   * Writes until what is stored is what the write was made for. Returns the copy that is stored
   * then, which body it `replaced`, if that is to be disposed of, and what was `ended` for it;
   * undefined if the session was destroyed.
   */
  async #write(call, { key, version }, expected, write, { isForced, mergedWith, serializer }) {
    for (let attempt = 1; !call.isOver; attempt++) {
      const { body, ttl, lifetime, isMerge } = write
      const readAt = monotonic()
      const answer = await this.#records.write(key, expected, body, ttl, {
        readAt: version.readAt,
        isOthers: expected !== version,
        isForced: isForced || attempt === MAX_ATTEMPTS,
        isFinal: isFinal(this.#state.options),
        mark: this.#marks.ofWrite(body, lifetime, serializer),
      })
      if (answer === false) return undefined
      if (answer === true || answer.isDone) {
        const { life = ttl, ended = [] } = answer
        const copy = { body, readAt, expiresAt: readAt + life, cookie: undefined }
        const replaced = disposesOnSet(this.#state.options) ? expected.body : undefined
        return { copy, replaced, ended, isMerge }
      }
      expected = answer
      write = mergedWith(answer)
    }
    throw new Error('its caller waits no longer')
  }

  /** What to write if `stored` is what is stored. */
  #mergedWith(stored, tie, session, given, serializer) {
    const isRenewed = stored.expiresAt > tie.version.expiresAt + TOLERANCE
    const isSame = isSameBody(stored.body, tie.body) && !isRenewed
    if (isSame || stored.body.length === 0) return given
    const { options } = this.#state
    const theirs = sessionIn(stored, serializer, options)
    const life = stored.expiresAt - monotonic()
    const write = merged(options, serializer, tie.body, session, given, theirs, life)
    return write ? { ...write, lifetime: given.lifetime } : given
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

/** Whether a destroyed sid refuses all writes for a while. */
function isFinal({ destroyed }) {
  return destroyed === 'final'
}

module.exports = { isFinal, MAX_ATTEMPTS, Writes }
