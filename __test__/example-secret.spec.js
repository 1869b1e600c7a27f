'use strict'

/** The secret that signs the example's cookies: made once, and never kept with the sessions. */

const { createHmac } = require('node:crypto')
const {
  chmod,
  mkdir,
  open,
  readFile,
  readdir,
  stat,
  symlink,
  writeFile,
} = require('node:fs/promises')
const { dirname, join } = require('node:path')
const test = require('ava')
const { login, makePath, run, start, viewsOn } = require('./helpers/example.js')
const { createClient } = require('./helpers/http.js')

const HAS_MODES = process.platform !== 'win32'

/** The environment of an app with sessions in a folder, and its secret beside that. */
async function makeEnv(t) {
  const SESSIONS_PATH = await makePath(t)
  return { SESSIONS_PATH, SECRET_FILE: join(dirname(SESSIONS_PATH), 'secret') }
}

/** As much of a file as can have anything in it here: the rest of the sessions' file is a hole. */
async function beginningOf(file) {
  const handle = await open(file)
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(1 << 20), 0, 1 << 20, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await handle.close()
  }
}

test('the secret is in SECRET_FILE, for nobody else, and nowhere in SESSIONS_PATH', async (t) => {
  const env = await makeEnv(t)
  const { client, child, ended } = await start(t, env)
  await login(client, 'Ada')
  child.kill('SIGTERM')
  await ended

  const secret = await readFile(env.SECRET_FILE, 'utf8')
  t.regex(secret, /^[0-9a-f]{64}$/)
  if (HAS_MODES) t.is((await stat(env.SECRET_FILE)).mode & 0o777, 0o600)
  for (const name of await readdir(env.SESSIONS_PATH)) {
    const bytes = await beginningOf(join(env.SESSIONS_PATH, name))
    t.false(bytes.includes(secret) || bytes.includes(Buffer.from(secret, 'hex')), name)
  }
  t.deepEqual((await readdir(dirname(env.SESSIONS_PATH))).sort(), ['secret', 'sessions'])
})

test('apps that start at once on one SECRET_FILE have one secret', async (t) => {
  const { SECRET_FILE } = await makeEnv(t)
  const apps = await Promise.all(
    [1, 2, 3, 4].map(async () => start(t, { SESSIONS_PATH: await makePath(t), SECRET_FILE })),
  )
  const secret = await readFile(SECRET_FILE, 'utf8')
  for (const { client } of apps) {
    await login(client, 'Ada')
    const cookie = decodeURIComponent(client.jar.get('memorystore-rs.sid'))
    const [, sid, signature] = /^s:(.+?)\.(.+)$/.exec(cookie)
    const hmac = createHmac('sha256', secret).update(sid).digest('base64')
    t.is(signature, hmac.replace(/=+$/, ''))
  }
})

test('with SESSION_SECRET there is no SECRET_FILE', async (t) => {
  const env = { ...(await makeEnv(t)), SESSION_SECRET: 'a secret' }
  await start(t, env)
  await t.throwsAsync(stat(env.SECRET_FILE), { code: 'ENOENT' })
})

test('in memory there is no SECRET_FILE', async (t) => {
  const { SECRET_FILE } = await makeEnv(t)
  await start(t, { SECRET_FILE })
  await t.throwsAsync(stat(SECRET_FILE), { code: 'ENOENT' })
})

test('a SECRET_FILE in SESSIONS_PATH is refused, by whatever name', async (t) => {
  const path = await makePath(t)
  const other = join(dirname(path), 'other')
  await mkdir(path, { mode: 0o700 })
  await mkdir(join(path, 'deeper'))
  await symlink(path, other, 'junction')
  for (const SECRET_FILE of [
    join(path, 'secret'),
    join(path, 'deeper', 'secret'),
    join(other, 'secret'),
    join(other, 'deeper', '..', 'secret'),
  ]) {
    const { code, stderr } = await run(t, { SESSIONS_PATH: path, SECRET_FILE }).ended
    t.is(code, 1)
    t.regex(stderr, /^SECRET_FILE is .* must not be in SESSIONS_PATH/)
  }
})

test('a folder whose name only begins as SESSIONS_PATH may have the secret', async (t) => {
  const path = await makePath(t)
  await mkdir(`${path}-secret`)
  const SECRET_FILE = join(`${path}-secret`, 'file')
  await start(t, { SESSIONS_PATH: path, SECRET_FILE })
  t.regex(await readFile(SECRET_FILE, 'utf8'), /^[0-9a-f]{64}$/)
})

test('a SECRET_FILE of one own signs, and a login survives a start with it', async (t) => {
  const env = await makeEnv(t)
  await writeFile(env.SECRET_FILE, 'a secret\n', { mode: 0o600 })
  const { child, client, ended } = await start(t, env)
  await login(client, 'Ada')
  child.kill('SIGTERM')
  await ended
  const { url } = await start(t, { ...env, SESSION_SECRET: 'a secret' })
  t.is(viewsOn(await createClient(url, client.jar).get('/')), 2)
})

test('a SECRET_FILE that cannot be used is an error that names it', async (t) => {
  const { SESSIONS_PATH, SECRET_FILE } = await makeEnv(t)
  const wrong = [join(dirname(SECRET_FILE), 'none', 'secret'), SECRET_FILE]
  await writeFile(SECRET_FILE, '', { mode: 0o600 })
  if (HAS_MODES) {
    const readable = `${SECRET_FILE}-readable`
    await writeFile(readable, 'a secret')
    await chmod(readable, 0o644)
    wrong.push(readable)
  }
  for (const file of wrong) {
    const { code, stderr } = await run(t, { SESSIONS_PATH, SECRET_FILE: file }).ended
    t.is(code, 1)
    t.true(stderr.startsWith('cannot keep the secret in SECRET_FILE: '), stderr)
    t.true(stderr.includes(file), stderr)
    t.false(stderr.includes('    at '), stderr)
  }
})
