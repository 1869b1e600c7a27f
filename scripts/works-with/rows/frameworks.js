'use strict'

/** Frameworks and what goes with them: each an app that is visited over HTTP. */

const assert = require('node:assert/strict')
const { createRequire } = require('node:module')
const { succeed } = require('../processes.js')
const { client, visitServer } = require('../visit.js')
const openid = require('./openid.js')

const SESSION = 'express-session'
const NEST = ['@nestjs/core', '@nestjs/common', '@nestjs/platform-express', 'reflect-metadata']
const TYPES = ['typescript@5', '@types/node@20', '@types/express', '@types/express-session']

module.exports = [
  web('express-4', 'Express 4', ['express@4', SESSION], 'express.cjs'),
  web('express-5', 'Express 5', ['express@5', SESSION], 'express.cjs'),
  {
    name: 'nestjs',
    title: 'NestJS',
    packages: [...NEST, 'rxjs', 'express', SESSION, ...TYPES],
    version: '@nestjs/core',
    async check(app) {
      app.copy(
        'gate.cjs',
        'gate.d.cts',
        ['nest/main.mts', 'main.mts'],
        ['nest/tsconfig.json', 'tsconfig.json'],
      )
      await succeed(app.bin('tsc'), [], { cwd: app.folder })
      await visited(app, 'main.mjs')
    },
  },
  {
    name: 'nextjs',
    title: 'Next.js with a custom server',
    packages: ['next', 'react', 'react-dom', SESSION],
    version: 'next',
    note: 'https://nextjs.org/docs/pages/guides/custom-server',
    async check(app) {
      app.copy('gate.cjs', ['next', '.'])
      const env = { NEXT_TELEMETRY_DISABLED: '1' }
      await succeed(app.bin('next'), ['build'], { cwd: app.folder, env })
      await visited(app, 'server.cjs', async ({ url }) => {
        const ann = client(url)
        await ann.post('/login', { user: 'ann' })
        assert.match(await ann.get('/profile'), /profile of ann/)
      })
    },
  },
  web('fastify', 'Fastify', ['fastify', '@fastify/session', '@fastify/cookie'], 'fastify.cjs'),
  web('koa', 'Koa', ['koa', 'koa-session'], 'koa.cjs', async ({ url }) => {
    const ann = client(url)
    await ann.post('/login', { user: 'ann' })
    assert.deepEqual(await ann.get('/later'), { isThere: true }, 'the ttl is that of koa-session')
  }),
  web('hono', 'Hono', ['hono', '@hono/node-server', SESSION], 'hono.mjs'),
  {
    ...web(
      'apollo',
      'Apollo Server',
      ['@apollo/server', '@as-integrations/express5', 'graphql', 'express@5', SESSION],
      'apollo.cjs',
    ),
    version: '@apollo/server',
  },
  web(
    'passport',
    'Passport',
    ['passport', 'passport-local', 'express', SESSION],
    'passport.cjs',
    users,
  ),
  web(
    'socket.io',
    'socket.io',
    ['socket.io', 'socket.io-client', 'express', SESSION],
    'socket.cjs',
    sockets,
  ),
  openid,
]

/** An app of one file, which is visited. */
function web(name, title, packages, file, more) {
  return {
    name,
    title,
    packages,
    version: packages[0].replace(/(.)@.*/, '$1'),
    async check(app) {
      app.copy('gate.cjs', file)
      await visited(app, file, more)
    },
  }
}

function visited(app, file, more) {
  return visitServer(process.execPath, [file], { cwd: app.folder }, (server) => more?.(server, app))
}

/** `user: 'passport.user'` counts who is logged in, also where the login keeps the session. */
async function users({ url }) {
  const phone = client(url)
  await phone.post('/login', { user: 'cyd' })
  const laptop = client(url)
  await laptop.post('/cart')
  await laptop.post('/login-keeping', { user: 'cyd' })
  assert.deepEqual(await laptop.get('/'), { user: 'cyd', views: 1, cart: 'full' })
  assert.deepEqual(await laptop.get('/devices/cyd'), { devices: 2 })
  await phone.post('/logout')
  assert.deepEqual(await laptop.get('/devices/cyd'), { devices: 1 })
  assert.deepEqual(await laptop.post('/end/cyd'), { ended: 1 })
  assert.equal((await laptop.get('/')).user, undefined)
}

/** A message counts in the session, and the logout closes the socket. */
async function sockets({ url }, app) {
  const { io } = createRequire(app.path('x.js'))('socket.io-client')
  const ann = client(url)
  await ann.post('/login', { user: 'ann' })
  const extraHeaders = { cookie: ann.cookie() }
  const socket = io(url, { extraHeaders, transports: ['websocket'] })
  try {
    const closed = new Promise((resolve) => socket.once('disconnect', resolve))
    assert.equal(await socket.emitWithAck('message'), 1)
    assert.equal(await socket.emitWithAck('message'), 2)
    assert.deepEqual(await ann.get('/'), { user: 'ann', views: 1, messages: 2 })
    await ann.post('/logout')
    assert.equal(await closed, 'io server disconnect')
  } finally {
    socket.close()
  }
}
