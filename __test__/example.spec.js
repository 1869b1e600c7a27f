'use strict'

/**
 * The example app as a person uses it: started as a process, clicked through over HTTP, and
 * ended by a signal.
 */

const { spawn } = require('node:child_process')
const { createHmac } = require('node:crypto')
const { once } = require('node:events')
const { connect, createServer } = require('node:net')
const { join } = require('node:path')
const test = require('ava')
const { createClient } = require('./helpers/http.js')

const SERVER = join(__dirname, '..', 'example', 'server.js')
const COOKIE = 'memorystore-rs.sid'
const LIFETIME = 30 * 60_000

/** Starts the example with `env`, which overrides PORT=0; collects what it prints. */
function run(t, env = {}) {
  const child = spawn(process.execPath, [SERVER], {
    env: { ...process.env, NODE_ENV: 'production', SESSION_SECRET: undefined, PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const printed = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr']) {
    child[name].setEncoding('utf8').on('data', (text) => (printed[name] += text))
  }
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal, ...printed }))
  return { child, printed, ended }
}

/** As `run`, and waits for the URL. */
async function start(t, env) {
  const app = run(t, env)
  const ended = app.ended.then(({ code, stderr }) => {
    throw new Error(`the example ended with ${code}: ${stderr}`)
  })
  ended.catch(() => {})
  while (!app.printed.stdout.includes('\n')) {
    await Promise.race([once(app.child.stdout, 'data'), ended])
  }
  const [url] = /http:\/\/localhost:\d+/.exec(app.printed.stdout)
  return { ...app, url, client: createClient(url) }
}

function viewsOn({ body }) {
  return Number(/<dd id="views">(\d+)</.exec(body)?.[1])
}

function isLoginPage({ status, body }) {
  return status === 200 && body.includes('action="/login"')
}

/** Logs in as a browser does: follows the redirect. */
async function login(client, name) {
  const { status, headers } = await client.submit('/login', { name })
  if (status !== 303) throw new Error(`the login failed with ${status}`)
  return client.get(headers.get('location'))
}

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
  const { status, headers } = await client.submit('/logout')
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

test('PORT is the port', async (t) => {
  const server = createServer().listen(0)
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')

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
