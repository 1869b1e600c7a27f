'use strict'

/**
 * Who has to log in again after a flood: robots that never send a cookie back make a session with
 * each request, in a store with a limit, while users go on using theirs.
 *
 *   node bench/flood.js [--users n] [--robots n] [--room n]
 *
 * Each store has room for `room` sessions. The users log in first. Then for every hundred sessions of
 * robots, one user comes back: reads its session and touches it, or has to log in again.
 */

const { parseArgs, promisify } = require('node:util')
const { LRU_CACHE, OURS, PATH, makeFolder, openStore, reasonForAbsence } = require('./stores.js')

const ONE_DAY = 86400000

/** So many sessions of robots there are for each request of a user. */
const ROBOTS_A_REQUEST = 100

/** What a session of this flood takes of `maxBytes`, more or less. */
const BYTES = 300

const USER = { user: 'passport.user' }

/** What is compared: a name for the table, a store, and its options for so many sessions. */
const SUBJECTS = [
  ['memorystore', 'memorystore', (room) => ({ max: room })],
  ['lru-cache by hand', LRU_CACHE, (room) => ({ max: room })],
  ['memorystore-rs', OURS, (room) => ({ max: room })],
  ['memorystore-rs with `user`', OURS, (room) => ({ ...USER, max: room })],
  ['the same, `maxBytes`', OURS, (room) => ({ ...USER, maxBytes: BYTES * room })],
  ['the same on a `path`', PATH, (room) => ({ ...USER, max: room })],
]

const robot = () => ({ cookie: cookie(), csrfSecret: 'q5BGMbk0fzqxJmcc7oJ3yXlu' })
const member = (n) => ({ cookie: cookie(), passport: { user: n }, roles: ['member'] })
const cookie = () => ({ originalMaxAge: ONE_DAY, expires: new Date(Date.now() + ONE_DAY) })

/**
 * Runs the flood on each store that is installed.
 *
 * @returns {Promise<{name: string, lost: number, logins: number, perSecond: number}[]>} how
 *   many users had lost their session in the end, how often one had to log in again, and the
 *   sessions of robots a second
 */
async function measure({ users, robots, room }) {
  const results = []
  for (const [name, store, optionsFor] of SUBJECTS) {
    if (reasonForAbsence(store)) continue
    const folder = store === PATH ? makeFolder() : undefined
    try {
      const options = { checkPeriod: ONE_DAY, ...optionsFor(room) }
      const opened = await openStore(store, options, { path: folder?.path, count: room })
      results.push({ name, ...(await flood(opened.store, { users, robots })) })
      await opened.stop()
    } finally {
      folder?.remove()
    }
  }
  return results
}

async function flood(store, { users, robots }) {
  const [get, set, touch] = ['get', 'set', 'touch'].map((name) =>
    promisify(store[name]).bind(store),
  )
  for (let n = 0; n < users; n++) await set(`user-${n}`, member(n))
  let logins = 0
  const started = process.hrtime.bigint()
  for (let n = 0; n < robots; n++) {
    await set(`robot-${n}`, robot())
    if (n % ROBOTS_A_REQUEST > 0) continue
    const user = (n / ROBOTS_A_REQUEST) % users
    const session = await get(`user-${user}`)
    if (session) await touch(`user-${user}`, session)
    else {
      logins++
      await set(`user-${user}`, member(user))
    }
  }
  const seconds = Number(process.hrtime.bigint() - started) / 1e9
  let lost = 0
  for (let n = 0; n < users; n++) lost += (await get(`user-${n}`)) ? 0 : 1
  return { lost, logins, perSecond: robots / seconds }
}

function tableOf(results) {
  const columns = [
    ['', ({ name }) => name],
    ['users without a session in the end', ({ lost }) => lost],
    ['times that one had to log in again', ({ logins }) => logins],
    ['sessions of robots a second', ({ perSecond }) => Math.round(perSecond).toLocaleString('en')],
  ]
  const rows = [columns.map(([title]) => title), columns.map(() => '---')]
  for (const result of results) rows.push(columns.map(([, of]) => String(of(result))))
  return rows.map((row) => `| ${row.join(' | ')} |`).join('\n')
}

async function main() {
  const { values } = parseArgs({
    options: {
      users: { type: 'string', default: '5000' },
      robots: { type: 'string', default: '1000000' },
      room: { type: 'string', default: '10000' },
    },
  })
  const [users, robots, room] = [values.users, values.robots, values.room].map(Number)
  console.log(`${users} users, ${robots} sessions of robots, room for ${room}`)
  console.log(tableOf(await measure({ users, robots, room })))
}

if (require.main === module) main()

module.exports = { measure }
