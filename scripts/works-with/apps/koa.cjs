'use strict'

const koa = require('koa')
const koaSession = require('koa-session')
const MemoryStore = require('memorystore-rs')()
const { announce, slow } = require('./gate.cjs')

const DAY = 86_400_000

const Koa = koa.default ?? koa
const createSession = koaSession.default ?? koaSession.createSession ?? koaSession
const app = new Koa()
app.keys = ['secret']
const store = new MemoryStore({
  checkPeriod: 60_000,
  destroyed: 'final',
  // koa-session has no cookie in its sessions: it keeps their lifetime in _maxAge.
  ttl: (_options, session) => session._maxAge,
})
app.use(createSession({ store, maxAge: 7 * DAY }, app))

const ROUTES = {
  'GET /': (ctx) => {
    const { session } = ctx
    if (session.user) session.views = (session.views ?? 0) + 1
    ctx.body = { user: session.user, views: session.views }
  },
  'POST /login': async (ctx) => {
    await ctx.session.regenerate()
    ctx.session.user = (await bodyOf(ctx.req)).user
    ctx.body = {}
  },
  'POST /logout': (ctx) => {
    ctx.session = null
    ctx.body = {}
  },
  'GET /slow': async (ctx) => {
    ctx.session.views += 1
    await slow()
    ctx.body = {}
  },
  // Two days later than the last request.
  'GET /later': async (ctx) => {
    const { now } = Date
    Date.now = () => now() + 2 * DAY
    const [sid] = await store.ids()
    ctx.body = { isThere: (await store.get(sid)) !== undefined }
    Date.now = now
  },
}
app.use((ctx) => ROUTES[`${ctx.method} ${ctx.path}`](ctx))
const server = app.listen(0, '127.0.0.1', () => announce(server.address().port))

async function bodyOf(request) {
  let text = ''
  for await (const chunk of request) text += chunk
  return JSON.parse(text)
}
