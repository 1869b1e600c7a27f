'use strict'

/**
 * Does random things with sessions on Redis, in this process or in one of its own, and notes what it
 * has done and when, so that redis-model.js can tell what has to be stored then.
 */

const { setImmediate: turn, setTimeout: delay } = require('node:timers/promises')
const { isDeepStrictEqual } = require('node:util')
const { randomOfSeed } = require('./processes.js')
const { LIBRARIES, MemoryStore, eventually, newSession } = require('./redis-stores.js')

module.exports = { act, compare, now }

/** How many requests an actor has under way. */
const WORKERS = 6

/** Milliseconds of a clock that all processes of the machine share. */
function now() {
  return Number(process.hrtime.bigint()) / 1e6
}

/**
 * Acts on `store` for `duration` milliseconds. Resolves with the events, see redis-model.js, and
 * with `errors` that no failing server explains.
 *
 * @param {object} how
 * @param {string} how.name which is in no other actor's events
 * @param {boolean} how.isForeign whether the store is one of connect-redis
 */
async function act(store, { name, seed, sids, duration, isForeign = false }) {
  const until = now() + duration
  const events = []
  const errors = []
  const work = async (worker) => {
    const random = randomOfSeed(seed + 7919 * worker)
    const actor = new Actor(store, `${name}${worker}`, random, events, isForeign)
    while (now() < until) {
      try {
        await actor.step(sids[random.below(sids.length)])
      } catch (err) {
        if (!/^ERR_MEMORYSTORE_(UNAVAILABLE|TIMEOUT)$/.test(err.code)) {
          errors.push(`${err.code}: ${err.message}`)
        }
        // Where the server is down, calls fail at once.
        await delay(2)
      }
      if (random.below(4) === 0) await delay(random.below(4))
    }
  }
  await Promise.all(Array.from({ length: WORKERS }, (_, worker) => work(worker)))
  return { events, errors }
}

class Actor {
  #store
  #name
  #random
  #events
  #isForeign
  #count = 0

  constructor(store, name, random, events, isForeign) {
    this.#store = store
    this.#name = name
    this.#random = random
    this.#events = events
    this.#isForeign = isForeign
  }

  step(sid) {
    const choice = this.#random.below(100)
    if (choice < 5) return this.#create(sid)
    if (choice < 8) return this.#destroy(sid)
    if (choice < 30) return this.#isForeign ? this.#rewrite(sid) : this.#add(sid)
    if (choice < 38 && !this.#isForeign) return this.#touch(sid)
    return this.#store.get(sid)
  }

  /** A name that nothing else has. */
  #newName() {
    return `${this.#name}.${this.#count++}`
  }

  /** Notes an event, which ends when `work` has been acknowledged. */
  async #noted(event, work) {
    const noted = { ...event, start: now(), end: undefined }
    this.#events.push(noted)
    await work()
    noted.end = now()
  }

  #create(sid) {
    const id = this.#newName()
    return this.#noted({ kind: 'create', sid, id }, () =>
      this.#store.set(sid, newSession({ origin: id })),
    )
  }

  #destroy(sid) {
    return this.#noted({ kind: 'destroy', sid, isForeign: this.#isForeign }, () =>
      this.#store.destroy(sid),
    )
  }

  /** Reads a session, and sets a key of its own in it, as a request does. */
  async #add(sid) {
    const readStart = now()
    const session = await this.#read(sid)
    if (session === undefined) return
    const readEnd = now()
    await this.#think()
    const key = this.#newName()
    session[key] = 1
    const read = { readStart, readEnd, base: session.origin }
    await this.#noted({ kind: 'add', sid, key, ...read }, () => this.#store.set(sid, session))
  }

  /** As add, but overwrites what others have written meanwhile. */
  async #rewrite(sid) {
    const readStart = now()
    const session = await this.#store.get(sid)
    if (!session) return
    await this.#think()
    session[this.#newName()] = 1
    await this.#noted({ kind: 'rewrite', sid, readStart }, () => this.#store.set(sid, session))
  }

  async #touch(sid) {
    const session = await this.#read(sid)
    if (session === undefined) return
    await this.#think()
    if (this.#random.below(2) === 0) session.cookie.maxAge += 60_000
    else session.touch()
    await this.#store.touch(sid, session)
  }

  async #read(sid) {
    const read = await this.#store.get(sid)
    return read && this.#store.createSession({ sessionID: sid, sessionStore: this.#store }, read)
  }

  async #think() {
    const choice = this.#random.below(4)
    if (choice === 0) await turn()
    if (choice === 1) await delay(this.#random.below(10))
  }
}

/**
 * Which of the sessions `store` reads differently from `stored`, where each sid has its session or
 * undefined; of the cookie only the path is compared. After an answer, all that the server had told
 * before has been heard, unless it is told on another connection: then it is waited for.
 */
async function compare(store, stored, patience) {
  await eventually(() => store.destroy('none'))
  let wrong = Object.keys(stored)
  const deadline = now() + patience
  for (;;) {
    const read = await Promise.all(wrong.map((sid) => eventually(() => store.get(sid))))
    wrong = wrong.filter((sid, i) => !isDeepStrictEqual(plain(read[i]), plain(stored[sid])))
    if (wrong.length === 0 || now() > deadline) return wrong
    await delay(5)
  }
}

function plain(session) {
  if (!session) return undefined
  return { ...session, cookie: session.cookie.path }
}

/** In a process of its own: it is given the options as JSON, and answers what it is asked. */
if (require.main === module) {
  const { url, library, options } = JSON.parse(process.argv[2])
  const store = new MemoryStore({ redis: LIBRARIES[library].open(url), ...options })
  const TASKS = {
    act: (how) => act(store, how),
    compare: ({ stored, patience }) => compare(store, stored, patience),
    settle: () => eventually(() => store.get('none')),
    stats: () => store.stats(),
  }
  process.on('disconnect', () => process.exit())
  process.on('message', async ({ id, task, args }) => {
    try {
      process.send({ id, result: await TASKS[task](args) })
    } catch (err) {
      process.send({ id, error: err.stack })
    }
  })
}
