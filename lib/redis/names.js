'use strict'

/**
 * The keys of a store: a session has connect-redis's, prefix and sid; its tombstone and its entry
 * have others in the same slot of a cluster. Scripts make the same names; see index-lua.js.
 */

class Names {
  #prefix

  /** @param prefix what all keys begin with */
  constructor(prefix) {
    this.#prefix = prefix
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
    return hasHashTag(key) ? `${key}${TAGGED}` : this.#reserved(key)
  }

  /** Where it is noted whose the session is, in its slot. */
  entry(sid) {
    const key = this.key(sid)
    return `${hasHashTag(key) ? key : this.#reserved(key)}${ENTRY}`
  }

  /** Where the sessions of a user are listed, whose hash this is. */
  set(owner) {
    return `${this.#reserved(this.key(owner))}${USER}`
  }

  /** Whether a key of the store is not that of a session: no session can have it. */
  isReserved(key) {
    for (const ending of [TAGGED, ENTRY]) {
      if (key.endsWith(ending) && hasHashTag(key.slice(0, -ending.length))) return true
    }
    if (!key.startsWith(`${this.#prefix}{${this.#prefix}`)) return false
    return key.endsWith('}') || key.endsWith(`}${USER}`)
  }

  /** Whether all keys of the store are in one slot of a cluster. */
  get isOneSlot() {
    return hasHashTag(this.#prefix)
  }

  #reserved(key) {
    return `${this.#prefix}{${key}}`
  }

  /** A pattern for SCAN that matches all keys of the store. */
  get pattern() {
    return `${this.#prefix.replace(/[\\*?[\]^]/g, '\\$&')}*`
  }
}

const TAGGED = ':destroyed'
const ENTRY = ':entry'
const USER = ':user'

/** Whether only a part of the key, in braces, decides about its slot. */
function hasHashTag(key) {
  const start = key.indexOf('{')
  return start !== -1 && key.indexOf('}', start) > start + 1
}

module.exports = { Names }
