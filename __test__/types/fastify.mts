// Types of stores for @fastify/session.

import fastifySession from '@fastify/session'
import fastify from 'fastify'
import type { Session } from 'fastify'
import createMemoryStore from 'memorystore-rs'

const app = fastify()
const secret = 'a secret of at least 32 characters'
app.register(fastifySession, { secret, store: new (createMemoryStore())() })
app.register(fastifySession, { secret, store: new (createMemoryStore<Session>())() })
