'use strict'

/**
 * An Express app that tells how long it takes from before `require` of the package until it has
 * answered its first request. Started by shared.js.
 */

const http = require('node:http')
const { PATH, openStore } = require('../stores.js')
const { cookieOf } = require('../sessions.js')
const { doAsAsked } = require('../workers.js')
const { serve, SECRET } = require('./http.js')

const { store: name, path, sid } = JSON.parse(process.argv[2])

let opened

doAsAsked({
  start: async () => {
    const begin = performance.now()
    opened = await openStore(name, {}, { path })
    const open = performance.now() - begin
    const server = await serve(opened.store)
    const { port } = server.address()
    const status = await get({ port, path: '/write', headers: { cookie: cookieOf(sid, SECRET) } })
    const answer = performance.now() - begin
    // In memory there is no such session.
    if (status !== (name === PATH ? 200 : 401)) throw new Error(`the answer was ${status}`)
    return { open, answer }
  },

  close: () => opened.stop(),
})

/** The status of the answer, once all of it is here. */
function get(where) {
  return new Promise((resolve, reject) => {
    const request = http.get({ host: '127.0.0.1', ...where }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode))
    })
    request.once('error', reject)
  })
}
