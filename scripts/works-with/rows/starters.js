'use strict'

/** The starters in example/, as somebody copies them: installed, built, started, visited. */

const assert = require('node:assert/strict')
const { join } = require('node:path')
const { ROOT } = require('../packages.js')
const { serve, succeed } = require('../processes.js')
const { client, visit } = require('../visit.js')

module.exports = [
  starter('express-typescript', 'Express in TypeScript', 'express'),
  starter('nestjs', 'NestJS', '@nestjs/core'),
  starter('fastify', 'Fastify', 'fastify'),
]

function starter(folder, title, version) {
  return {
    name: `starter-${folder}`,
    title,
    from: join(ROOT, 'example', folder),
    packages: [],
    version,
    async check(app) {
      await succeed('npm', ['run', 'build'], { cwd: app.folder })
      await assert.rejects(start(app, { SESSION_SECRET: '' }), /set SESSION_SECRET/)
      const server = await start(app, { SESSION_SECRET: 'a secret of more than 32 characters' })
      try {
        await visit(server)
        await assert.rejects(client(server.url).post('/login', {}), /400 .*user/)
      } finally {
        await server.stop()
      }
    },
  }
}

function start(app, env) {
  return serve('npm', ['start'], { cwd: app.folder, env: { PORT: '0', ...env } })
}
