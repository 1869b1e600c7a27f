// Types without esModuleInterop, where modules such as express-session are imported whole.

import * as session from 'express-session'
import createMemoryStore = require('memorystore-rs')

const MemoryStore = createMemoryStore(session)
session({ secret: 'secret', store: new MemoryStore({ checkPeriod: 86400000 }) })
const store = new (createMemoryStore())(86400000)
export const ids: Promise<string[]> = store.ids()
