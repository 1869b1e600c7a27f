'use strict'

/**
 * Which lifetime a session has at the server after two requests have renewed or changed it: what
 * conflict.spec.js asks of the cookie, with a clock that goes on.
 */

const v8 = require('node:v8')
const { onEachServer } = require('../helpers/on-each-server.js')
const { startServer } = require('../helpers/redis-servers.js')
const { HOUR, newSession, openStore, readSession } = require('../helpers/redis-stores.js')
const { until } = require('../helpers/until.js')
const { scripts } = require('../../lib/redis/scripts.js')

const MINUTE = 60_000
const SECOND = 1000

/** What a busy machine may take between a write and a look at it. */
const PATIENCE = MINUTE

/** So that each is done, and in time on a busy machine. */
const PATIENT = { touchAfter: 0, timeout: 600_000 }

/** The ways in which a request stores its session. */
const WAYS = {
  touch: (store, session) => store.touch('sid', session),
  write: (store, session) => {
    session.n = (session.n ?? 0) + 1
    return store.set('sid', session)
  },
}

const SERIALIZERS = {
  JSON: undefined,
  bytes: { stringify: (value) => v8.serialize(plain(value)), parse: v8.deserialize },
  // Without `toJSON`: the fields of the cookie.
  fields: { stringify: (value) => v8.serialize({ ...value }), parse: v8.deserialize },
}

function plain({ cookie, ...fields }) {
  return { ...fields, cookie: cookie.toJSON?.() ?? cookie }
}

onEachServer((test, { binary }) => {
  let server

  test.before('the server starts', async () => {
    server = await startServer({ binary })
  })

  for (const [kind, serializer] of Object.entries(SERIALIZERS)) {
    for (const [mine, write] of Object.entries(WAYS)) {
      for (const [theirs, writeTheirs] of Object.entries(WAYS)) {
        const each = (title, run) => {
          const name = `${title}: a ${mine} after a ${theirs} (${kind})`
          test(name, async (t) => {
            const prefix = `${name}:`
            const store = openStore(t, server.url, { ...PATIENT, serializer, prefix })
            // It would end in half an hour.
            const given = newSession()
            given.cookie._expires = new Date(Date.now() + HOUR / 2)
            await store.set('sid', given)
            const [one, other] = [await readSession(store, 'sid'), await readSession(store, 'sid')]

            /** Asserts that the session, and its cookie, live so long. */
            const assertLife = async (life) => {
              const left = await server.command('PTTL', `${prefix}sid`)
              t.true(Math.abs(left - life) < PATIENCE, `${left} ms left`)
              const { cookie } = await readSession(store, 'sid')
              t.true(Math.abs(cookie.maxAge - left) < 2 * SECOND, `${cookie.maxAge} of ${left}`)
            }
            await run({ store, one, other, assertLife })
          })
        }

        each('a renewal stays though who read before ends later', async (given) => {
          const { store, one, other, assertLife } = given
          other.touch()
          await writeTheirs(store, other)
          await assertLife(HOUR)
          await write(store, one)
          await assertLife(HOUR)
        })

        each('of two renewals the later stays', async ({ store, one, other, assertLife }) => {
          other.touch()
          await writeTheirs(store, other)
          one.touch()
          await write(store, one)
          await assertLife(HOUR)
        })

        each('a lifetime that a request shortens is short', async (given) => {
          const { store, one, other, assertLife } = given
          other.touch()
          await writeTheirs(store, other)
          one.cookie.maxAge = 10 * MINUTE
          await write(store, one)
          await assertLife(10 * MINUTE)
        })

        each('a lifetime that another request shortened stays short', async (given) => {
          const { store, one, other, assertLife } = given
          other.cookie.maxAge = 10 * MINUTE
          await writeTheirs(store, other)
          one.touch()
          await write(store, one)
          await assertLife(10 * MINUTE)
        })

        each('a lifetime that another request extended stays long', async (given) => {
          const { store, one, other, assertLife } = given
          other.cookie.maxAge = 24 * HOUR
          await writeTheirs(store, other)
          one.touch()
          await write(store, one)
          await assertLife(24 * HOUR)
        })
      }
    }
  }

  test('a request brings no session back that was destroyed and has expired', async (t) => {
    const store = openStore(t, server.url, { ...PATIENT, prefix: 'gone:' })
    await store.set('sid', newSession())
    await store.destroy('sid')
    let slow
    for (let life = 200; slow === undefined; life *= 2) {
      await store.set('sid', newSession({}, life))
      slow = await readSession(store, 'sid')
    }
    await until(async () => (await server.command('EXISTS', 'gone:sid')) === 0)
    slow.n = 1
    slow.cookie.maxAge = HOUR
    // When the write arrives is not known, so neither is whether the logout came after the read.
    await store.set('sid', slow)
    t.is(await store.get('sid'), undefined)
    t.is(store.stats().refusedWrites, 1)
  })

  test('a touch that leaves the expiry as it is says so, because nobody is told of it', async (t) => {
    const renew = (body) => server.command('EVAL', scripts.renew.text, '1', 'lasting', body, '', '')
    await server.command('SET', 'lasting', 'body', 'PX', String(HOUR))
    t.deepEqual(
      [await renew('body'), await renew('body'), await renew('other')],
      [1, 2, ['body', -1]],
    )
  })
})
