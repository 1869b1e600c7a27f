'use strict'

/** A process that has one of the stores on a server. Started by redis.js. */

const { Cookie, Session } = require('express-session')
const harness = require('../harness.js')
const { openStore, OURS_REDIS } = require('../stores.js')
const { sessionMaker, sidOf, ONE_DAY } = require('../sessions.js')
const { doAsAsked } = require('../workers.js')

/** What a page view is with every touch done, which is not what memorystore-rs does by default. */
const EVERY_TOUCH = { touchAfter: 0 }

/**
 * What is timed. Each `start`s one call, or the calls of one request, as express-session makes
 * them. The sessions are in use, and read already (`isRead`), or they are others that nobody reads
 * (`isOther`) and each call needs one of its own.
 */
const KINDS = {
  'get that hits': {
    isRead: true,
    start: (store, { sid }, next) => store.get(sid, (err, read) => next(err ?? lost(read))),
  },
  'page view': {
    isRead: true,
    start: view,
  },
  'page view, every touch done': {
    isRead: true,
    isEager: true,
    start: view,
  },
  'get, then set': {
    isRead: true,
    start: (store, { sid }, next) => {
      get(store, sid, next, (session) => {
        session.views++
        store.set(sid, session, next)
      })
    },
  },
  'set that was not read': {
    isOther: true,
    start: (store, { sid, session }, next) => store.set(sid, session, next),
  },
  'get that misses': {
    isOther: true,
    isThere: true,
    start: (store, { sid }, next) => store.get(sid, (err, read) => next(err ?? lost(read))),
  },
}

module.exports = { KINDS: Object.keys(KINDS) }

if (require.main === module) main(JSON.parse(process.argv[2]))

function main({ number, store: name, count, size, ...where }) {
  const make = sessionMaker({ size, cookie: 'express' })
  const random = randomOf(number + 1)
  let opened, eager, plan

  /** New sessions for the sids from number `from`, as a login makes them. */
  const newSessions = (from) =>
    Array.from({ length: count }, (_, n) => {
      const sid = sidOf(from + n)
      // As if it had been read: V8 joins the strings of a new one lazily.
      const data = JSON.parse(JSON.stringify(make(from + n, 1)))
      data.cookie = new Cookie({ maxAge: ONE_DAY })
      const session = new Session({ sessionID: sid, sessionStore: opened.store }, data)
      return { sid, session }
    })

  const each = (items, start) =>
    harness.pump(items.length, harness.WINDOW, (n, next) => start(items[n], next))

  const write = (store, sessions) =>
    each(sessions, ({ sid, session }, next) => store.set(sid, session, next))

  doAsAsked({
    open: async () => {
      opened = await openStore(name, {}, where)
      // To touch each time makes a difference to this one only. It has sessions of its own, so that
      // nobody else is told of its writes.
      const apart = { ...where, prefix: `${where.prefix}eager:` }
      eager = name === OURS_REDIS ? await openStore(name, EVERY_TOUCH, apart) : opened
    },

    close: () => Promise.all([...new Set([opened, eager])].map(({ stop }) => stop())),

    check: async () => {
      await harness.load(opened.store, make, 0, count)
      await harness.check(name, opened.store, make, count)
    },

    /** Writes the sessions that are in use, so that they do not become due for a touch. */
    write: async () => {
      for (const { store } of new Set([opened, eager])) await write(store, newSessions(0))
    },

    /** Gets ready to be timed. */
    prepare: async ({ kind }) => {
      const { isRead, isEager, isOther, isThere } = KINDS[kind]
      const { store } = isEager ? eager : opened
      const sessions = newSessions(isOther ? count + 1 : 0)
      plan = { ...KINDS[kind], store, sessions: shuffled(sessions, random), isOther }
      if (isThere) await write(store, sessions)
      if (isRead) await each(sessions, ({ sid }, next) => store.get(sid, next))
      globalThis.gc?.({ type: 'minor' })
    },

    /** Makes the calls for `ms` milliseconds: how many, and what this process did for them. */
    time: async ({ ms, window }) => {
      const { store, sessions, start, isOther } = plan
      const { length } = sessions
      const most = isOther ? length : Infinity
      const cpu = process.cpuUsage()
      const begin = performance.now()
      const one = (n, next) => start(store, sessions[n % length], next)
      const calls = await harness.pumpFor(ms, window, one, most)
      const took = performance.now() - begin
      const { user, system } = process.cpuUsage(cpu)
      return { calls, ms: took, cpu: (user + system) / 1000 }
    },
  })
}

/** What express-session does for a page that only reads. */
function view(store, { sid }, next) {
  get(store, sid, next, (session) => store.touch(sid, session, next))
}

/** Reads a session as express-session does, and renews its cookie as at the end of a request. */
function get(store, sid, fail, use) {
  store.get(sid, (err, read) => {
    const error = err ?? lost(read)
    if (error) return fail(error)
    const session = store.createSession({ sessionID: sid, sessionStore: store }, read)
    session.touch()
    use(session)
  })
}

function lost(session) {
  return session ? null : new Error('a session that was set is not there')
}

/** Numbers from 0 to below 1, the same in every run. */
function randomOf(seed) {
  let state = Math.imul(seed, 0x9e3779b9) >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

function shuffled(items, random) {
  const found = [...items]
  for (let n = found.length - 1; n > 0; n--) {
    const other = Math.floor(random() * (n + 1))
    ;[found[n], found[other]] = [found[other], found[n]]
  }
  return found
}
