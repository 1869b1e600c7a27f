'use strict'

/**
 * Whether the sessions of a store are text or bytes. The server does not say which of the two a
 * value is, and there may be sessions before this process has written one.
 */

class Form {
  #serializer
  #isText

  constructor(serializer) {
    this.#serializer = serializer
  }

  /** Whether what is read has to come as bytes. */
  get isBinary() {
    return this.#serializer !== JSON
  }

  /** Notes a result of the serializer. */
  note(body) {
    this.#isText ??= typeof body === 'string'
  }

  /** A session that was read, as the serializer had returned it. */
  read(body) {
    if (typeof body === 'string') return body
    this.#isText ??= givesText(this.#serializer)
    return this.#isText ? body.toString() : body
  }

  /** The copy in a script's reply, a session and for how long it lives; undefined if it has none. */
  copyOf(reply, readAt) {
    if (!Array.isArray(reply)) return undefined
    const [body, left] = reply
    const expiresAt = left < 0 ? Infinity : readAt + Number(left)
    return { body: this.read(body), readAt, expiresAt, cookie: undefined }
  }
}

function givesText(serializer) {
  try {
    return typeof serializer.stringify({ cookie: {} }) === 'string'
  } catch {
    return true
  }
}

module.exports = { Form }
