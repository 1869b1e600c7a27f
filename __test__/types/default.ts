// Types of the default import in a module that a bundler reads, or that becomes CommonJS with
// esModuleInterop.

import session from 'express-session'
import createMemoryStore from 'memorystore-rs'

const MemoryStore = createMemoryStore(session)
session({ secret: 'secret', store: new MemoryStore({ checkPeriod: 86400000 }) })
const store = new (createMemoryStore())(86400000)
export const ids: Promise<string[]> = store.ids()
