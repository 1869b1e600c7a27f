'use strict'

// A process with a store of its own, which does what its parent asks; see processes.js. It is
// given the store's options as JSON, in which `dispose: true` stands for a function that lists the
// sids, and the reasons.

const { setImmediate: turn } = require('node:timers/promises')
const Store = require('express-session/session/store')
const MemoryStore = require('../..')({ Store })
const { BOARD, isWhole, sessionOf } = require('./ledger.js')

const { dispose, ...options } = JSON.parse(process.argv[2])
const disposed = []
const reasons = []
const warnings = []
process.on('warning', ({ code, message }) => warnings.push({ code, message }))
const list = (sid, _body, reason) => {
  disposed.push(sid)
  reasons.push(reason)
}
const store = new MemoryStore(dispose ? { ...options, dispose: list } : options)

/** Whether the work that goes on and on is to end. */
let isOver = false

/** Adds keys to a session that others write at the same time, as that many requests do. */
async function addKeys({ sid, prefix, count }) {
  for (let n = 0; n < count; n++) {
    const session = store.createSession({ sessionID: sid }, await store.get(sid))
    session[`${prefix}${n}`] = n
    await store.set(sid, session)
  }
}

/** Writes sessions; returns the most there have been of what `figure` of the stats counts. */
async function writeAndWatch({ prefix, count, figure, session }) {
  let most = 0
  for (let n = 0; n < count; n++) {
    await store.set(`${prefix}${n}`, session)
    most = Math.max(most, store.stats()[figure])
  }
  return most
}

/** Writes sessions, after each other; those from `modulo` on in place of the first. */
async function writeMany({ prefix, count, session, modulo = count }) {
  for (let n = 0; n < count; n++) await store.set(`${prefix}${n % modulo}`, session)
}

/** Begins to read all sessions over and over. */
async function readOn() {
  for (;;) {
    await store.all()
    await turn()
  }
}

/**
 * Reads and writes, as long as others are killed: sessions of its own, which have to be as it left
 * them; a key of its own on the board; and sessions of others, which have to be whole. `others` is
 * how the sids of the others begin.
 */
async function standBy({ name, others }) {
  const report = { operations: 0, found: 0, longest: 0, errors: [] }
  const timed = async (promise) => {
    const began = performance.now()
    const result = await promise
    report.longest = Math.max(report.longest, performance.now() - began)
    report.operations++
    return result
  }
  for (let n = 0; !isOver; n++) {
    const sid = `${name}:${n % 20}`
    await timed(store.set(sid, sessionOf(name, n)))
    const own = await timed(store.get(sid))
    if (own?.n !== n || !isWhole(own)) report.errors.push(`${sid} is not what was written as ${n}`)

    const read = await timed(store.get(BOARD))
    if (n % 20 === 0) {
      if (n > 0 && read[name] !== n - 20) report.errors.push(`the board has lost ${name} ${n - 20}`)
      const board = store.createSession({ sessionID: BOARD }, read)
      board[name] = n
      await timed(store.set(BOARD, board))
    }

    const other = `${others}${Math.floor(Math.random() * 500)}:${n % 12}`
    const session = await timed(store.get(other))
    if (session !== undefined) report.found++
    if (session !== undefined && !isWhole(session)) report.errors.push(`${other} is corrupt`)
    // Those that are to be killed need the processor as well.
    if (n % 5 === 4) await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return report
}

const TASKS = {
  addKeys,
  writeAndWatch,
  writeMany,
  standBy,
  /** Calls a method of the store. */
  call: ({ method, args }) => store[method](...args),
  disposed: () => disposed,
  reasons: () => reasons,
  warnings: () => warnings,
  /** Ends `standBy`. */
  end: () => {
    isOver = true
  },
  readOn: () => void readOn(),
  /** Ends the process while there is work under way. */
  exitAmidst: ({ code }) => {
    for (let n = 0; n < 5000; n++) store.set(`last:${n}`, { n, cookie: { maxAge: -1 } }, () => {})
    store.prune(() => {})
    process.exit(code)
  },
}

process.on('message', async ({ id, task, args }) => {
  try {
    process.send({ id, result: await TASKS[task](args) })
  } catch (err) {
    process.send({ id, message: err.message, code: err.code })
  }
})
process.send({ id: 0 })
