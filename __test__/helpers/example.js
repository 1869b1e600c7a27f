'use strict'

/** The example app: started as a process, and used as a browser does. */

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const { mkdtempSync, rmSync } = require('node:fs')
const { mkdtemp, rm } = require('node:fs/promises')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { createClient } = require('./http.js')

const SERVER = join(__dirname, '..', '..', 'example', 'server.js')

/** For what the apps of this process make outside the folders that tests give them. */
const folder = mkdtempSync(join(tmpdir(), 'memorystore-rs-example-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

const ENV = {
  NODE_ENV: 'production',
  PORT: '0',
  SESSION_SECRET: undefined,
  SESSIONS_PATH: undefined,
  REDIS_URL: undefined,
  WORKERS: undefined,
  SECRET_FILE: join(folder, 'secret'),
  OPERATOR_TOKEN: undefined,
  OPERATOR_MINUTES: undefined,
}

/** Starts the example with `env`, which overrides PORT=0; collects what it prints. */
function run(t, env = {}) {
  const child = spawn(process.execPath, [SERVER], {
    env: { ...process.env, ...ENV, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const printed = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr']) {
    child[name].setEncoding('utf8').on('data', (text) => (printed[name] += text))
  }
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal, ...printed }))
  return { child, printed, ended }
}

/** As `run`, and waits for the URL. */
async function start(t, env) {
  const app = run(t, env)
  const ended = app.ended.then(({ code, stderr }) => {
    throw new Error(`the example ended with ${code}: ${stderr}`)
  })
  ended.catch(() => {})
  while (!app.printed.stdout.includes('\n')) {
    await Promise.race([once(app.child.stdout, 'data'), ended])
  }
  const [url] = /http:\/\/localhost:\d+/.exec(app.printed.stdout)
  return { ...app, url, client: createClient(url) }
}

function viewsOn({ body }) {
  return Number(/<dd id="views">(\d+)</.exec(body)?.[1])
}

function isLoginPage({ status, body }) {
  return status === 200 && body.includes('action="/login"')
}

/** Logs in as a browser does: follows the redirect. */
async function login(client, name) {
  const { status, headers } = await client.submit('/login', { name })
  if (status !== 303) throw new Error(`the login failed with ${status}`)
  return client.get(headers.get('location'))
}

/** What forms of the page have to send back. */
function tokenOn({ body }) {
  return /name="token" value="([^"]+)"/.exec(body)?.[1]
}

/** Presses the button that ends this session. */
async function logout(client) {
  return client.submit('/logout', { token: tokenOn(await client.get('/sessions')) })
}

/** A folder for sessions, in one that is removed. */
async function makePath(t) {
  const folder = await mkdtemp(join(tmpdir(), 'memorystore-rs-example-'))
  t.teardown(() => rm(folder, { recursive: true, force: true, maxRetries: 10 }))
  return join(folder, 'sessions')
}

module.exports = { isLoginPage, login, logout, makePath, run, start, tokenOn, viewsOn }
