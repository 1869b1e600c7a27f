'use strict'

/**
 * The example app as a person uses it: started as a process, clicked through over HTTP, and
 * ended by a signal.
 */

const { writeFile } = require('node:fs/promises')
const { createHmac } = require('node:crypto')
const { once } = require('node:events')
const { connect, createServer } = require('node:net')
const test = require('ava')
const {
  isLoginPage,
  login,
  logout,
  makePath,
  run,
  start,
  viewsOn,
} = require('./helpers/example.js')
const { createClient } = require('./helpers/http.js')
const { until } = require('./helpers/stores.js')

const COOKIE = 'memorystore-rs.sid'
const LIFETIME = 30 * 60_000

test('login, counter and logout', async (t) => {
  const { client } = await start(t)
  const visit = await client.get('/')
  t.true(isLoginPage(visit))
  t.deepEqual(visit.cookies, [])

  const page = await login(client, 'Ada')
  t.is(page.status, 200)
  t.true(page.body.includes('Hello, Ada'))
  t.is(viewsOn(page), 1)
  t.is(viewsOn(await client.get('/')), 2)
  t.is(viewsOn(await client.get('/')), 3)

  const kept = client.copy()
  const { status, headers } = await logout(client)
  t.is(status, 303)
  t.is(headers.get('location'), '/')
  t.is(client.jar.get(COOKIE), '')
  t.true(isLoginPage(await client.get('/')))
  t.true(isLoginPage(await kept.get('/')))
})

test('each login gets a new session id, and each browser its own session', async (t) => {
  const { url, client } = await start(t)
  await login(client, 'Ada')
  const before = client.copy()
  t.is(viewsOn(await login(client, 'Bob')), 1)
  t.not(client.jar.get(COOKIE), before.jar.get(COOKIE))
  t.true(isLoginPage(await before.get('/')))

  const page = await login(createClient(url), 'Cyd')
  t.is(viewsOn(page), 1)
  t.true(page.body.includes('<dt>Sessions in the store</dt>'))
  t.regex(page.body, /Sessions in the store<\/dt>\s*<dd>2</)
})

test('the page shows when the session expires, as renewed by this view', async (t) => {
  const { client } = await start(t)
  await login(client, 'Ada')
  const before = Date.now()
  const { body } = await client.get('/')
  // express-session reads the clock twice, so a millisecond may be missing.
  t.regex(body, /\b30 minutes after the last view/)
  const expires = Date.parse(/<time datetime="([^"]+)"/.exec(body)[1])
  t.true(expires >= before + LIFETIME)
  t.true(expires <= Date.now() + LIFETIME)
})

test('the cookie is httpOnly and of this site', async (t) => {
  const { client } = await start(t)
  const { cookies } = await client.submit('/login', { name: 'Ada' })
  t.is(cookies.length, 1)
  t.regex(cookies[0], /; HttpOnly/)
  t.regex(cookies[0], /; SameSite=Lax/)
})

test('a name is printed as text, whatever it holds', async (t) => {
  const { client } = await start(t)
  const { body } = await login(client, `<b>Zoë</b> & "Ада" 👩‍🚀 o'`)
  t.false(body.includes('<b>'))
  t.true(body.includes('&#60;b&#62;Zoë&#60;/b&#62; &#38; &#34;Ада&#34; 👩‍🚀 o&#39;'))
})

test('a login without a proper name is refused, and starts no session', async (t) => {
  const { client } = await start(t)
  const forms = [{}, { name: '' }, { name: '  ' }, { name: 'x'.repeat(41) }]
  for (const fields of [...forms, 'name=Ada&name=Bob']) {
    const { status, cookies, body } = await client.submit('/login', fields)
    t.is(status, 400)
    t.deepEqual(cookies, [])
    t.true(body.includes('A name has 1 to 40 characters.'))
  }
  t.is((await client.post('/login', { name: 'Ada' })).status, 400)
})

test('following a link changes nothing', async (t) => {
  const { client } = await start(t)
  await login(client, 'Ada')
  for (const path of ['/login', '/logout']) t.is((await client.get(path)).status, 404)
  t.is(viewsOn(await client.get('/')), 2)
})

test('SESSION_SECRET signs the cookies', async (t) => {
  const { client } = await start(t, { SESSION_SECRET: 'a secret' })
  await login(client, 'Ada')
  const [, sid, signature] = /^s:(.+?)\.(.+)$/.exec(decodeURIComponent(client.jar.get(COOKIE)))
  const hmac = createHmac('sha256', 'a secret').update(sid).digest('base64')
  t.is(signature, hmac.replace(/=+$/, ''))
})

for (const signal of ['SIGTERM', 'SIGINT']) {
  test(`${signal} ends it cleanly, having printed one line`, async (t) => {
    const { child, url, client, ended } = await start(t)
    await login(client, 'Ada')
    // As browsers do, in case they need one later.
    const silent = connect(new URL(url).port, 'localhost')
    silent.on('error', () => {})
    t.teardown(() => silent.destroy())
    await once(silent, 'connect')

    child.kill(signal)
    child.kill(signal)
    t.deepEqual(await ended, { code: 0, signal: null, stdout: `Open ${url}\n`, stderr: '' })
  })
}

/** Holds a port: `port`, unless somebody else does already, or any one. */
async function occupy(t, port = 0) {
  const server = createServer()
  server.listen(port)
  t.teardown(() => server.close())
  const taken = once(server, 'error').then(([err]) => {
    if (err.code !== 'EADDRINUSE') throw err
  })
  await Promise.race([once(server, 'listening'), taken])
  return port || server.address().port
}

