'use strict'

const { Cookies } = require('../../lib/native/cookie.js')

/** What the native touch is given as text for a session's cookie; undefined where it is not called. */
function cookieText(session) {
  let given
  const cookies = new Cookies({
    touch(_sid, text) {
      given = text
      return 1
    },
  })
  cookies.touch('sid', session, 1)
  return given
}

module.exports = { cookieText }
