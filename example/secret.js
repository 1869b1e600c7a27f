'use strict'

/**
 * What signs the cookies. It is never kept where the sessions are: who gets a copy of those, from
 * a backup for example, must not be able to sign the cookies of them.
 */

const { randomBytes } = require('node:crypto')
const { linkSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } = require('node:fs')
const { dirname, isAbsolute, relative, resolve, sep } = require('node:path')
const { quit, redisUrl, secret, secretFile, sessionsPath } = require('./settings.js')

module.exports = { readSecret }

/** `SESSION_SECRET`, or what is in `SECRET_FILE`, or one that is good until the app ends. */
function readSecret() {
  if (secret) return secret
  // Without it nobody stays logged in anyway.
  if (!sessionsPath && !redisUrl) return randomBytes(32).toString('hex')
  if (sessionsPath && isInside(real(sessionsPath), real(dirname(secretFile)))) {
    return quit(
      `SECRET_FILE is ${secretFile}, but must not be in SESSIONS_PATH, the folder of the sessions`,
    )
  }
  try {
    return readFrom(secretFile) ?? makeIn(secretFile)
  } catch (err) {
    return quit(`cannot keep the secret in SECRET_FILE: ${err.message}`)
  }
}

/** The secret in `file`; undefined where there is no such file. */
function readFrom(file) {
  const stats = statSync(file, { throwIfNoEntry: false })
  if (stats === undefined) return undefined
  if (process.platform !== 'win32' && (stats.mode & 0o077) !== 0) {
    throw new Error(`other users can read or write ${file}; chmod 600 makes it yours alone`)
  }
  const text = readFileSync(file, 'utf8').trim()
  if (text === '') throw new Error(`${file} is empty`)
  return text
}

/** Makes a secret in `file`. Of several apps that do so at once one wins, and all have its secret. */
function makeIn(file) {
  const draft = `${file}.${process.pid}`
  writeFileSync(draft, randomBytes(32).toString('hex'), { flag: 'wx', mode: 0o600 })
  try {
    // Unlike a write, this lets nobody read half a secret.
    linkSync(draft, file)
  } catch (err) {
    if (err.code !== 'EEXIST') throw err
  } finally {
    rmSync(draft)
  }
  return readFrom(file)
}

function isInside(folder, path) {
  const way = relative(folder, path)
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)
}

/** The path without links, as far as it is there. */
function real(path) {
  const whole = resolve(path)
  try {
    return realpathSync(whole)
  } catch {
    return whole === dirname(whole)
      ? whole
      : resolve(real(dirname(whole)), relative(dirname(whole), whole))
  }
}
