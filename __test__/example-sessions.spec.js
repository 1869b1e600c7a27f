'use strict'

/** "Your sessions" of the example app, over HTTP; browser.spec.js has it in a browser. */

const test = require('ava')
const { describeDevice } = require('../example/device.js')
const { html, raw } = require('../example/pages/html.js')
const { ago, date } = require('../example/pages/times.js')
const helpers = require('./helpers/example.js')
const { createClient } = require('./helpers/http.js')

const { isLoginPage, login, logout, makePath, start, tokenOn, viewsOn } = helpers

const FIREFOX = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0'
const IPHONE =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1'
const PIXEL =
  'Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Mobile Safari/537.36'

/** What the list shows: of each session its device, whether it is this one, and its handle. */
async function listOf(client) {
  const page = await client.get('/sessions')
  const items = page.body.split('<li>').slice(1)
  return items.map((item) => ({
    device: /<h2>\s*([^<]*?)\s*</.exec(item)[1],
    isThis: item.includes('This one'),
    id: /name="id" value="([^"]+)"/.exec(item)?.[1],
  }))
}

/** Presses a button of the list. */
async function press(client, path, fields) {
  const token = tokenOn(await client.get('/sessions'))
  return client.submit(path, { token, ...fields })
}

async function logInAs(url, name, count) {
  const clients = Array.from({ length: count }, () => createClient(url))
  for (const client of clients) await login(client, name)
  return clients
}

const KINDS = {
  'in memory': () => ({}),
  'with SESSIONS_PATH': async (t) => ({ SESSIONS_PATH: await makePath(t) }),
  'with WORKERS': async (t) => ({ SESSIONS_PATH: await makePath(t), WORKERS: '2' }),
}

for (const [kind, makeEnv] of Object.entries(KINDS)) {
  test(`one session is ended, then all others, ${kind}`, async (t) => {
    const { url } = await start(t, await makeEnv(t))
    const [one, second, third] = await logInAs(url, 'Ada', 3)
    const [stranger] = await logInAs(url, 'Bob', 1)

    const list = await listOf(one)
    t.is(list.length, 3)
    t.deepEqual(
      list.map(({ isThis }) => isThis),
      [true, false, false],
    )
    // Used last comes first: the second was, before the third.
    const { status, headers } = await press(one, '/sessions/end', { id: list[2].id })
    t.deepEqual([status, headers.get('location')], [303, '/sessions'])
    t.true(isLoginPage(await second.get('/')))
    t.is(viewsOn(await third.get('/')), 2)
    t.is((await listOf(one)).length, 2)

    await press(one, '/sessions/end-others')
    t.true(isLoginPage(await third.get('/')))
    t.is((await listOf(one)).length, 1)
    t.is(viewsOn(await stranger.get('/')), 2)
  })
}

test('a form without the token of the session changes nothing', async (t) => {
  const { url } = await start(t)
  const [one, other] = await logInAs(url, 'Ada', 2)
  const [, { id }] = await listOf(one)
  const wrong = tokenOn(await other.get('/sessions'))
  for (const path of ['/sessions/end', '/sessions/end-others', '/logout']) {
    for (const fields of [{ id }, { id, token: '' }, { id, token: wrong }]) {
      t.is((await one.submit(path, fields)).status, 403, path)
    }
    t.is((await one.submit(path, `id=${id}&token=${wrong}&token=${wrong}`)).status, 403)
    t.is((await one.get(path)).status, 404)
  }
  t.is((await listOf(one)).length, 2)
  t.is(viewsOn(await other.get('/')), 2)
})

test('a handle of somebody else ends nothing', async (t) => {
  const { url } = await start(t)
  const [ada] = await logInAs(url, 'Ada', 1)
  const [bob, bobsOther] = await logInAs(url, 'Bob', 2)
  const [, { id }] = await listOf(bob)
  for (const wrong of [id, '', 'x', '../']) {
    t.is((await press(ada, '/sessions/end', { id: wrong })).status, 303)
  }
  t.is((await press(ada, '/sessions/end')).status, 303)
  t.is(viewsOn(await bobsOther.get('/')), 2)
  t.is((await listOf(bob)).length, 2)
})

