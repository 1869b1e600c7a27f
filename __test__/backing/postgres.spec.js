'use strict'

/**
 * Stores on connect-pg-simple, whose table PostgreSQL compares with what was read: what is weaker
 * elsewhere is not here. The server is one that runs in this process.
 */

const test = require('ava')
const { PGlite } = require('@electric-sql/pglite')
const createPgStore = require('connect-pg-simple')
const session = require('express-session')
const { MemoryStore } = require('../helpers/stores.js')

const HOUR = 3600_000

const TABLE = `
  CREATE TABLE "TABLE" (
    sid varchar NOT NULL PRIMARY KEY, sess TYPE NOT NULL, expire timestamp(6) NOT NULL
  )
`

let db
let tables = 0

test.before('the server starts', async () => {
  db = new PGlite()
  await db.waitReady
})

test.after.always('the server ends', () => db.close())

/** Stores of two processes on one table, and the statements that they send. */
async function openTwo(t, { type = 'json', ...options } = {}) {
  const tableName = `sessions "${++tables}"`
  const name = tableName.replaceAll('"', '""')
  await db.exec(TABLE.replace('TABLE"', `${name}"`).replace('TYPE', type))
  const statements = []
  const pool = {
    query: (sql, values) => {
      statements.push(sql.slice(0, 6))
      return db.query(sql, values)
    },
  }
  const stores = [0, 1].map(() => {
    const PgStore = createPgStore(session)
    const backing = new PgStore({ pool, tableName, pruneSessionInterval: false })
    const store = new MemoryStore({ timeout: 600_000, touchAfter: 0, ...options, backing })
    t.teardown(() => store.close())
    return store
  })
  return { stores, statements, table: `"${name}"` }
}

const fresh = (fields) => ({ cookie: new session.Cookie({ maxAge: HOUR }), ...fields })

async function load(store) {
  const read = await store.get('sid')
  return read && store.createSession({ sessionID: 'sid', sessionStore: store }, read)
}

async function fieldsIn(store) {
  const { cookie, ...fields } = (await store.get('sid')) ?? {}
  return cookie && fields
}

for (const type of ['json', 'jsonb']) {
  test.serial(`parallel writes in two processes are all kept (${type})`, async (t) => {
    const { stores } = await openTwo(t, { type, maxStale: 0 })
    await stores[0].set('sid', fresh({ user: 'ada' }))
    const writes = []
    for (let n = 0; n < 20; n++) {
      const store = stores[n % 2]
      const loaded = await load(store)
      loaded[`key${n}`] = n
      loaded[-n] = 'a key that sorts as a number'
      writes.push(() => store.set('sid', loaded))
    }
    await Promise.all(writes.map((write) => write()))
    t.is(Object.keys(await fieldsIn(stores[0])).filter((key) => key.startsWith('key')).length, 20)
  })
}

test.serial('a write that nobody came before is one statement', async (t) => {
  const { stores, statements } = await openTwo(t)
  await stores[0].set('sid', fresh({ text: 'é "\\ \u2028', list: [1.5, null, { 2: 1, a: 0 }] }))
  for (const store of stores) {
    const loaded = await load(store)
    statements.length = 0
    for (let n = 0; n < 3; n++) {
      loaded.n = n
      await store.set('sid', loaded)
    }
    t.deepEqual(statements, ['UPDATE', 'UPDATE', 'UPDATE'])
    t.is(store.stats().merges, 0)
  }
})

test.serial('a logout between what a write reads and what it does stays one', async (t) => {
  const { stores, statements } = await openTwo(t)
  const [one, other] = stores
  await one.set('sid', fresh())
  const loaded = await load(one)
  await other.destroy('sid')
  statements.length = 0
  loaded.n = 1
  await one.set('sid', loaded)
  t.deepEqual(statements, ['UPDATE', 'SELECT'])
  await one.touch('sid', loaded)
  t.is(await fieldsIn(one), undefined)
  t.is(one.stats().refusedWrites, 1)
})

test.serial('what is stored and when it expires is as connect-pg-simple has it', async (t) => {
  const { stores, table } = await openTwo(t)
  const [store] = stores
  const row = async () => {
    const sql = `SELECT sess::text AS text, extract(epoch FROM expire) AS expire FROM ${table}`
    const { text, expire } = (await db.query(sql)).rows[0]
    return { session: JSON.parse(text), expire: Number(expire) }
  }
  const mine = fresh({ user: 'ada' })
  await store.set('sid', mine)
  const first = await row()
  const loaded = await load(store)
  loaded.cookie.maxAge = 2 * HOUR
  await store.set('sid', loaded)
  const { session: stored, expire } = await row()
  t.is(stored.user, 'ada')
  t.is(stored.cookie.originalMaxAge, loaded.cookie.originalMaxAge)
  t.is(expire, Math.ceil(Date.parse(stored.cookie.expires) / 1000))
  t.true(expire - first.expire >= 3599)
})

test.serial('a session without an end has the one that the other store gives', async (t) => {
  const { stores, table } = await openTwo(t)
  const [store] = stores
  await store.set('sid', { cookie: new session.Cookie() })
  const loaded = await load(store)
  loaded.n = 1
  await store.set('sid', loaded)
  const { rows } = await db.query(`SELECT extract(epoch FROM expire) AS expire FROM ${table}`)
  const life = Number(rows[0].expire) - Date.now() / 1000
  t.true(life > 86_000 && life < 87_000, `${life}`)
})

test.serial('a text that another program has written otherwise is the same session', async (t) => {
  const { stores, table, statements } = await openTwo(t, { maxStale: 0 })
  const [store] = stores
  await store.set('sid', fresh({ n: 1 }))
  const loaded = await load(store)
  await db.exec(`UPDATE ${table} SET sess = replace(sess::text, ',"', ' , "')::json`)
  statements.length = 0
  loaded.n = 2
  await store.set('sid', loaded)
  t.deepEqual(statements, ['UPDATE', 'SELECT', 'UPDATE'])
  t.deepEqual(await fieldsIn(store), { n: 2 })
  t.is(store.stats().merges, 0)
})

test.serial('a renewal moves the expiry alone, and writes go on after it', async (t) => {
  const { stores, statements } = await openTwo(t)
  const [store, other] = stores
  await store.set('sid', fresh())
  const loaded = await load(store)
  loaded.touch()
  await store.touch('sid', loaded)
  t.deepEqual(statements.slice(-2), ['SELECT', 'UPDATE'])
  const theirs = await load(other)
  theirs.n = 1
  await other.set('sid', theirs)
  loaded.m = 1
  await store.set('sid', loaded)
  t.deepEqual(await fieldsIn(store), { n: 1, m: 1 })
})

test.serial('an error of the server comes as it is', async (t) => {
  const { stores, table } = await openTwo(t)
  const [store] = stores
  await store.set('sid', fresh())
  const loaded = await load(store)
  await db.exec(`DROP TABLE ${table}`)
  await t.throwsAsync(store.set('sid', loaded), { message: /does not exist/ })
})
