'use strict'

/**
 * Forms that only pages of this app can send: a token in the session has to come back with each,
 * and other sites cannot read it.
 */

const { randomBytes, timingSafeEqual } = require('node:crypto')
const express = require('express')

function makeToken() {
  return randomBytes(16).toString('base64url')
}

/** Middleware: reads the form, and refuses it without the token of the session. */
const withToken = [express.urlencoded({ extended: false }), checkToken]

module.exports = { makeToken, withToken }

function checkToken(req, res, next) {
  if (isSame(req.body?.token, req.session.token)) return next()
  res.status(403).type('text').send('This form is out of date. Go back, reload, and try again.')
}

function isSame(given, expected) {
  if (typeof given !== 'string' || typeof expected !== 'string') return false
  const [one, other] = [Buffer.from(given), Buffer.from(expected)]
  return one.length === other.length && timingSafeEqual(one, other)
}
