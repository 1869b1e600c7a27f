'use strict'

/** Free ports of the loopback interface, for servers that are told their port. */

const { randomInt } = require('node:crypto')
const { once } = require('node:events')
const net = require('node:net')

const HOST = '127.0.0.1'

/** How far the port of a Redis Cluster's bus is from the port that clients use. */
const BUS = 10_000

/**
 * Below the ports that systems give to outgoing connections, which could take the port of a server
 * while it restarts; those of the bus too.
 */
const [FIRST, LAST] = [10_000, 19_999]

/** Those that this process has given; test files that run beside are unlikely to get the same. */
const given = new Set()

/** A port that is free, as is the one of the bus. */
async function freePort() {
  for (;;) {
    const port = randomInt(FIRST, LAST + 1)
    if (given.has(port)) continue
    given.add(port)
    if ((await isFree(port)) && (await isFree(port + BUS))) return port
  }
}

async function isFree(port) {
  const server = net.createServer().listen(port, HOST)
  try {
    await once(server, 'listening')
  } catch {
    return false
  }
  server.close()
  await once(server, 'close')
  return true
}

module.exports = { HOST, freePort }
