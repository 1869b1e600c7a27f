import 'reflect-metadata'
import { Body, Controller, Get, Module, Post, Req } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import type { Request } from 'express'
import session from 'express-session'
import createMemoryStore from 'memorystore-rs'
import gate from './gate.cjs'

declare module 'express-session' {
  interface SessionData {
    user: string
    views: number
  }
}

const MemoryStore = createMemoryStore(session)

@Controller()
class Views {
  @Get()
  view(@Req() { session }: Request) {
    if (session.user) session.views = (session.views ?? 0) + 1
    return { user: session.user, views: session.views }
  }

  @Post('login')
  async login(@Req() request: Request, @Body() { user }: { user: string }) {
    await new Promise((resolve) => request.session.regenerate(resolve))
    request.session.user = user
    return {}
  }

  @Post('logout')
  async logout(@Req() request: Request) {
    await new Promise((resolve) => request.session.destroy(resolve))
    return {}
  }

  @Get('slow')
  async slow(@Req() { session }: Request) {
    session.views = (session.views ?? 0) + 1
    await gate.slow()
    return {}
  }
}

@Module({ controllers: [Views] })
class AppModule {}

async function start() {
  const app = await NestFactory.create(AppModule, { logger: ['error'] })
  const store = new MemoryStore({ checkPeriod: 60_000 })
  app.use(session({ secret: 'secret', resave: false, saveUninitialized: false, store }))
  await app.listen(0, '127.0.0.1')
  gate.announce(app.getHttpServer().address().port)
}

start()
