'use strict'

/** What the behaviour tests share: the two classes, quiet construction, callbacks as values. */

const session = require('express-session')

const createMemoryStore = require('../..')
const createReference = require('memorystore')
const { until } = require('./until.js')

/** The class under test. */
const MemoryStore = createMemoryStore(session)

/** memorystore 1.6.8 itself. */
const Reference = createReference(session)

/** Runs `build` and returns what it returned and what it asked Node to warn of. */
function watchWarnings(build) {
  const warnings = []
  const { emitWarning } = process
  process.emitWarning = (message, options) => warnings.push({ message, ...options })
  try {
    return { value: build(), warnings }
  } finally {
    process.emitWarning = emitWarning
  }
}

/** Calls `store[method](...args, callback)`; resolves to the arguments that the callback got. */
function callbackArguments(store, method, ...args) {
  return new Promise((resolve) => {
    store[method](...args, (...results) => resolve(results))
  })
}

/** What the store holds for `sid`, as the serializer returned it. Counts as a use. */
async function storedText(store, sid) {
  const { serializer } = store
  store.serializer = { stringify: String, parse: (text) => text }
  const found = callbackArguments(store, 'get', sid)
  store.serializer = serializer
  return (await found)[1]
}

/** A store whose `dispose` calls are listed in `disposed`: the sid and the body. */
function disposingStore(Store, options = {}) {
  const disposed = []
  const dispose = (sid, body) => disposed.push([sid, body])
  const store = new Store({ ...options, dispose })
  return { store, disposed }
}

module.exports = {
  MemoryStore,
  Reference,
  callbackArguments,
  disposingStore,
  storedText,
  until,
  watchWarnings,
}
