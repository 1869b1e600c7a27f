'use strict'

// A process that logs one user in, many times at once: `{ url, user, from, count }` as its argument.
// Its parent lets it begin by a message, and is told when all are answered.

const { MemoryStore, LIBRARIES, newSession } = require('./redis-stores.js')

const { url, user, from, count } = JSON.parse(process.argv[2])

/** What a busy server may take, in milliseconds. */
const SLACK = 60_000

const redis = LIBRARIES['node-redis'].open(url)
const store = new MemoryStore({ redis, user: 'user', timeout: SLACK })

async function main() {
  await store.length()
  process.on('message', async () => {
    const sids = Array.from({ length: count }, (_, i) => `login-${from + i}`)
    await Promise.all(sids.map((sid) => store.set(sid, newSession({ user }))))
    process.send('done')
  })
  process.send('ready')
}

main()
