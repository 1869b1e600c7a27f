'use strict'

/**
 * Writes of sessions to records that answer later. A session that a request has read is written only
 * in place of what is known to be stored, and merged with what other requests wrote meanwhile.
 */

const { isSameBody } = require('../body.js')
const { merged } = require('../conflict.js')
const { debug, tag } = require('../log.js')
const { monotonic } = require('./clock.js')
const { isLongestLife, sessionIn } = require('./copies.js')
const { disposesOnSet } = require('./disposal.js')
const { isFinal, MAX_ATTEMPTS, TOLERANCE } = require('./rules.js')

class Writes {
  #state
  #records
  #counters
  #turns
  #marks
  /** For each key, the writers that wait for the next turn. */
  #waiting = new Map()

  constructor({ state, records, counters, turns, marks }) {
    this.#state = state
    this.#records = records
    this.#counters = counters
    this.#turns = turns
    this.#marks = marks
  }

  /** Writes a session that nobody is known to have read. Returns what is gone by that: a Gone. */
  async writeNew(key, session, { body, ttl, lifetime }, serializer) {
    const { options, ties, isNew } = this.#state
    const readAt = monotonic()
    const mark = this.#marks.ofWrite(body, lifetime, serializer)
    const how = { isFinal: isFinal(options), wantsOld: disposesOnSet(options), mark }
    const written = await this.#records.create(key, body, ttl, how)
    if (!written.isWritten) {
      this.#noteRefusal(key)
      return { key, replaced: undefined, ended: [] }
    }
    const { old, life = ttl, ended = [] } = written
    this.#counters.sets++
    const version = { body, readAt, expiresAt: readAt + life, cookie: undefined }
    // A new session is tied from its first write on: its request may write it again.
    if (isNew(session)) ties.tieNew(session, key, body, version)
    return { key, replaced: old, ended }
  }

  /**
   * Writes a session that was read before, unless it was destroyed since. Returns what is gone by
   * that: a Gone.
   *
   * What waits for its turn is written together: all merged, in the order of the calls, in one
   * write.
   *
   * @param {Call} call on whose behalf it is
   * @param {{body: string | Uint8Array, ttl: number, lifetime: number, isMerge: boolean}} given
   *   the session as its request has it
   */
  async writeTied(call, tie, session, given, serializer) {
    const writer = { call, tie, session, given, serializer }
    await this.#join(tie.key, writer)
    if (writer.error) throw writer.error
    const replaced = disposesOnSet(this.#state.options) ? writer.replaced : undefined
    return { key: tie.key, replaced, ended: writer.ended ?? [] }
  }

  /** Resolves when the group of writers that this one belongs to has had its turn. */
  #join(key, writer) {
    const waiting = this.#waiting.get(key)
    if (waiting !== undefined) {
      waiting.writers.push(writer)
      return waiting.turn
    }
    const group = { writers: [writer], turn: undefined }
    this.#waiting.set(key, group)
    group.turn = this.#turns.run(key, (left) => {
      this.#waiting.delete(key)
      return this.#writeGroup(key, group.writers, left)
    })
    return group.turn
  }

  /** @param left the copy that the group before has left stored, if that is known */
  async #writeGroup(key, writers, left) {
    const { options } = this.#state
    const isForced = options.conflict === 'overwrite'
    let expected = (!isForced && left) || writers[0].tie.version
    for (let attempt = 1; ; attempt++) {
      const write = this.#groupWrite(writers, expected, isForced)
      if (write === undefined) return undefined
      const readAt = monotonic()
      const { alive, body, ttl, lifetime, isMerge } = write
      const [{ tie, session, serializer }] = alive
      const stored = await this.#records.write(key, expected, body, ttl, {
        readAt: Math.min(...alive.map((writer) => writer.tie.version.readAt)),
        isOthers: alive.length > 1 || expected !== tie.version,
        isForced: isForced || attempt === MAX_ATTEMPTS,
        isFinal: isFinal(options),
        isLongest: alive.length === 1 && !isMerge && isLongestLife(session, ttl, options),
        mark: this.#marks.ofWrite(body, lifetime, serializer),
      })
      if (stored === true || stored.isDone) {
        const { life = ttl, ended = [] } = stored
        const copy = { body, readAt, expiresAt: readAt + life, cookie: undefined }
        alive[0].ended = ended
        this.#noteWritten(key, alive, copy, expected)
        return copy
      }
      // It may have been destroyed for some of them only: those that have read it before.
      if (stored === false && alive.length > 1) return this.#writeEach(key, alive)
      if (stored === false) return this.#noteRefusal(key)
      expected = stored
    }
  }

  async #writeEach(key, writers) {
    let left
    for (const writer of writers) left = await this.#writeGroup(key, [writer], left)
    return left
  }

  /**
   * What is to be stored for all writers in place of `stored`, and which of them that are: those
   * whose callers still wait, and whose sessions can be merged. Undefined if there are none.
   */
  #groupWrite(writers, stored, isForced) {
    let last = stored
    const alive = []
    // A session may be written twice: then it is compared with what it was written as before.
    const bases = new Map()
    for (const writer of writers) {
      if (writer.error || writer.call.isOver) continue
      const { tie, given } = writer
      const base = bases.get(tie) ?? { body: tie.body, expiresAt: tie.version.expiresAt }
      try {
        writer.write = isForced ? given : this.#mergedWith(last, writer, base)
      } catch (err) {
        writer.error = err
        continue
      }
      const { body, ttl } = writer.write
      last = { body, expiresAt: monotonic() + ttl }
      bases.set(tie, { body: given.body, expiresAt: last.expiresAt })
      alive.push(writer)
    }
    return alive.length === 0 ? undefined : { alive, ...alive.at(-1).write }
  }

  #noteWritten(key, writers, copy, expected) {
    writers[0].replaced = expected.body
    for (const { tie, given, write } of writers) {
      this.#counters.sets++
      if (write.isMerge) this.#noteMerge(key)
      this.#state.ties.noteWritten(tie, given.body, copy, isSameBody(given.body, copy.body))
    }
  }

  /** What to write if `stored` is what is stored, and the session was made of `base`. */
  #mergedWith(stored, { session, given, serializer }, base) {
    const isRenewed = stored.expiresAt > base.expiresAt + TOLERANCE
    const isSame = isSameBody(stored.body, base.body) && !isRenewed
    if (isSame || stored.body === '') return given
    const { options } = this.#state
    const theirs = sessionIn(stored, serializer, options)
    const life = stored.expiresAt - monotonic()
    const write = merged(options, serializer, base.body, session, given, theirs, life)
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

module.exports = { Writes }
