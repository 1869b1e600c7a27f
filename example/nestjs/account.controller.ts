import { BadRequestException, Body, Controller, Get, HttpCode, Post, Req } from '@nestjs/common'
import type { Request } from 'express'

@Controller()
export class AccountController {
  @Get()
  view(@Req() { session }: Request) {
    if (session.user !== undefined) session.views = (session.views ?? 0) + 1
    return { user: session.user, views: session.views }
  }

  // Check a password here. A new session id at the login keeps an attacker from choosing it.
  @Post('login')
  @HttpCode(200)
  async login(@Req() request: Request, @Body() body?: { user?: unknown }) {
    const user = body?.user
    if (typeof user !== 'string' || user === '') {
      throw new BadRequestException('user has to be a text')
    }
    await settled((done) => request.session.regenerate(done))
    request.session.user = user
    return { user }
  }

  @Post('logout')
  @HttpCode(200)
  async logout(@Req() request: Request) {
    await settled((done) => request.session.destroy(done))
    return {}
  }
}

function settled(call: (done: (err?: unknown) => void) => void) {
  return new Promise<void>((resolve, reject) => call((err) => (err ? reject(err) : resolve())))
}
