'use strict'

/**
 * The sessions that every store is given: each one distinct, and made from its number alone, so that
 * nobody has to keep millions of them to compare with. There are two kinds: incompressible ones of an
 * exact length, and realistic ones.
 */

const { createHmac } = require('node:crypto')
const { Cookie } = require('express-session')
const { base64url, hex, mix } = require('./random.js')
const { VARIANTS, realisticOf } = require('./realistic.js')

const ONE_DAY = 86400000

/** Sessions whose numbers differ by a multiple of this are of the same shape. */
const CYCLE = VARIANTS.length

module.exports = { sessionMaker, longerMaker, sidOf, cookieOf, ONE_DAY, CYCLE }

/** How much longer than the others those are that an operation makes longer. */
const LONGER = 1.25

/**
 * The sid of session `i`: 24 bytes as base64url, as express-session makes them. A new string at
 * each call, as after reading a request's cookie, so that no store gains by knowing it already.
 */
function sidOf(i) {
  return base64url(i, 24)
}

/** The cookie that express-session sets: the sid and its signature. */
function cookieOf(sid, secret) {
  const signature = createHmac('sha256', secret).update(sid).digest('base64').replace(/=+$/, '')
  return `connect.sid=${encodeURIComponent(`s:${sid}.${signature}`)}`
}

/**
 * Returns `make(i, revision)`, which makes session `i`. Its JSON has exactly `size` bytes; another
 * revision of it has other content of the same length. With `sessions: 'realistic'`, it has about as
 * many as such sessions have, and another revision other values.
 *
 * `cookie` is `plain`, an object such as JSON.parse returns, or `express`, the Cookie with its
 * Date that express-session hands to a store. `expires` is the time at which session 0 expires.
 */
function sessionMaker({ sessions, isLonger = false, ...params }) {
  const { size, cookie = 'plain', expires = Date.now() + ONE_DAY } = params
  const makeCookie = cookie === 'express' ? expressCookie : plainCookie
  const times = Array.from({ length: 1000 }, (_, n) => makeTime(expires + n, cookie))
  const cookieFor = (i) => makeCookie(times[i % times.length])
  return sessions === 'realistic'
    ? (i, revision = 0) => realisticOf(i, revision, cookieFor(i), isLonger)
    : exactMaker(isLonger ? Math.round(size * LONGER) : size, cookieFor)
}

/** As `sessionMaker`; its sessions are longer. */
function longerMaker(params) {
  return sessionMaker({ ...params, isLonger: true })
}

function exactMaker(size, cookieFor) {
  const draft = (i, revision, visits, note) => fields(cookieFor(i), i, revision, visits, note, size)

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
