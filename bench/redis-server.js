'use strict'

/** A redis-server of our own: on a free port, without persistence, gone when it is stopped. */

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const { mkdtempSync, rmSync } = require('node:fs')
const net = require('node:net')
const { tmpdir } = require('node:os')
const { join } = require('node:path')

module.exports = { startRedis }

const START_TIMEOUT = 10000

/** Starts a server. Returns its `port`, and `kill()`, which is synchronous. */
async function startRedis() {
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'bench-redis-'))
  const server = spawn(
    'redis-server',
    [
      ...['--port', String(port), '--bind', '127.0.0.1'],
      ...['--save', '', '--appendonly', 'no', '--dir', folder],
    ],
    { stdio: 'ignore' },
  )
  let failure
  server.once('error', (error) => (failure = error))
  server.once('exit', (code) => (failure ??= new Error(`redis-server ended with ${code}`)))
  const kill = () => {
    // It has nothing to save.
    server.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  }

  const deadline = Date.now() + START_TIMEOUT
  while (!(await answers(port))) {
    if (failure || Date.now() > deadline) {
      kill()
      throw failure ?? new Error('redis-server does not answer')
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return { port, kill }
}

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

function answers(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write('PING\r\n'))
    socket.setTimeout(1000, () => socket.destroy())
    socket.once('data', (data) => {
      resolve(data.toString().startsWith('+PONG'))
      socket.destroy()
    })
    socket.once('error', () => resolve(false))
    socket.once('close', () => resolve(false))
  })
}
