'use strict'

/**
 * Sessions as an application has them: anonymous visitors, members, and members with a cart of two.
 * Most of their text is the same in all of them; what differs are ids, secrets, dates, names and
 * prices. Between 270 and 500 bytes, about 400 on average.
 */

const { base64url, hex, mix } = require('./random.js')

/**
 * Whose the sessions are, in turn: of every 20, 6 are of visitors, 8 of members, 6 have a cart. A
 * session stays what it is from one revision to the next.
 */
const VARIANTS = [
  ...['anonymous', 'member', 'shopper', 'member', 'returning', 'editor', 'guest'],
  ...['member', 'shopper', 'anonymous', 'member', 'shopper', 'admin', 'anonymous'],
  ...['shopper', 'member', 'returning', 'member', 'shopper', 'anonymous'],
]

module.exports = { VARIANTS, realisticOf }

/** What a session of each kind has besides its cookie. `h` changes with each revision. */
const MEMBERS = {
  anonymous: (i, h, started) => ({
    csrfSecret: secretOf(i),
    visitor: uuidOf(i),
    startedAt: dateOf(started),
    landing: `/${SECTIONS[h % SECTIONS.length]}/${slugOf(h)}`,
    views: 1 + (h % 40),
  }),
  returning: (i, h, started) => ({
    csrfSecret: secretOf(i),
    visitor: uuidOf(i),
    startedAt: dateOf(started),
    views: 1 + (h % 40),
    returnTo: `/account/orders/${100000 + (h % 900000)}`,
    consent: { analytics: h % 3 !== 0, marketing: h % 5 === 0, at: dateOf(started + 4000) },
  }),
  member: (i, h, started) => memberOf(i, h, started, ['member']),
  editor: (i, h, started) => memberOf(i, h, started, ['member', 'editor']),
  admin: (i, h, started) => ({
    ...memberOf(i, h, started, ['member', 'editor', 'admin']),
    twoFactorAt: dateOf(started + 9000),
  }),
  shopper: (i, h, started) => ({
    csrfSecret: secretOf(i),
    passport: { user: objectIdOf(i) },
    user: { id: objectIdOf(i), name: nameOf(i), roles: ['member'] },
    cart: cartOf(i, h, started),
    views: 1 + (h % 400),
  }),
  guest: (i, h, started) => ({
    csrfSecret: secretOf(i),
    visitor: uuidOf(i),
    startedAt: dateOf(started),
    cart: cartOf(i, h, started),
  }),
}

/**
 * Session `i` with this `cookie`, of which another revision has other values in the same places.
 * `isLonger`: with two messages that wait to be shown.
 */
function realisticOf(i, revision, cookie, isLonger) {
  const h = mix(i ^ Math.imul(revision, 0x51ed27))
  const started = STARTED + (partOf(i, 7) % WEEK)
  const session = { cookie, ...MEMBERS[VARIANTS[i % VARIANTS.length]](i, h, started) }
  if (isLonger) {
    session.flash = { success: [`Order ${100000 + (h % 900000)} was placed`], info: [slugOf(h)] }
  }
  return session
}

/** When the first of the sessions began, and within what time the others did, in milliseconds. */
const STARTED = Date.UTC(2026, 10, 20)
const DAY = 86400000
const WEEK = 7 * DAY

function memberOf(i, h, started, roles) {
  return {
    csrfSecret: secretOf(i),
    passport: { user: objectIdOf(i) },
    user: { id: objectIdOf(i), name: nameOf(i), email: emailOf(i), locale: localeOf(i), roles },
    loggedInAt: dateOf(started),
    lastSeenAt: started + (h % DAY),
    views: 1 + (h % 400),
  }
}

function cartOf(i, h, started) {
  return {
    id: uuidOf(~i),
    currency: 'EUR',
    items: [itemOf(mix(h + 1)), itemOf(mix(h + 2))],
    updatedAt: dateOf(started + (h % DAY)),
  }
}

function itemOf(h) {
  return {
    sku: `${COLOURS[h % COLOURS.length].slice(0, 2).toUpperCase()}-${10000 + (h % 90000)}`,
    quantity: 1 + (h % 3),
    price: (499 + (h % 9500)) / 100,
  }
}

const SECTIONS = ['shop', 'blog', 'help', 'sale']
const COLOURS = ['amber', 'black', 'coral', 'denim', 'green', 'ivory', 'olive', 'white']
const THINGS = ['apron', 'basket', 'candle', 'kettle', 'lamp', 'notebook', 'scarf', 'teapot']
const LOCALES = ['en-GB', 'en-US', 'de-DE', 'fr-FR']
// The JSON of every seventeenth session is not ASCII.
const FIRST = ['Ada', 'Ben', 'Carla', 'Dev', 'Eva', 'Finn', 'Grace', 'Hugo', 'Ivan', 'José', 'Kim']
const LAST = [
  'Abel',
  'Berg',
  'Costa',
  'Diaz',
  'Evans',
  'Fischer',
  'Garcia',
  'Hansen',
  'Ito',
  'Jones',
]

function slugOf(h) {
  return `${COLOURS[h % COLOURS.length]}-${THINGS[(h >>> 8) % THINGS.length]}-${h % 10000}`
}

function localeOf(i) {
  return LOCALES[partOf(i, 3) % LOCALES.length]
}

function nameOf(i) {
  const h = partOf(i, 5)
  return `${FIRST[h % FIRST.length]} ${LAST[(h >>> 8) % LAST.length]}`
}

function emailOf(i) {
  return `${LAST[(partOf(i, 5) >>> 8) % LAST.length].toLowerCase()}${i}@example.com`
}

/** One of several numbers that belong to session `i` and have nothing to do with each other. */
function partOf(i, n) {
  return mix(mix(i) ^ Math.imul(n, 0x9e3779b9))
}

/** As MongoDB makes them: 24 hexadecimal digits. */
function objectIdOf(i) {
  return hex(partOf(i, 11)) + hex(partOf(i, 13)) + hex(partOf(i, 17))
}

function uuidOf(i) {
  const [a, b, c, d] = [19, 23, 29, 31].map((n) => hex(partOf(i, n)))
  return `${a}-${b.slice(0, 4)}-4${b.slice(5)}-a${c.slice(1, 4)}-${c.slice(4)}${d}`
}

/** 18 random bytes, as csrf makes them. */
function secretOf(i) {
  return base64url(partOf(i, 37), 18)
}

function dateOf(ms) {
  return new Date(ms).toISOString()
}
