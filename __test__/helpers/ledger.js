'use strict'

/**
 * What a process that is going to be killed writes, so that another one can tell afterwards what
 * has to be there: its n-th operation is always the same, and the process tells the number of each
 * that the store has acknowledged.
 */

const Cookie = require('express-session/session/cookie')

/** How many sessions a writer has. */
const SESSIONS = 12

/** The session in which all writers have a key of their own. */
const BOARD = 'board'

const HOUR = 3600_000
const FAR = Date.parse('2099-01-01T00:00:00.000Z')

/** The n-th operation of a writer. */
function operation(writer, n) {
  const sid = `${writer}:${(n * 7) % SESSIONS}`
  if (n % 16 === 5) return { kind: 'note', sid: BOARD }
  if (n % 8 === 3) return { kind: 'touch', sid }
  if (n % 11 === 10) return { kind: 'destroy', sid }
  return { kind: 'set', sid }
}

/** The session that operation `n` wrote, with the cookie of operation `touched`. */
function sessionOf(writer, n, touched = n) {
  const cookie = new Cookie({ expires: new Date(FAR + touched * 1000) })
  cookie.originalMaxAge = HOUR
  // Most fit into a page of the file, some take pages of their own, a few take many.
  const length = n % 97 === 0 ? 60_000 : n % 9 === 0 ? 5000 : (n * 37) % 1500
  return { cookie, writer, n, filler: fillerOf(writer, n, length), length }
}

/** Text that is no other session's. */
function fillerOf(writer, n, length) {
  const unit = `${writer}/${n}|`
  return unit.repeat(Math.ceil(length / unit.length)).slice(0, length)
}

/** Whether a session is one that a writer wrote, from its first to its last byte. */
function isWhole(session) {
  const { writer, n, length, filler } = session
  return typeof writer === 'string' && filler === fillerOf(writer, n, length)
}

/** What the sessions of a writer are after the operations that it told of. */
class Ledger {
  #writer
  #sessions = new Map()
  /** How many operations were told of. */
  count = 0
  /** The last of them that wrote to the board; -1 where there is none. */
  noted = -1

  constructor(writer) {
    this.#writer = writer
  }

  /** Notes that the writer has told of operations up to the n-th. */
  advance(n) {
    for (; this.count <= n; this.count++) {
      const { kind, sid } = operation(this.#writer, this.count)
      if (kind === 'note') this.noted = this.count
      else this.#sessions.set(sid, after(this.#sessions.get(sid), kind, this.count))
    }
  }

  /** The sids of the writer. */
  get sids() {
    return Array.from({ length: SESSIONS }, (_, i) => `${this.#writer}:${i}`)
  }

  /**
   * The sessions, as JSON, that may be stored for a sid; undefined stands for none. There are two
   * where the operation that was under way at the end changes it: it may have been done or not.
   */
  allowed(sid) {
    const state = this.#sessions.get(sid)
    const next = operation(this.#writer, this.count)
    const states = next.sid === sid ? [state, after(state, next.kind, this.count)] : [state]
    return states.map(
      (state) => state && JSON.stringify(sessionOf(this.#writer, state.n, state.touched)),
    )
  }

  /** Whether `n` may be what the board has for the writer; `undefined` is nothing. */
  allowsNote(n) {
    const isNext = n === this.count && operation(this.#writer, n).kind === 'note'
    return isNext || n === (this.noted < 0 ? undefined : this.noted)
  }
}

/** What an operation makes of a session. */
function after(state, kind, n) {
  if (kind === 'set') return { n, touched: n }
  if (kind === 'touch') return state && { ...state, touched: n }
  return undefined
}

module.exports = { BOARD, Ledger, isWhole, operation, sessionOf }
