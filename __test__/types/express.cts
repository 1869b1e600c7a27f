// Types as an Express app in a CommonJS module sees them: every public item, and what must fail.

import session = require('express-session')
import createMemoryStore = require('memorystore-rs')

declare module 'express-session' {
  interface SessionData {
    user: string
  }
}

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const is = <T extends true>(..._proof: T[]): void => {}

const MemoryStore = createMemoryStore(session)
declare const data: session.SessionData

// The class and its options.
const store = new MemoryStore()
new MemoryStore({})
new MemoryStore(86400000)
new MemoryStore({ backing: new session.MemoryStore(), maxStale: 0, timeout: 1000 })
declare const another: session.Store
new MemoryStore({ backing: another })
new MemoryStore({
  backing: {
    get: async (sid) => ({ ...data, user: sid }),
    set: async (sid, sess) => void is<Equal<typeof sess, session.SessionData>>(),
    destroy: async () => {},
  },
})
// @ts-expect-error A store has to have `destroy`.
new MemoryStore({ backing: { get() {}, set() {} } })
new MemoryStore({ checkPeriod: 1000, max: 10, ttl: 500, stale: true, noDisposeOnSet: true })
new MemoryStore({ checkPeriod: undefined, max: undefined, ttl: undefined, serializer: JSON })
new MemoryStore({
  ttl: (options, sess, sid) => {
    is<Equal<typeof sess, session.SessionData>>()
    is<Equal<typeof sess.user, string>>()
    is<Equal<typeof sid, string>>()
    return options.max + (sess.cookie.maxAge ?? 0)
  },
  dispose: (sid, body, reason) => {
    is<Equal<typeof sid, string>>()
    is<Equal<typeof body, string | Buffer | Uint8Array>>()
    is<Equal<typeof reason, createMemoryStore.DisposeReason>>()
    // @ts-expect-error no such reason
    return reason === 'deleted'
  },
})
new MemoryStore({
  ttl: () => undefined,
  dispose: (sid: string) => sid.length,
  serializer: {
    stringify: (sess) => Buffer.from(sess.user),
    parse: (body: Buffer) => ({ user: body.toString() }),
  },
})
// What compiles with memorystore's own types.
new MemoryStore({
  dispose: (_sid: any, _body: any) => {},
  serializer: { stringify: (arg: object) => String(arg), parse: (text: string) => ({ text }) },
})

new MemoryStore({ user: 'passport.user', lifetime: 1000, maxPerUser: 3, whenFull: 'refuse' })
new MemoryStore({ user: 'passport.user', max: 5, anonymousFirst: false, hashSids: true })
new MemoryStore({ path: 'sessions', encryptionKeys: [new Uint8Array(32), 'text'] })
new MemoryStore({
  user: (sess) => {
    is<Equal<typeof sess, session.SessionData>>()
    return sess.user
  },
  lifetime: (options, sess, sid) => (sess.user === sid ? options.max : undefined),
  maxPerUser: (user, sess) => {
    is<Equal<typeof user, string>>()
    return sess.user === user ? 1 : undefined
  },
})
// @ts-expect-error an unknown word
new MemoryStore({ whenFull: 'wait' })

// @ts-expect-error an unknown option
new MemoryStore({ checkperiod: 1000 })
// @ts-expect-error text is no period
new MemoryStore({ checkPeriod: '1000' })
// @ts-expect-error text is no options
new MemoryStore('1000')
// @ts-expect-error null is no options
new MemoryStore(null)
// @ts-expect-error a ttl function returns a number
new MemoryStore({ ttl: () => '1000' })
// @ts-expect-error a body is text or bytes
new MemoryStore({ serializer: { stringify: () => 1, parse: () => data } })
// @ts-expect-error a serializer has parse too
new MemoryStore({ serializer: { stringify: () => '' } })
// @ts-expect-error a body may be bytes
new MemoryStore({ dispose: (_sid: string, _body: string[]) => {} })

// The sessions of a user.
async function devices() {
  const [first] = await store.sessionsOf('ada', { current: 'sid' })
  if (first === undefined) return undefined
  is<Equal<typeof first.id, string>>()
  is<Equal<typeof first.created, Date | undefined>>()
  is<Equal<typeof first.current, boolean>>()
  is<Equal<typeof first.session, session.SessionData>>()
  const count: number = await store.destroyUser(7n, { except: 'sid' })
  const user: string | undefined = (await store.info('sid'))?.user
  store.sessionsOf(7, (_err, list) => list?.map(({ used }) => used))
  store.destroyUser('ada', { only: first.id }, (_err, ended) =>
    is<Equal<typeof ended, number | undefined>>(),
  )
  store.info('sid', (_err, info) => info?.session.user)
  // @ts-expect-error an object is no user
  store.sessionsOf({ id: 7 })
  return [count, user]
}
devices()

// A store is express-session's.
session({ secret: 'secret', store })
const asStore: session.Store = store
is<Equal<ReturnType<typeof store.createSession>, session.Session & session.SessionData>>()
store.on('disconnect', () => {}).regenerate

// So is one of a module that is `any`, and all that may be cast to it.
const ofAny: session.Store = new (createMemoryStore(session as any))({ ttl: 1000 })
const whatever: any = {}
new (createMemoryStore(whatever))().get('sid', (err: any, sess) => [err, sess.anything])
new (createMemoryStore(whatever))(whatever).set(whatever, whatever, whatever)
new MemoryStore(whatever).set('sid', whatever)
session({ secret: 'secret', store: new (createMemoryStore(whatever))({ checkPeriod: 1000 }) })
// @ts-expect-error it still knows the options
new (createMemoryStore(session as any))({ checkperiod: 1000 })

