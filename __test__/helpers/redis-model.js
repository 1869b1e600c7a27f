'use strict'

/**
 * What may be stored after events that overlapped, of which some got no answer. Each event has the
 * moments `start` and `end`; the end is undefined where it is not known whether and when it was
 * done. The kinds:
 * - `create`: a session that nobody had read, of which `id` is the name, was written
 * - `destroy`, with `isForeign` if it was by connect-redis
 * - `add`: a session was read as `base`, between `readStart` and `readEnd`, and written with `key`
 * - `rewrite`: a session was read after `readStart`, and written whatever others had written
 * - `flush`: everything was removed
 */

class Model {
  #isFinal
  #bySid = new Map()
  #flushes = []

  /** @param isFinal whether a session that was destroyed can never be created again */
  constructor(isFinal) {
    this.#isFinal = isFinal
  }

  note(events) {
    for (const event of events) {
      if (event.kind === 'flush') this.#flushes.push(event)
      else if (this.#bySid.has(event.sid)) this.#bySid.get(event.sid).push(event)
      else this.#bySid.set(event.sid, [event])
    }
  }

  /** Notes that nothing is under way at the moment `now`: what had no answer is done or not. */
  settle(now) {
    for (const events of [this.#flushes, ...this.#bySid.values()]) {
      for (const event of events) {
        if (event.end !== undefined) continue
        event.end = now
        event.isUnknown = true
      }
    }
  }

  /** What is wrong with `session`, which is what is stored; it is undefined where there is none. */
  faults(sid, session) {
    const events = [...(this.#bySid.get(sid) ?? []), ...this.#flushes]
    const of = (kind) => events.filter((event) => event.kind === kind)
    const ends = [...of('destroy'), ...of('flush')]
    const [creates, adds, rewrites] = [of('create'), of('add'), of('rewrite')]
    return [
      ...this.#lost(session, { creates, adds, rewrites, ends }),
      ...undone(session, { creates, adds, rewrites, ends }),
    ]
  }

  /** The events of a sid, as lines, in milliseconds since the first one. */
  history(sid) {
    const events = [...(this.#bySid.get(sid) ?? []), ...this.#flushes]
    const first = Math.min(...events.map(({ start }) => start))
    const since = (time) => (time - first).toFixed(3)
    const line = ({ kind, start, end, isUnknown, readStart = start, base = '', ...event }) =>
      `${since(readStart)} ${since(start)} ${since(end)}${isUnknown ? '?' : ''} ${kind} ${event.id ?? event.key ?? ''} ${base}`
    return events.sort((one, other) => one.start - other.start).map(line)
  }

  #lost(session, { creates, adds, rewrites, ends }) {
    const last = creates.find((create) => {
      const isLater = (event) => event !== create && event.end >= create.start
      if (create.isUnknown || [...creates, ...ends].some(isLater)) return false
      if (rewrites.some((event) => overlap(event.readStart, event.end, create))) return false
      return !this.#isFinal || ends.length === 0
    })
    if (last === undefined) return []
    if (session?.origin !== last.id) return [`lost: the session ${last.id}`]
    const kept = adds.filter(({ base, isUnknown, readStart, end }) => {
      if (base !== last.id || isUnknown) return false
      const add = { start: readStart, end }
      return !rewrites.some((event) => overlap(event.readStart, event.end, add))
    })
    return kept.filter(({ key }) => !(key in session)).map(({ key }) => `lost: ${key}`)
  }
}

/** What is there although a logout had come in between. */
function undone(session, { creates, adds, rewrites, ends }) {
  if (session === undefined) return []
  const faults = []
  const create = creates.find(({ id }) => id === session.origin)
  for (const end of ends) {
    // connect-redis compares nothing.
    if (rewrites.some((event) => overlap(event.readStart, event.end, end))) continue
    if (end.isUnknown) continue
    if (create.end < end.start) faults.push(`undone: the session ${session.origin} is back`)
    // Nothing remembers that this session was destroyed: connect-redis does not, and FLUSHALL
    // removes that too. As long as the session is not created anew, its absence tells.
    if (end.isForeign) continue
    if (ends.some(({ kind, end: flushed }) => kind === 'flush' && flushed >= end.start)) continue
    for (const add of adds) {
      if (!(add.key in session) || add.isUnknown) continue
      // The age of a read is measured when the write is sent, not when it arrives.
      const way = add.end - add.start
      if (add.readEnd + way < end.start) faults.push(`undone: ${add.key} is in ${session.origin}`)
    }
  }
  return faults
}

function overlap(start, end, other) {
  return start <= other.end && other.start <= end
}

module.exports = { Model }
