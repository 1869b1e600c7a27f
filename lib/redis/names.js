'use strict'

/**
 * The keys of a store: a session has connect-redis's, prefix and sid; a tombstone one in the same
 * slot of a cluster.
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
    return hasHashTag(key) ? `${key}${TAGGED}` : `${this.#prefix}{${key}}`
  }

  /** Whether a key of the store is that of a tombstone, which no session can have. */
  isTombstone(key) {
    if (key.endsWith(TAGGED) && hasHashTag(key.slice(0, -TAGGED.length))) return true
    return key.startsWith(`${this.#prefix}{${this.#prefix}`) && key.endsWith('}')
  }

  /** A pattern for SCAN that matches all keys of the store. */
  get pattern() {
    return `${this.#prefix.replace(/[\\*?[\]^]/g, '\\$&')}*`
  }
}

const TAGGED = ':destroyed'

/** Whether only a part of the key, in braces, decides about its slot. */
function hasHashTag(key) {
  const start = key.indexOf('{')
  return start !== -1 && key.indexOf('}', start) > start + 1
}

module.exports = { Names }
