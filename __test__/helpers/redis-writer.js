'use strict'

// A thread that writes through a store of its own: for each number n that it is sent, it writes the
// session `sid`, and as soon as that is answered it requests `/n` at `port`. When the server must
// have told all others of the write, it puts n into `told`.

const { once } = require('node:events')
const net = require('node:net')
const { parentPort, workerData } = require('node:worker_threads')
const { LIBRARIES, MemoryStore, newSession } = require('./redis-stores.js')

const { url, port, told } = workerData

main()

async function main() {
  const client = LIBRARIES['node-redis'].open(url)
  await client.connect()
  const store = new MemoryStore({ redis: client })
  const socket = net.connect(port, '127.0.0.1').setNoDelay().resume()
  await once(socket, 'connect')
  await store.get('sid')
  parentPort.on('message', async (n) => {
    await store.set('sid', newSession({ n }))
    await new Promise((resolve) => {
      socket.write(`GET /${n} HTTP/1.1\r\nHost: localhost\r\n\r\n`, resolve)
    })
    // The server sends all that it has before it takes the next command.
    await client.ping()
    Atomics.store(told, 0, n)
    Atomics.notify(told, 0)
  })
  parentPort.postMessage('ready')
}
