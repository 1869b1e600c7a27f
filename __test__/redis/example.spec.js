'use strict'

// The example app on Redis: several of them are as many machines.

const { startServer } = require('../helpers/redis-servers.js')
const { isLoginPage, login, logout, run, start, viewsOn } = require('../helpers/example.js')
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
