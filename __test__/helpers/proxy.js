'use strict'

/**
 * A network that fails as a test wants: a proxy in this process to a TCP port of the loopback
 * interface.
 */

const { once } = require('node:events')
const net = require('node:net')
const { HOST, freePort } = require('./ports.js')

module.exports = { startProxy }

/** Starts a proxy to the port `target`. It does not keep the process alive. */
async function startProxy(target) {
  const port = await freePort()
  const links = new Set()
  const listener = net.createServer({ allowHalfOpen: true }, connect).unref()
  let accepted = 0
  let isFrozen = false
  let latency = 0

  function connect(client) {
    accepted++
    const upstream = net.connect({ port: target, host: HOST, allowHalfOpen: true })
    const sockets = [client, upstream]
    const ways = [wayTo(upstream), wayTo(client)]
    const link = {
      flush: () => ways.forEach((way) => way.flush()),
      held: () => ways[0].held() + ways[1].held(),
      destroy() {
        links.delete(link)
        for (const way of ways) way.end()
        for (const socket of sockets) socket.resetAndDestroy()
      },
    }
    links.add(link)
    for (const [index, socket] of sockets.entries()) {
      const way = ways[index]
      socket.unref().setNoDelay()
      socket.on('data', (chunk) => way.push((other) => other.write(chunk)))
      socket.on('end', () => way.push((other) => other.end()))
      // 'close' follows. A network that holds the bytes holds this too.
      socket.on('error', () => {})
      socket.on('close', (wasReset) => {
        if (wasReset) way.push(link.destroy)
        else if (sockets.every(({ closed }) => closed)) links.delete(link)
      })
    }
  }

  /** What goes to one of the two sockets, in order and as soon as it may. */
  function wayTo(socket) {
    let waiting = []
    let timer
    function flush() {
      clearTimeout(timer)
      while (waiting.length > 0 && !isFrozen) {
        const rest = waiting[0].since + latency - performance.now()
        if (rest > 0) {
          timer = setTimeout(flush, Math.ceil(rest)).unref()
          return
        }
        waiting.shift().act(socket)
      }
    }
    return {
      flush,
      held: () => waiting.length,
      push(act) {
        waiting.push({ act, since: performance.now() })
        flush()
      },
      end() {
        clearTimeout(timer)
        waiting = []
      },
    }
  }

  async function accept() {
    if (listener.listening) return
    listener.listen(port, HOST)
    await once(listener, 'listening')
  }

  /** Closes all connections, at both ends and at once. New ones are taken. */
  function cut() {
    for (const link of [...links]) link.destroy()
  }

  function flush() {
    for (const link of [...links]) link.flush()
  }

  await accept()
  return {
    port,
    url: `redis://${HOST}:${port}`,
    /** How many connections there are. */
    connections: () => links.size,
    /** How many connections there have been. */
    accepted: () => accepted,
    /** How many pieces of data, and ends of connections, wait for `thaw` or their delay. */
    held: () => [...links].reduce((sum, link) => sum + link.held(), 0),
    cut,
    /** Refuses new connections from now on; those that there are stay. */
    refuse: () => void listener.close(),
    /** Takes new connections again, on the same port. Resolves when it does. */
    accept,
    /**
     * Holds all bytes in both directions, and the ends of connections: none of them is told that
     * the other is gone. New connections are taken, and get no answer.
     */
    freeze() {
      isFrozen = true
    },
    /** Delivers what was held. */
    thaw() {
      isFrozen = false
      flush()
    },
    /** How many milliseconds bytes take from now on, in each direction; also those under way. */
    delay(ms) {
      latency = ms
      flush()
    },
    /** Refuses and cuts. */
    close() {
      listener.close()
      cut()
    },
  }
}
