// Types of a plain require in JavaScript that is checked by TypeScript.

'use strict'

const session = require('express-session')
const createMemoryStore = require('memorystore-rs')

const MemoryStore = createMemoryStore(session)
session({ secret: 'secret', store: new MemoryStore({ checkPeriod: 86400000 }) })
const store = new MemoryStore()
/** @type {Promise<number>} */
exports.length = store.length()
// @ts-expect-error text is no period
exports.wrong = new MemoryStore({ checkPeriod: '1000' })
const OneWord = require('memorystore-rs')(session)
exports.one = new OneWord({ max: 5 })
