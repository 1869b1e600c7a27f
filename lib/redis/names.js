'use strict'

/**
 * The keys of a store: a session has connect-redis's, prefix and sid; a tombstone one in the same
 * slot of a cluster, for scripts may only use keys of one slot.
 */

const { SLOTS, slotOf } = require('./clients/slot.js')

/** What ends the names of tombstones whose session's key has braces. */
const ENDING = ':destroyed'

class Names {
  #prefix
  /** What a hash tag begins with behind the prefix; and what it has of the prefix. */
  #brace
  #opened
  /** For each slot, a number with which a hash tag is in it. Made when the first is needed. */
  #numbers

  /** @param prefix what all keys begin with */
  constructor(prefix) {
    this.#prefix = prefix
    const start = prefix.indexOf('{')
    const isOpen = start !== -1 && !prefix.includes('}', start)
    this.#brace = isOpen ? '' : '{'
    this.#opened = isOpen ? prefix.slice(start + 1) : ''
  }

  key(sid) {
    return this.#prefix + sid
  }

  sid(key) {
    return key.slice(this.#prefix.length)
  }

  /** Where it is remembered that the session was destroyed. */
  tombstone(sid) {
    const key = this.key(sid)
    // A key with a hash tag stays in the slot of that tag.
    if (hasHashTag(key)) return key + ENDING
    // Its hash tag is the key, which itself has none.
    if (!/[{}]/.test(key) && key !== '') return `${this.#prefix}{${key}}`
    return `${this.#prefix}${this.#brace}${this.#numberIn(slotOf(key))}}${key}${ENDING}`
  }

  /** Whether a key of the store is that of a tombstone, which no session can have. */
  isTombstone(key) {
    return this.#candidates(key).some((sid) => this.tombstone(sid) === key)
  }

  /** A pattern for SCAN that matches all keys of the store. */
  get pattern() {
    return `${this.#prefix.replace(/[\\*?[\]^]/g, '\\$&')}*`
  }

  /** The sids of which a key may be the tombstone, by its form. */
  #candidates(key) {
    if (key.endsWith(ENDING)) {
      const rest = key.slice(this.#prefix.length, -ENDING.length)
      const odd = /^\{?\d+\}/.exec(rest)
      return [rest, ...(odd ? [this.sid(rest.slice(odd[0].length))] : [])]
    }
    const start = `${this.#prefix}{${this.#prefix}`
    return key.startsWith(start) && key.endsWith('}') ? [key.slice(start.length, -1)] : []
  }

  #numberIn(slot) {
    if (this.#numbers === undefined) {
      this.#numbers = new Map()
      for (let number = 0; this.#numbers.size < SLOTS; number++) {
        this.#numbers.set(slotOf(this.#opened + number), number)
      }
    }
    return this.#numbers.get(slot)
  }
}

/** Whether only a part of the key, in braces, decides about its slot. */
function hasHashTag(key) {
  const start = key.indexOf('{')
  return start !== -1 && key.indexOf('}', start) > start + 1
}

module.exports = { Names }
