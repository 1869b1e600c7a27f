'use strict'

// The example app on Redis: several of them are as many machines.

const { createClient: createRedisClient } = require('redis')
const { startServer } = require('../helpers/redis-servers.js')
const {
  isLoginPage,
  login,
  logout,
  run,
  start,
  tokenOn,
  viewsOn,
} = require('../helpers/example.js')
const { createClient } = require('../helpers/http.js')
const { onEachServer } = require('../helpers/on-each-server.js')

onEachServer((test, { binary }) => {
  test('apps with one REDIS_URL share a login and a logout, also after a start', async (t) => {
    const server = await startServer({ binary })
    t.teardown(() => server.kill())
    const env = { REDIS_URL: server.url }
    const [one, other] = [await start(t, env), await start(t, env)]
    const { client } = one
    t.is(viewsOn(await login(client, 'Ada')), 1)

    const elsewhere = createClient(other.url, client.jar)
    t.is(viewsOn(await elsewhere.get('/')), 2)

    one.child.kill('SIGTERM')
    const { code, stderr } = await one.ended
    t.deepEqual([code, stderr], [0, ''])
    const again = createClient((await start(t, env)).url, client.jar)
    t.is(viewsOn(await again.get('/')), 3)

    await logout(elsewhere)
    t.true(isLoginPage(await again.get('/')))
  })

  test('apps with one REDIS_URL show one list of sessions, and end one another’s', async (t) => {
    const server = await startServer({ binary })
    t.teardown(() => server.kill())
    const env = { REDIS_URL: server.url }
    const [one, other] = [await start(t, env), await start(t, env)]
    await login(one.client, 'Ada')
    await login(other.client, 'Ada')

    const page = await one.client.get('/sessions')
    const [id] = [...page.body.matchAll(/name="id" value="([^"]+)"/g)].map(([, id]) => id)
    await one.client.submit('/sessions/end', { id, token: tokenOn(page) })
    t.true(isLoginPage(await other.client.get('/')))
    t.is(viewsOn(await one.client.get('/')), 2)
  })

  test('the secret is not in the Redis of the sessions', async (t) => {
    const server = await startServer({ binary })
    t.teardown(() => server.kill())
    const { client } = await start(t, { REDIS_URL: server.url })
    await login(client, 'Ada')
    const redis = await createRedisClient({ url: server.url }).connect()
    t.teardown(() => redis.destroy())
    for (const key of await redis.keys('*')) t.regex(key, /^memorystore-rs-example:/)
  })

  test('the operator’s page says that its figures are those of the near-cache', async (t) => {
    const server = await startServer({ binary })
    t.teardown(() => server.kill())
    const OPERATOR_TOKEN = 'a token of 16 or more'
    const { url } = await start(t, { REDIS_URL: server.url, OPERATOR_TOKEN })
    const authorization = `Basic ${Buffer.from(`:${OPERATOR_TOKEN}`).toString('base64')}`
    const page = await (await fetch(`${url}/operator`, { headers: { authorization } })).text()
    t.true(page.includes('Sessions, memory and evictions are those of the near-cache.'))
    // What a store on Redis does not count.
    t.false(page.includes('Evicted of users'))
    t.false(/NaN|undefined/.test(page))
  })

  test('WORKERS share a login through REDIS_URL', async (t) => {
    const server = await startServer({ binary })
    t.teardown(() => server.kill())
    const app = await start(t, { REDIS_URL: server.url, WORKERS: '2' })
    await login(app.client, 'Ada')
    const answered = new Set()
    let views = 1
    while (answered.size < 2) {
      const page = await app.client.get('/')
      t.is(viewsOn(page), ++views)
      answered.add(/process (\d+)/.exec(page.body)[1])
    }
    t.is(app.printed.stderr, '')
  })

  test('a REDIS_URL without a server is an error that names the variable', async (t) => {
    const server = await startServer({ binary })
    await server.kill()
    const { ended } = run(t, { REDIS_URL: server.url })
    const { code, stdout, stderr } = await ended
    t.deepEqual([code, stdout], [1, ''])
    t.regex(stderr, /^cannot connect to REDIS_URL: /)
  })
})