test('who is not logged in is sent to the login', async (t) => {
  const { client } = await start(t)
  const responses = [
    await client.get('/sessions'),
    await client.submit('/sessions/end', { id: 'x' }),
    await client.submit('/sessions/end-others'),
  ]
  for (const { status, headers } of responses) {
    t.deepEqual([status, headers.get('location')], [303, '/'])
  }
  // There is no session, so no token can fit.
  t.is((await client.submit('/logout', { token: '' })).status, 403)
})

test('no page has a sid in it', async (t) => {
  const { url } = await start(t)
  const clients = await logInAs(url, 'Ada', 3)
  const sids = clients.map(
    ({ jar }) => decodeURIComponent(jar.get('memorystore-rs.sid')).slice(2).split('.')[0],
  )
  for (const path of ['/', '/sessions']) {
    const { body } = await clients[0].get(path)
    for (const sid of sids) t.false(body.includes(sid), path)
  }
})

test('a list has 20 sessions at most: the one used longest ago is ended at the next login', async (t) => {
  const { url } = await start(t)
  const clients = await logInAs(url, 'Ada', 21)
  t.is((await listOf(clients[20])).length, 20)
  t.true(isLoginPage(await clients[0].get('/')))
  t.is(viewsOn(await clients[1].get('/')), 2)
})

test('a logout takes the session off the list', async (t) => {
  const { url } = await start(t)
  const [one, other] = await logInAs(url, 'Ada', 2)
  t.is((await logout(other)).status, 303)
  t.is((await listOf(one)).length, 1)
})

test('the list tells devices apart, and prints what they claim to be as text', async (t) => {
  const { url } = await start(t)
  const agents = [FIREFOX, 'x<b>x', '']
  const cookies = []
  for (const agent of agents) {
    const response = await fetch(`${url}/login`, {
      method: 'POST',
      body: new URLSearchParams({ name: 'Ada' }),
      headers: { 'user-agent': agent, connection: 'close' },
      redirect: 'manual',
    })
    cookies.push(response.headers.get('set-cookie').split(';')[0])
  }
  const headers = { cookie: cookies[0], connection: 'close' }
  const page = await (await fetch(`${url}/sessions`, { headers })).text()
  t.true(page.includes('Firefox on Windows'))
  t.true(page.includes('Unknown device'))
  t.false(page.includes('<b>x'))
})

test('a device is described in plain words', (t) => {
  t.is(describeDevice(FIREFOX), 'Firefox on Windows')
  t.is(describeDevice(IPHONE), 'Safari on iPhone')
  t.is(describeDevice(PIXEL), 'Chrome on Android, phone')
  t.is(describeDevice('curl/8.14.1'), 'curl')
  for (const agent of [undefined, '', '<b>', ' ', '\0']) {
    t.is(describeDevice(agent), 'Unknown device')
  }
})

test('times are told in words', (t) => {
  const MINUTE = 60_000
  const now = Date.UTC(2026, 10, 26, 15, 40)
  t.is(ago(now, now), 'just now')
  // The clock may have been set back.
  t.is(ago(now + MINUTE, now), 'just now')
  t.is(ago(now - 59_999, now), '59 seconds ago')
  t.is(ago(now - MINUTE, now), '1 minute ago')
  t.is(ago(now - 61 * MINUTE, now), '1 hour ago')
  t.is(ago(now - 24 * 60 * MINUTE, now), 'yesterday')
  t.is(date(now), '26 Nov 2026, 15:40 UTC')
})

test('templates escape what is put into them, but for templates', (t) => {
  const evil = `<a href="x">&'`
  const escaped = '&#60;a href=&#34;x&#34;&#62;&#38;&#39;'
  t.is(String(html`<p>${evil}</p>`), `<p>${escaped}</p>`)
  t.is(String(html`${[evil, html`<b>${evil}</b>`]}`), `${escaped}<b>${escaped}</b>`)
  t.is(String(html`${undefined}${false}${0}${raw('<br>')}`), '0<br>')
  t.is(String(html`${{ text: '<b>', toString: () => '<i>' }}`), '&#60;i&#62;')
})
