'use strict'

/* global describe, it */

const assert = require('node:assert')
const { join } = require('node:path')
const session = require('express-session')
const MemoryStore = require('memorystore-rs')(session)

describe('a store that is left open', () => {
  const kinds = { memory: {}, name: { name: 'web' }, path: { path: join(__dirname, 'sessions') } }
  for (const [kind, options] of Object.entries(kinds)) {
    it(kind, async () => {
      const store = new MemoryStore({ checkPeriod: 60_000, ...options })
      await store.set('sid', { cookie: {}, views: 1 })
      assert.strictEqual((await store.get('sid')).views, 1)
      await assert.rejects(store.get(undefined), TypeError)
    })
  }
})
