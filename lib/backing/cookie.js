'use strict'

/**
 * The cookie of a session that is given to another store. Some stores ask it for `maxAge`, some for
 * `expires`, some for `originalMaxAge`, and they expect what a Cookie of express-session answers.
 */

const { isDate } = require('node:util/types')

class StoredCookie {
  /** @param members as they were stored; they stay as they are, and in their order */
  constructor(members) {
    for (const [name, value] of Object.entries(members)) {
      // A member may have the name of an accessor.
      Object.defineProperty(this, name, {
        value: name === 'expires' ? dateOf(value) : value,
        configurable: true,
        enumerable: true,
        writable: true,
      })
    }
  }

  get maxAge() {
    return isDate(this.expires) ? this.expires.getTime() - Date.now() : this.expires
  }

  set maxAge(milliseconds) {
    this.expires = new Date(Date.now() + milliseconds)
  }

  get data() {
    return { ...this }
  }

  toJSON() {
    return { ...this }
  }
}

/** A time as a Date, if it was one before it became JSON. */
function dateOf(value) {
  if (typeof value !== 'string') return value
  const date = new Date(value)
  return Number.isNaN(date.getTime()) || date.toISOString() !== value ? value : date
}

module.exports = { StoredCookie, dateOf }
