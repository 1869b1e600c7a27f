'use strict'

/** express-openid-connect: the store is made with its `auth`; a provider that knows everybody. */

const assert = require('node:assert/strict')
const { createServer } = require('node:http')
const { createSign, generateKeyPairSync } = require('node:crypto')
const { once } = require('node:events')
const { serve } = require('../processes.js')

const keys = generateKeyPairSync('rsa', { modulusLength: 2048 })

module.exports = {
  name: 'express-openid-connect',
  title: 'express-openid-connect',
  packages: ['express-openid-connect', 'express'],
  version: 'express-openid-connect',
  async check(app) {
    app.copy('gate.cjs', 'openid.cjs')
    const provider = await startProvider()
    const env = { ISSUER: provider.url }
    const server = await serve(process.execPath, ['openid.cjs'], { cwd: app.folder, env })
    try {
      await visit(server.url, provider.url)
    } finally {
      await server.stop()
      provider.stop()
    }
  },
}

async function visit(url, issuer) {
  const ann = browser(url)
  assert.equal(await ann.who(), undefined)
  await ann.login(issuer, 'ann')
  assert.equal(await ann.who(), 'ann')
  assert.equal(await ann.who(), 'ann')
  const kept = ann.copy()
  await ann.get('/logout')
  assert.equal(await kept.who(), undefined, 'the logout stays')
  await ann.login(issuer, 'ann')
  assert.equal(await ann.who(), 'ann')
}

async function startProvider() {
  const server = createServer((req, res) => {
    const own = `http://localhost:${server.address().port}`
    const jwk = {
      ...keys.publicKey.export({ format: 'jwk' }),
      kid: 'key',
      use: 'sig',
      alg: 'RS256',
    }
    const configuration = {
      issuer: `${own}/`,
      authorization_endpoint: `${own}/authorize`,
      jwks_uri: `${own}/jwks`,
      token_endpoint: `${own}/token`,
      response_types_supported: ['id_token', 'code'],
      response_modes_supported: ['form_post'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256'],
    }
    res.setHeader('content-type', 'application/json')
    res.end(JSON.stringify(req.url === '/jwks' ? { keys: [jwk] } : configuration))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const stop = () => {
    server.close()
    server.closeAllConnections()
  }
  return { url: `http://localhost:${server.address().port}`, stop }
}

function browser(url, cookies = new Map()) {
  const jar = new Map(cookies)
  const request = async (path, init = {}) => {
    const headers = { ...init.headers, cookie: [...jar.values()].join('; '), connection: 'close' }
    const answer = await fetch(url + path, { redirect: 'manual', ...init, headers })
    for (const line of answer.headers.getSetCookie()) {
      const [cookie] = line.split(';')
      if (!cookie.endsWith('=')) jar.set(cookie.split('=')[0], cookie)
    }
    return answer
  }
  return {
    get: request,
    who: async () => (await (await request('/who')).json()).user,
    copy: () => browser(url, jar),
    async login(issuer, sub) {
      const away = new URL((await request('/login')).headers.get('location'))
      const { nonce, state } = Object.fromEntries(away.searchParams)
      const answer = await request('/callback', {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: String(new URLSearchParams({ id_token: idToken(issuer, sub, nonce), state })),
      })
      assert.equal(answer.status, 302, await answer.text())
    },
  }
}

function idToken(issuer, sub, nonce) {
  const iat = Math.floor(Date.now() / 1000)
  const claims = { iss: `${issuer}/`, sub, aud: 'client', iat, exp: iat + 3600, nonce }
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const text = `${encode({ alg: 'RS256', kid: 'key', typ: 'JWT' })}.${encode(claims)}`
  return `${text}.${createSign('RSA-SHA256').update(text).sign(keys.privateKey, 'base64url')}`
}