/** A port that is free, and that the system gives to none of those who ask for any one. */
async function freePort() {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 10_000)
    const server = createServer()
    const isFree = once(server, 'listening').then(
      () => true,
      () => false,
    )
    server.listen(port)
    if (!(await isFree)) continue
    server.close()
    await once(server, 'close')
    return port
  }
}

test('PORT is the port', async (t) => {
  const port = await freePort()
  const { url, client } = await start(t, { PORT: String(port) })
  t.is(url, `http://localhost:${port}`)
  t.true(isLoginPage(await client.get('/')))
})

test('without PORT and with 3000 taken it finds a free port', async (t) => {
  await occupy(t, 3000)
  for (const PORT of [undefined, '']) {
    const { url, client } = await start(t, { PORT })
    t.not(url, 'http://localhost:3000')
    t.true(isLoginPage(await client.get('/')))
  }
})

test('a PORT that is taken is an error that names it', async (t) => {
  const port = await occupy(t)
  const { code, stdout, stderr } = await run(t, { PORT: String(port) }).ended
  t.is(code, 1)
  t.is(stdout, '')
  t.regex(stderr, new RegExp(`^cannot listen on port ${port}: .*EADDRINUSE.*\n$`))
})

for (const PORT of ['http', '-1', '65536', '80.5', ' 80', '0x50']) {
  test(`PORT=${JSON.stringify(PORT)} is an error that says what a port is`, async (t) => {
    t.deepEqual(await run(t, { PORT }).ended, {
      code: 1,
      signal: null,
      stdout: '',
      stderr: `PORT is ${JSON.stringify(PORT)}, but has to be a number from 0 to 65535\n`,
    })
  })
}

function pidOn({ body }) {
  return Number(/answered by process (\d+)</.exec(body)?.[1])
}

test('the page tells which process answered only where there may be several', async (t) => {
  const { client } = await start(t)
  t.false((await client.get('/')).body.includes('answered by'))

  const kept = await start(t, { SESSIONS_PATH: await makePath(t) })
  t.is(pidOn(await kept.client.get('/')), kept.child.pid)
})

for (const signal of ['SIGTERM', 'SIGKILL']) {
  test(`with SESSIONS_PATH a login survives ${signal} and a start`, async (t) => {
    const env = { SESSIONS_PATH: await makePath(t) }
    const { child, client, ended } = await start(t, env)
    await login(client, 'Ada')
    t.is(viewsOn(await client.get('/')), 2)
    child.kill(signal)
    await ended

    const next = await start(t, env)
    const page = await createClient(next.url, client.jar).get('/')
    t.true(page.body.includes('Hello, Ada'))
    t.is(viewsOn(page), 3)
    t.is(pidOn(page), next.child.pid)
  })
}

test('WORKERS share a login, and one that is killed is replaced', async (t) => {
  const { client } = await start(t, { SESSIONS_PATH: await makePath(t), WORKERS: '2' })
  let views = viewsOn(await login(client, 'Ada'))
  const pids = new Set()
  while (pids.size < 2) {
    const page = await client.get('/')
    t.is(viewsOn(page), ++views)
    pids.add(pidOn(page))
  }

  const [victim] = pids
  process.kill(victim, 'SIGKILL')
  await until(() => !isThere(victim))
  while (pids.size < 3) {
    const page = await client.get('/')
    t.is(viewsOn(page), ++views)
    pids.add(pidOn(page))
  }
})

function isThere(pid) {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

for (const signal of ['SIGTERM', 'SIGINT']) {
  test(`${signal} ends the workers too, and their login is there at the next start`, async (t) => {
    const env = { SESSIONS_PATH: await makePath(t), WORKERS: '2' }
    const { child, url, client, ended } = await start(t, env)
    await login(client, 'Ada')
    child.kill(signal)
    child.kill(signal)
    t.deepEqual(await ended, { code: 0, signal: null, stdout: `Open ${url}\n`, stderr: '' })

    const next = await start(t, { ...env, WORKERS: '3' })
    t.is(viewsOn(await createClient(next.url, client.jar).get('/')), 2)
  })
}

test('WORKERS without SESSIONS_PATH are told to have sessions of their own', async (t) => {
  const { child, ended } = await start(t, { WORKERS: '2' })
  child.kill('SIGTERM')
  const { code, stderr } = await ended
  t.is(code, 0)
  t.regex(stderr, /^Without SESSIONS_PATH or REDIS_URL each worker has sessions of its own/)
})

for (const WORKERS of [undefined, '2']) {
  test(`a SESSIONS_PATH that is a file is an error that names it, WORKERS=${WORKERS}`, async (t) => {
    const path = await makePath(t)
    await writeFile(path, '')
    for (const SESSION_SECRET of [undefined, 'a secret']) {
      const env = { SESSIONS_PATH: path, SESSION_SECRET, WORKERS }
      const { code, stdout, stderr } = await run(t, env).ended
      t.is(code, 1)
      t.is(stdout, '')
      t.true(stderr.includes(path), stderr)
      t.false(stderr.includes('    at '), stderr)
    }
  })
}

test('with WORKERS a PORT that is taken is an error that names it', async (t) => {
  const port = await occupy(t)
  const { code, stdout, stderr } = await run(t, { PORT: String(port), WORKERS: '2' }).ended
  t.is(code, 1)
  t.is(stdout, '')
  t.true(stderr.startsWith(`cannot listen on port ${port}: `), stderr)
})

for (const WORKERS of ['two', '0', '-1', '65', '1.5']) {
  test(`WORKERS=${JSON.stringify(WORKERS)} is an error that says what it has to be`, async (t) => {
    t.deepEqual(await run(t, { WORKERS }).ended, {
      code: 1,
      signal: null,
      stdout: '',
      stderr: `WORKERS is ${JSON.stringify(WORKERS)}, but has to be a number from 1 to 64\n`,
    })
  })
}
