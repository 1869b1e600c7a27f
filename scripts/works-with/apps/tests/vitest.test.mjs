import { join } from 'node:path'
import session from 'express-session'
import createMemoryStore from 'memorystore-rs'
import { expect, test, vi } from 'vitest'

const MemoryStore = createMemoryStore(session)

test('stores in memory, by name and on a path are left open', async () => {
  for (const options of [{}, { name: 'web' }, { path: join(import.meta.dirname, 'sessions') }]) {
    const store = new MemoryStore({ checkPeriod: 20, ...options })
    await store.set('sid', { cookie: {}, views: 1 })
    expect((await store.get('sid')).views).toBe(1)
  }
})

test('a session expires by fake timers', async () => {
  vi.useFakeTimers({ now: 1_700_000_000_000, toFake: ['Date', 'setTimeout', 'setInterval'] })
  const store = new MemoryStore({ checkPeriod: 1000 })
  await store.set('sid', { cookie: { maxAge: 5000 } })
  vi.advanceTimersByTime(6500)
  expect(await store.get('sid')).toBeUndefined()
  vi.useRealTimers()
})

test('an error is one of the realm of the test', async () => {
  await expect(new MemoryStore({}).get(undefined)).rejects.toBeInstanceOf(TypeError)
})
