// Types for a store that extends Node's EventEmitter. This is also compiled by itself, to show
// that nothing asks for the types of express-session.

import { EventEmitter } from 'node:events'
import createMemoryStore = require('memorystore-rs')
import type { MemoryStoreOptions } from 'memorystore-rs'

const MemoryStore = createMemoryStore()
const store = new MemoryStore({ ttl: (_options, sess) => sess.anything })
const emitter: EventEmitter = store
store.set('sid', { any: 'session' })
store.get('sid', (_err, sess) => sess.any)

interface Session {
  user: string
}
const typed = new (createMemoryStore<Session>())(86400000)
const options: MemoryStoreOptions<Session> = {
  ttl: (_options, sess, sid) => sess.user.length + sid.length,
}
typed.set('sid', { user: 'u' }).then((nothing: void) => nothing)
typed.get('sid').then((sess) => sess?.user.length)
// @ts-expect-error not a Session
typed.set('sid', { name: 'u' })

// A module's own types stand in for those of express-session.
declare class OtherStore {
  other: boolean
  set(sid: string, session: Session, callback?: () => void): void
}
const other = new (createMemoryStore({ Store: OtherStore }))()
other.get('sid', (_err, sess) => sess?.user)
const flag: boolean = other.other

// @ts-expect-error null is no module
createMemoryStore(null)

export { emitter, flag, options }
