'use strict'

/**
 * What tests over HTTP share: a server on a free port, and a client with a cookie jar. The jar
 * keeps cookies that a browser would drop as expired, so that it is the store which ends a
 * session and not the client.
 */

const { once } = require('node:events')
const { createServer } = require('node:http')

module.exports = { serve, createClient }

/** Serves `handler` on a free port until the test `t` ends; returns the URL. */
async function serve(t, handler) {
  const server = createServer(handler)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${server.address().port}`
}

/** A client of the app at `url` with cookies of its own, or with a copy of another's. */
function createClient(url, cookies = new Map()) {
  const jar = new Map(cookies)

  async function request(method, path, body, type) {
    const headers = {
      cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; '),
      // On a busy machine a connection that is kept may be closed just when it is used again.
      connection: 'close',
    }
    if (type !== undefined) headers['content-type'] = type
    const response = await fetch(url + path, { method, headers, body, redirect: 'manual' })
    const cookies = response.headers.getSetCookie()
    for (const cookie of cookies) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie)
      jar.set(name, value)
    }
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.startsWith('application/json')
    return {
      status: response.status,
      headers: response.headers,
      cookies,
      body: isJson ? JSON.parse(text) : text,
    }
  }

  return {
    jar,
    get: (path) => request('GET', path),
    post: (path, json) => request('POST', path, JSON.stringify(json ?? {}), 'application/json'),
    submit: (path, fields) =>
      request(
        'POST',
        path,
        String(new URLSearchParams(fields)),
        'application/x-www-form-urlencoded',
      ),
    /** A client that has this one's cookies: somebody who kept or stole them. */
    copy: () => createClient(url, jar),
  }
}
