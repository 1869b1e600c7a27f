'use strict'

// A process that writes to the store on the path argv[2] until somebody kills it. It is called
// argv[3], and prints the number of each operation that the store has acknowledged.
//
// It takes of express-session only what the store needs: the process is started hundreds of times.

const { writeSync } = require('node:fs')
const Store = require('express-session/session/store')
const MemoryStore = require('../..')({ Store })
const { operation, sessionOf } = require('./ledger.js')

const [, , path, writer] = process.argv

/** Adds to a session that others write at the same time, as a request does. */
async function note(store, sid, n) {
  const session = store.createSession({ sessionID: sid }, await store.get(sid))
  session[writer] = n
  await store.set(sid, session)
}

async function writeUntilKilled() {
  const store = new MemoryStore({ path })
  for (let n = 0; ; n++) {
    const { kind, sid } = operation(writer, n)
    if (kind === 'set') await store.set(sid, sessionOf(writer, n))
    else if (kind === 'touch') await store.touch(sid, sessionOf(writer, n))
    else if (kind === 'destroy') await store.destroy(sid)
    else await note(store, sid, n)
    writeSync(1, `${n}\n`)
  }
}

writeUntilKilled()
