// Types of the default import in an ES module.

import session from 'express-session'
import createMemoryStore from 'memorystore-rs'
import type { MemoryStoreOptions, Serializer } from 'memorystore-rs'

const MemoryStore = createMemoryStore(session)
const options: MemoryStoreOptions<session.SessionData> = { checkPeriod: 86400000 }
const store = new MemoryStore(options)
session({ secret: 'secret', store })

const serializer: Serializer<session.SessionData> = JSON
new MemoryStore({ serializer })
const length: number = await store.length()

// @ts-expect-error the function is the module, not a member of it
createMemoryStore.default(session)
// @ts-expect-error the function has no name of its own to import
import { createMemoryStore as Missing } from 'memorystore-rs'

export { length, Missing }
