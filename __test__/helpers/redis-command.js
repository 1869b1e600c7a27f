'use strict'

/** Commands for the administration of test servers, without a client library. */

const net = require('node:net')

module.exports = { command }

/**
 * Sends a command on a connection of its own, which is closed after the reply. Resolves with the
 * reply, in which strings are of UTF-8; an error of the server rejects. It waits as long as the
 * server takes.
 */
function command(address, args) {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0)
    const socket = net.connect(address, () => socket.write(encode(args)))
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      const reply = decode(received, 0)
      if (reply === undefined) return
      socket.destroy()
      if (reply.value instanceof Error) reject(reply.value)
      else resolve(reply.value)
    })
    socket.on('error', reject)
    socket.on('close', () => reject(new Error(`no reply to ${args[0]}`)))
  })
}

function encode(args) {
  const parts = args.map((arg) => `$${Buffer.byteLength(String(arg))}\r\n${arg}\r\n`)
  return `*${args.length}\r\n${parts.join('')}`
}

/** The reply (RESP2) at `start`, and where it ends; undefined if it is not all there yet. */
function decode(bytes, start) {
  const lineEnd = bytes.indexOf('\r\n', start)
  if (lineEnd < 0) return undefined
  const type = String.fromCharCode(bytes[start])
  const line = bytes.toString('utf8', start + 1, lineEnd)
  const end = lineEnd + 2
  if (type === '+') return { value: line, end }
  if (type === '-') return { value: new Error(line), end }
  if (type === ':') return { value: Number(line), end }
  const length = Number(line)
  if (length < 0) return { value: null, end }
  if (type === '$') {
    if (bytes.length < end + length + 2) return undefined
    return { value: bytes.toString('utf8', end, end + length), end: end + length + 2 }
  }
  if (type !== '*') throw new Error(`no reply of RESP2: ${type}${line}`)
  const value = []
  let at = end
  while (value.length < length) {
    const item = decode(bytes, at)
    if (item === undefined) return undefined
    value.push(item.value)
    at = item.end
  }
  return { value, end: at }
}
