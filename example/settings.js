'use strict'

/**
 * What the environment variables ask for; server.js says what each means. A value that cannot be
 * used ends the app with a message that names it.
 */

const { join } = require('node:path')

const MAX_WORKERS = 64
const MIN_TOKEN = 16
const MAX_MINUTES = 24 * 60
const DEFAULT_MINUTES = 10

const { env } = process

module.exports = {
  port: readNumber('PORT', 0, 65535),
  workers: readNumber('WORKERS', 1, MAX_WORKERS),
  sessionsPath: env.SESSIONS_PATH || undefined,
  redisUrl: env.REDIS_URL || undefined,
  secret: env.SESSION_SECRET || undefined,
  secretFile: env.SECRET_FILE || join(__dirname, '.secret'),
  operatorToken: readToken(env.OPERATOR_TOKEN),
  operatorMinutes: readMinutes(env.OPERATOR_MINUTES),
  quit,
}

/** The whole number that the variable asks for; undefined where it asks for none. */
function readNumber(name, min, max) {
  const text = env[name]
  if (text === undefined || text === '') return undefined
  const number = Number(text)
  if (!/^\d+$/.test(text) || number < min || number > max) {
    quit(`${name} is ${JSON.stringify(text)}, but has to be a number from ${min} to ${max}`)
  }
  return number
}

function readToken(text) {
  if (text === undefined || text === '') return undefined
  if (text.length < MIN_TOKEN) {
    quit(`OPERATOR_TOKEN has ${text.length} characters, but has to have ${MIN_TOKEN} or more`)
  }
  return text
}

function readMinutes(text) {
  if (text === undefined || text === '') return DEFAULT_MINUTES
  const minutes = Number(text)
  if (!/^\d+(\.\d+)?$/.test(text) || minutes <= 0 || minutes > MAX_MINUTES) {
    quit(
      `OPERATOR_MINUTES is ${JSON.stringify(text)}, but has to be a number above 0, up to ${MAX_MINUTES}`,
    )
  }
  return minutes
}

/** Ends the app, having said why. */
function quit(message) {
  console.error(message)
  process.exit(1)
}
