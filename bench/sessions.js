'use strict'

/**
 * The sessions that every store is given: realistic JSON of an exact length, each one distinct,
 * and made from its number alone, so that nobody has to keep millions of them to compare with.
 */

const { createHmac } = require('node:crypto')
const { Cookie } = require('express-session')

const ONE_DAY = 86400000

module.exports = { sessionMaker, sidOf, cookieOf, ONE_DAY }

/** Spreads the bits of a 32-bit number; no two numbers give the same. */
function mix(number) {
  let h = number | 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

const sidBytes = Buffer.alloc(24)

/**
 * The sid of session `i`: 24 bytes as base64url, as express-session makes them. A new string at
 * each call, as after reading a request's cookie, so that no store gains by knowing it already.
 */
function sidOf(i) {
  for (let part = 0; part < 6; part++) {
    sidBytes.writeUInt32LE(mix(i + Math.imul(part, 0x9e3779b9)), part * 4)
  }
  return sidBytes.toString('base64url')
}

/** The cookie that express-session sets: the sid and its signature. */
function cookieOf(sid, secret) {
  const signature = createHmac('sha256', secret).update(sid).digest('base64').replace(/=+$/, '')
  return `connect.sid=${encodeURIComponent(`s:${sid}.${signature}`)}`
}

/**
 * Returns `make(i, revision)`, which makes session `i`. Its JSON has exactly `size` bytes; another
 * revision of it has other content of the same length.
 *
 * `cookie` is `plain`, an object such as JSON.parse returns, or `express`, the Cookie with its
 * Date that express-session hands to a store. `expires` is the time at which session 0 expires.
 */
function sessionMaker({ size, cookie = 'plain', expires = Date.now() + ONE_DAY }) {
  const makeCookie = cookie === 'express' ? expressCookie : plainCookie
  const times = Array.from({ length: 1000 }, (_, n) => makeTime(expires + n, cookie))
  const draft = (i, revision, visits, note) =>
    fields(makeCookie(times[i % times.length]), i, revision, visits, note, size)

  const visit = JSON.stringify(visitOf(0, 0)).length + 1
  const bare = JSON.stringify(draft(0, 0, 0, '')).length
  const room = size - bare
  if (room < 0) throw new RangeError(`a session has at least ${bare} bytes, not ${size}`)
  const visits = size < 300 ? 0 : Math.max(0, Math.floor((room - 8) / visit))
  const noteLength = size - JSON.stringify(draft(0, 0, visits, '')).length

  return (i, revision = 0) => draft(i, revision, visits, noteOf(i, revision, noteLength))
}

function fields(cookie, i, revision, visits, note, size) {
  if (size < 300) return { cookie, id: note }
  const h = mix(i ^ Math.imul(revision, 0x51ed27))
  const id = 10000000 + i
  return {
    cookie,
    passport: { user: id },
    csrf: hex(h) + hex(mix(h)) + hex(mix(h + 1)),
    views: 100 + (h % 900),
    user: { name: `Member ${hex(mix(i))}`, email: `m${id}@example.com`, locale: 'en-GB' },
    visits: Array.from({ length: visits }, (_, n) => visitOf(h, n)),
    note,
  }
}

function visitOf(h, n) {
  const v = mix(h + n)
  return { path: `/shop/${hex(v)}`, ms: 10 + (v % 90) }
}

function noteOf(i, revision, length) {
  let note = ''
  for (let n = 0; note.length < length; n++) note += hex(mix(i + revision * 7919 + n * 104729))
  return note.slice(0, length)
}

/** The four digits of each 16-bit number: a table, because millions of sessions are made. */
const DIGITS = Array.from({ length: 65536 }, (_, n) => n.toString(16).padStart(4, '0'))

function hex(number) {
  return DIGITS[number >>> 16] + DIGITS[number & 0xffff]
}

function plainCookie(expires) {
  return { originalMaxAge: ONE_DAY, expires, httpOnly: true, path: '/' }
}

function expressCookie(expires) {
  const cookie = new Cookie()
  cookie.expires = new Date(expires)
  cookie.originalMaxAge = ONE_DAY
  return cookie
}

function makeTime(ms, cookie) {
  return cookie === 'express' ? ms : new Date(ms).toISOString()
}
