'use strict'

/**
 * The keys of a store: a session has connect-redis's, prefix and sid; its tombstone and its entry
 * have others in the same slot of a cluster, for scripts may only use keys of one slot. Scripts make
 * the same names; see index-lua.js.
 */

const { SLOTS, slotOf } = require('./clients/slot.js')

/** What ends the names of tombstones whose session's key has braces, of entries, and of sets. */
const [DESTROYED, ENTRY, USER] = [':destroyed', ':entry', ':user']

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
    return this.#beside(sid, '', DESTROYED)
  }

  /** Where it is noted whose the session is. */
  entry(sid) {
    return this.#beside(sid, ENTRY, ENTRY)
  }

  /** Where the sessions of a user are listed, whose hash this is. */
  set(owner) {
    return `${this.#prefix}{${this.key(owner)}}${USER}`
  }

  /** Whether a key of the store is not that of a session, nor can be. */
  isReserved(key) {
    const isTombstone = (sid) => this.tombstone(sid) === key
    const isEntry = (sid) => this.entry(sid) === key
    if (this.#candidates(key, '', DESTROYED).some(isTombstone)) return true
    if (this.#candidates(key, ENTRY, ENTRY).some(isEntry)) return true
    return key.endsWith(`}${USER}`) && key.startsWith(this.#start)
  }

  /** Whether all keys of the store are in one slot of a cluster. */
  get isOneSlot() {
    return hasHashTag(this.#prefix)
  }

  /** A pattern for SCAN that matches all keys of the store. */
  get pattern() {
    return `${this.#prefix.replace(/[\\*?[\]^]/g, '\\$&')}*`
  }

  /** What the names begin with whose hash tag is a key of the store. */
  get #start() {
    return `${this.#prefix}{${this.#prefix}`
  }

  /**
   * A key in the slot of a session's.
   *
   * @param plain what ends it if its hash tag is the session's key
   * @param ending what ends it otherwise
   */
  #beside(sid, plain, ending) {
    const key = this.key(sid)
    // A key with a hash tag stays in the slot of that tag.
    if (hasHashTag(key)) return key + ending
    // Its hash tag is the key, which itself has none.
    if (!/[{}]/.test(key) && key !== '') return `${this.#prefix}{${key}}${plain}`
    return `${this.#prefix}${this.#brace}${this.#numberIn(slotOf(key))}}${key}${ending}`
  }

  /** The sids that a key may be beside, by its form. */
  #candidates(key, plain, ending) {
    const sids = []
    if (key.endsWith(ending)) {
      const rest = key.slice(this.#prefix.length, -ending.length)
      const odd = /^\{?\d+\}/.exec(rest)
      sids.push(rest, ...(odd ? [this.sid(rest.slice(odd[0].length))] : []))
    }
    const end = `}${plain}`
    if (key.endsWith(end) && key.startsWith(this.#start)) {
      sids.push(key.slice(this.#start.length, -end.length))
    }
    return sids
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
