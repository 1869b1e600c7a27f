'use strict'

const assert = require('node:assert')
const { join } = require('node:path')
const test = require('node:test')
const session = require('express-session')
const MemoryStore = require('memorystore-rs')(session)

const KINDS = { memory: {}, name: { name: 'web' }, path: { path: join(__dirname, 'sessions') } }

for (const [kind, options] of Object.entries(KINDS)) {
  test(`a store that is left open: ${kind}`, async () => {
    const store = new MemoryStore({ checkPeriod: 60_000, ...options })
    await store.set('sid', { cookie: {}, views: 1 })
    assert.strictEqual((await store.get('sid')).views, 1)
  })
}

test('a session expires and is pruned by mocked timers', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval', 'setTimeout', 'Date'], now: 1_700_000_000_000 })
  const store = new MemoryStore({ checkPeriod: 1000 })
  await store.set('sid', { cookie: { maxAge: 5000 } })
  t.mock.timers.tick(4000)
  assert.ok(await store.get('sid'))
  t.mock.timers.tick(4000)
  assert.strictEqual(await store.get('sid'), undefined)
})
