'use strict'

/** Values made from a number alone: the same in every process, with nothing that repeats. */

module.exports = { mix, hex, base64url }

/** Spreads the bits of a 32-bit number; no two numbers give the same. */
function mix(number) {
  let h = number | 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** The four digits of each 16-bit number: a table, because millions of sessions are made. */
const DIGITS = Array.from({ length: 65536 }, (_, n) => n.toString(16).padStart(4, '0'))

/** The eight hexadecimal digits of a 32-bit number. */
function hex(number) {
  return DIGITS[number >>> 16] + DIGITS[number & 0xffff]
}

const buffers = new Map()

/** `length` bytes as base64url; a new string at each call. */
function base64url(number, length) {
  if (!buffers.has(length)) buffers.set(length, Buffer.alloc(length + 3))
  const bytes = buffers.get(length)
  for (let at = 0; at < length; at += 4) {
    bytes.writeUInt32LE(mix(number + Math.imul(at / 4, 0x9e3779b9)), at)
  }
  return bytes.toString('base64url', 0, length)
}
