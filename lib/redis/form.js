'use strict'

/**
 * Whether the sessions of a store are text, Buffers or other bytes. The server does not say which of
 * these a value is, and there may be sessions before this process has written one.
 */

class Form {
  #serializer
  /** What makes the bytes of the server a result of the serializer. */
  #convert

  constructor(serializer) {
    this.#serializer = serializer
  }

  /** Whether what is read has to come as bytes. */
  get isBinary() {
    return this.#serializer !== JSON
  }

  /** Notes a result of the serializer. */
  note(body) {
    this.#convert ??= converterTo(body)
  }

  /** A session that was read, as the serializer had returned it. */
  read(body) {
    if (typeof body === 'string') return body
    this.#convert ??= converterTo(resultOf(this.#serializer))
    return this.#convert(body)
  }

  /** The copy in a script's reply, a session and for how long it lives; undefined if it has none. */
  copyOf(reply, readAt) {
    if (!Array.isArray(reply)) return undefined
    const [body, left] = reply
    const expiresAt = left < 0 ? Infinity : readAt + Number(left)
    return { body: this.read(body), readAt, expiresAt, cookie: undefined }
  }
}

/** What the serializer returns; a text if it cannot be asked. */
function resultOf(serializer) {
  try {
    return serializer.stringify({ cookie: {} })
  } catch {
    return ''
  }
}

/** Returns a function that makes a Buffer what `body` is: a text, a Buffer, or other bytes. */
function converterTo(body) {
  if (typeof body === 'string') return (buffer) => buffer.toString()
  return Buffer.isBuffer(body) ? (buffer) => buffer : (buffer) => new Uint8Array(buffer)
}

module.exports = { Form }
