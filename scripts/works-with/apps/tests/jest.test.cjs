'use strict'

/* global afterEach, expect, jest, test */

const { join } = require('node:path')

afterEach(() => {
  jest.useRealTimers()
  jest.resetModules()
})

function createStore(options) {
  const session = require('express-session')
  const MemoryStore = require('memorystore-rs')(session)
  return new MemoryStore({ checkPeriod: 1000, ...options })
}

test('a session expires and is pruned by fake timers', async () => {
  jest.useFakeTimers({ now: 1_700_000_000_000 })
  const store = createStore()
  await store.set('sid', { cookie: { maxAge: 5000 } })
  jest.advanceTimersByTime(4000)
  expect(await store.get('sid')).toBeDefined()
  jest.advanceTimersByTime(4000)
  expect(await store.get('sid')).toBeUndefined()
})

test('modules that are reset load again', async () => {
  const first = createStore()
  await first.set('sid', { cookie: {}, views: 1 })
  jest.resetModules()
  const second = createStore()
  expect(await second.get('sid')).toBeUndefined()
  expect((await first.get('sid')).views).toBe(1)
})

test('an error is one of the realm of the test', async () => {
  await expect(createStore().get(undefined)).rejects.toBeInstanceOf(TypeError)
})

test('stores by name and on a path', async () => {
  for (const options of [{ name: 'web' }, { path: join(__dirname, 'sessions') }]) {
    const store = createStore(options)
    await store.set('sid', { cookie: {}, views: 1 })
    expect((await store.get('sid')).views).toBe(1)
    await store.close()
  }
})