// What two requests made of a session.
new MemoryStore({
  conflict: (base, theirs, mine) => {
    is<Equal<typeof base, session.SessionData>>()
    const merged: session.SessionData | undefined = MemoryStore.merge(base, theirs, mine)
    return { ...mine, ...merged, user: theirs.user + mine.user.slice(base.user.length) }
  },
})
new MemoryStore({ conflict: 'overwrite' })

// Which requests count.
new MemoryStore({
  isActivity: (sess, sid) => {
    is<Equal<typeof sess.user, string>>()
    is<Equal<typeof sid, string>>()
    return sess.req.path !== '/poll'
  },
})
// @ts-expect-error whether a request counts is known at once
new MemoryStore({ isActivity: async () => true })

// When a session has ended.
const stop = store.watch('sid', () => {})
is<Equal<typeof stop, () => void>>()
// @ts-expect-error there is no promise
store.watch('sid')
// @ts-expect-error a session is an object
new MemoryStore({ conflict: () => 'mine' })
// @ts-expect-error another word
new MemoryStore({ conflict: 'later' })

// So is one whose methods are only these.
type OnlyOurs = createMemoryStore.MemoryStore<session.SessionData>
const comparable = (ours: OnlyOurs): Pick<session.Store, keyof session.Store & keyof OnlyOurs> =>
  ours

// With a callback there is no result.
is<Equal<void, ReturnType<typeof withCallbacks>>>()
function withCallbacks() {
  store.get('sid', (err, sess) => {
    is<Equal<typeof err, any>>()
    is<Equal<typeof sess, session.SessionData | undefined>>()
  })
  store.all((_err, sessions) => {
    is<Equal<typeof sessions, { [sid: string]: session.SessionData } | undefined>>()
  })
  store.ids((_err, sids) => is<Equal<typeof sids, string[] | undefined>>())
  store.length((_err, length) => is<Equal<typeof length, number | undefined>>())
  store.destroy(['a', 'b'], (err: Error | null) => err)
  const results = [
    store.get('sid', () => {}),
    store.set('sid', data, () => {}),
    store.touch('sid', data, () => {}),
    store.destroy('sid', () => {}),
    store.ids(() => {}),
    store.all(() => {}),
    store.clear(() => {}),
    store.length(() => {}),
    store.prune(() => {}),
    store.close(() => {}),
    store.startInterval(),
    store.stopInterval(),
  ] as const
  is<Equal<(typeof results)[number], void>>()
}

// Without a callback there is a promise.
async function withPromises() {
  const found = store.get('sid')
  is<Equal<typeof found, Promise<session.SessionData | undefined>>>()
  const all = store.all()
  is<Equal<typeof all, Promise<{ [sid: string]: session.SessionData }>>>()
  const ids = store.ids()
  is<Equal<typeof ids, Promise<string[]>>>()
  const length = store.length()
  is<Equal<typeof length, Promise<number>>>()
  const done = [
    store.set('sid', data),
    store.touch('sid', data),
    store.destroy('sid'),
    store.destroy(['a', 'b'] as const),
    store.clear(),
    store.prune(),
    store.close(),
  ]
  is<Equal<typeof done, Promise<void>[]>>()
  await Promise.all(done)
}

// @ts-expect-error an object is no sid
store.get({})
// @ts-expect-error not a session
store.set('sid', { cookie: 1 })
// @ts-expect-error no session
store.set('sid')
// @ts-expect-error no callback
store.touch('sid', data, 'callback')
// @ts-expect-error an option is no result
store.length().toFixed()
// @ts-expect-error not a method
store.reset()

// What memorystore has besides its methods.
is<Equal<typeof store.options.max, number>>()
is<Equal<typeof store.options.checkPeriod, number | undefined>>()
is<Equal<typeof store._checkInterval, NodeJS.Timeout | undefined>>()
store.serializer.stringify(data)
const native: object = store.store

// The class can be extended and its types can be named.
class Counted extends MemoryStore {
  sets = 0

  constructor(options?: createMemoryStore.MemoryStoreOptions<session.SessionData>) {
    super(options)
  }

  override set(sid: string, sess: session.SessionData): Promise<void>
  override set(sid: string, sess: session.SessionData, fn?: (err?: any) => void): void
  override set(sid: string, sess: session.SessionData, fn?: (err?: any) => void) {
    this.sets++
    return fn ? super.set(sid, sess, fn) : super.set(sid, sess)
  }
}
session({ secret: 'secret', store: new Counted({ max: 1 }) })
const named: InstanceType<typeof MemoryStore> = new Counted()

// @ts-expect-error the module is what has the Store
createMemoryStore({})
// @ts-expect-error null is no module
createMemoryStore(null)
// @ts-expect-error the middleware is no module
createMemoryStore(session({ secret: 'secret' }))

// A module that has no types.
declare const untyped: any
const anyStore = new (createMemoryStore(untyped))()
is<Equal<ReturnType<(typeof anyStore)['close']>, void>>()
anyStore.get('sid', (_err, sess) => sess.anything)

export { ofAny, asStore, comparable, named, native, withCallbacks, withPromises }
