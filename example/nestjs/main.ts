import 'reflect-metadata'
import type { AddressInfo } from 'node:net'
import { Module } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import type { NestExpressApplication } from '@nestjs/platform-express'
import { AccountController } from './account.controller.js'
import { createSessions } from './sessions.js'

const { NODE_ENV, PORT = '3000', SESSION_SECRET } = process.env
if (!SESSION_SECRET) throw new Error('set SESSION_SECRET to a long random text')

@Module({ controllers: [AccountController] })
class AppModule {}

const isProduction = NODE_ENV === 'production'
const app = await NestFactory.create<NestExpressApplication>(AppModule, {
  logger: ['error', 'warn'],
})
app.set('trust proxy', isProduction)
app.use(createSessions(SESSION_SECRET, isProduction).middleware)
await app.listen(Number(PORT))
const { port } = app.getHttpServer().address() as AddressInfo
console.log(`listening on http://localhost:${port}`)
