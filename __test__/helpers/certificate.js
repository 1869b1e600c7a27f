'use strict'

/** A certificate for servers on the loopback interface, which openssl makes when it is asked for. */

const { execFile } = require('node:child_process')
const { readFileSync } = require('node:fs')
const { join } = require('node:path')
const { promisify } = require('node:util')
const { folderOfProcess } = require('./guard.js')

module.exports = { certificate }

/** Set at the first use. */
let made

/** Its files `cert` and `key`, and the text `ca` that a client has to trust. */
function certificate() {
  made ??= make()
  return made
}

async function make() {
  const folder = folderOfProcess()
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  await promisify(execFile)('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
    ...['-days', '2', '-subj', '/CN=localhost'],
    ...['-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'],
    ...['-keyout', key, '-out', cert],
  ])
  return { cert, key, ca: readFileSync(cert, 'utf8') }
}
