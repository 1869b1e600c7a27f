'use strict'

/**
 * What each app is asked over HTTP: a login, views that are counted from one request to the next,
 * two users who do not see each other, and a logout that stays.
 */

const assert = require('node:assert/strict')
const { setTimeout: sleep } = require('node:timers/promises')
const { serve } = require('./processes.js')

module.exports = { client, visit, visitServer }

/** Starts a server, visits it, checks what `more` there is to it, and stops it. */
async function visitServer(file, args, options, more = () => {}) {
  const server = await serve(file, args, options)
  try {
    await visit(server)
    await more(server)
  } finally {
    await server.stop()
  }
}

/** Visits the app at `url`; with a `gate` also by a request that overlaps with the logout. */
async function visit({ url, gate }) {
  const ann = client(url)
  const bob = client(url)
  assert.equal((await ann.get('/')).user, undefined, 'nobody is logged in')
  await ann.post('/login', { user: 'ann' })
  await bob.post('/login', { user: 'bob' })
  for (const views of [1, 2, 3]) assert.deepEqual(await ann.get('/'), { user: 'ann', views })
  assert.deepEqual(await bob.get('/'), { user: 'bob', views: 1 })

  const kept = ann.copy()
  if (gate) await logOutWhile(kept.copy(), gate, () => ann.post('/logout'))
  else await ann.post('/logout')
  assert.equal((await kept.get('/')).user, undefined, 'the logout stays')
  assert.deepEqual(await bob.get('/'), { user: 'bob', views: 2 })
}

/** Logs out while a slow request has loaded the session and has not yet written it. */
async function logOutWhile(slow, gate, logOut) {
  const answer = slow.get('/slow')
  await Promise.race([isWaiting(gate), answer])
  await logOut()
  await fetch(`${gate}/release`)
  await answer
}

async function isWaiting(gate) {
  while ((await (await fetch(`${gate}/waiting`)).text()) !== '1') await sleep(5)
}

/** A browser that keeps cookies that have ended too, so that it is the store which ends a login. */
function client(url, cookies = new Map()) {
  const jar = new Map(cookies)
  const request = async (method, path, body) => {
    const headers = { connection: 'close', cookie: [...jar.values()].join('; ') }
    if (body) headers['content-type'] = 'application/json'
    const answer = await fetch(url + path, {
      method,
      headers,
      body: body && JSON.stringify(body),
      redirect: 'manual',
      signal: AbortSignal.timeout(60_000),
    })
    for (const line of answer.headers.getSetCookie()) {
      const [cookie] = line.split(';')
      if (!cookie.endsWith('=')) jar.set(cookie.split('=')[0], cookie)
    }
    const text = await answer.text()
    assert.ok(answer.status < 400, `${method} ${path}: ${answer.status} ${text}`)
    return text.startsWith('{') ? JSON.parse(text) : text
  }
  return {
    get: (path) => request('GET', path),
    post: (path, body = {}) => request('POST', path, body),
    copy: () => client(url, jar),
    cookie: () => [...jar.values()].join('; '),
  }
}
