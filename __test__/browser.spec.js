'use strict'

/** The example app in a real browser, as a person sees it. */

// In functions that run in a page.
/* global document, getComputedStyle */

const { mkdirSync } = require('node:fs')
const { join } = require('node:path')
const test = require('ava')
const axe = require('axe-core')
const { makePath, start } = require('./helpers/example.js')
const { onChromium, startBrowser } = require('./helpers/on-chromium.js')
const { ROOT, run } = require('./helpers/process.js')
const { until } = require('./helpers/until.js')

const OPERATOR_TOKEN = 'a token of 16 or more'
const OPERATOR = { httpCredentials: { username: 'operator', password: OPERATOR_TOKEN } }

const WIDTHS = [360, 1280]
const SCHEMES = ['light', 'dark']

/** Where to put pictures of the pages, for who wants to look at them. */
const { MEMORYSTORE_RS_SCREENSHOTS: SCREENSHOTS } = process.env

async function logIn(page, url, name) {
  await page.goto(url)
  await page.getByLabel('Name').fill(name)
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByRole('heading', { name: `Hello, ${name}` }).waitFor()
}

async function press(page, name) {
  await page.getByRole('button', { name }).first().click()
  await page.waitForLoadState()
}

async function isLoggedOut(page, url) {
  await page.goto(url)
  return (await page.getByRole('heading', { name: 'Log in' }).count()) === 1
}

/** What is wrong with how a page looks: scrolled sideways, or what axe finds, such as contrast. */
async function flawsOf(page) {
  const flaws = []
  const [needed, there] = await page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement
    return [scrollWidth, clientWidth]
  })
  if (needed > there) flaws.push(`${needed} px wide, of ${there}`)
  await page.evaluate(axe.source)
  const { violations } = await page.evaluate(() => globalThis.axe.run({ preload: false }))
  for (const { id, nodes } of violations) {
    flaws.push(...nodes.map(({ html, failureSummary }) => `${id}: ${html}: ${failureSummary}`))
  }
  return flaws
}

/** Looks at the page in every width and scheme. */
async function look(t, page, name) {
  for (const colorScheme of SCHEMES) {
    await page.emulateMedia({ colorScheme })
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: 800 })
      const title = `${name}-${colorScheme}-${width}`
      t.deepEqual(await flawsOf(page), [], title)
      if (!SCREENSHOTS) continue
      mkdirSync(SCREENSHOTS, { recursive: true })
      await page.screenshot({ path: join(SCREENSHOTS, `${title}.png`), fullPage: true })
    }
  }
}

onChromium((test) => {
  for (const kind of ['in memory', 'with workers']) {
    test(`two devices of one user, ${kind}: each sees both, and ends the other`, async (t) => {
      const env = kind === 'in memory' ? {} : { SESSIONS_PATH: await makePath(t), WORKERS: '2' }
      const { url } = await start(t, env)
      const open = await startBrowser(t)
      const laptop = await open()
      const phone = await open({
        userAgent:
          'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1',
      })
      await logIn(laptop.page, url, 'Ada')
      await logIn(phone.page, url, 'Ada')

      await press(laptop.page, 'Your sessions')
      const items = laptop.page.getByRole('listitem')
      t.is(await items.count(), 2)
      t.regex(await items.nth(0).innerText(), /Chrome on Linux\s+This one\n+Last seen just now/)
      t.regex(await items.nth(1).innerText(), /Safari on iPhone\n+Last seen [^\n]+\nBegan .* UTC/)

      await press(laptop.page, 'End this one')
      t.is(await items.count(), 1)
      t.true(await isLoggedOut(phone.page, url))

      await logIn(phone.page, url, 'Ada')
      await press(phone.page, 'Your sessions')
      await press(phone.page, 'End all others')
      t.is(await phone.page.getByRole('listitem').count(), 1)
      t.true(await isLoggedOut(laptop.page, `${url}/sessions`))

      await press(phone.page, 'Log out')
      t.true(await isLoggedOut(phone.page, url))
      t.deepEqual([laptop.problems, phone.problems], [[], []])
    })
  }

  test('all pages fit a phone, can be read in light and dark, and keep to their policy', async (t) => {
    const { url } = await start(t, { OPERATOR_TOKEN })
    const open = await startBrowser(t)
    const { page, problems } = await open()
    await page.goto(url)
    await look(t, page, 'login')

    await logIn(
      await open().then((other) => other.page),
      url,
      'A name of 40 letters without 0123456789X',
    )
    await logIn(page, url, 'A name of 40 letters without 0123456789X')
    await look(t, page, 'session')
    await press(page, 'Your sessions')
    await look(t, page, 'sessions')
    t.deepEqual(problems, [])

    // What the policy forbids would have been heard.
    await page.evaluate(() => document.body.setAttribute('style', 'color: red'))
    await until(() => problems.length > 0)
    t.regex(problems[0], /Content Security Policy/)
  })

  test('the operator’s page has charts without a script, for a phone too', async (t) => {
    const { url } = await start(t, { OPERATOR_TOKEN, OPERATOR_MINUTES: '1' })
    const open = await startBrowser(t)
    const user = await open()
    await logIn(user.page, url, 'Ada')

    // First as it is where scripts are switched off, then as it is where they would run.
    const { page: plain } = await open({ ...OPERATOR, javaScriptEnabled: false })
    const sessions = plain.locator('.tiles dd').first()
    await until(async () => {
      await plain.goto(`${url}/operator`)
      return (await sessions.count()) === 1 && (await sessions.innerText()) === '1'
    })
    t.is(await plain.getByRole('img', { name: /^Sessions/ }).count(), 1)

    const { page, problems } = await open(OPERATOR)
    const response = await page.goto(`${url}/operator`)
    t.regex(
      response.headers()['content-security-policy'],
      /^default-src 'none'; style-src 'sha256-/,
    )
    t.is(await page.evaluate(() => document.scripts.length), 0)
    t.is(await page.locator('figure svg[role=img]').count(), 5)
    t.is(await page.evaluate(() => getComputedStyle(document.querySelector('.line')).fill), 'none')
    await look(t, page, 'operator')

    await page.getByText('Sessions as a table', { exact: true }).click()
    t.true((await page.getByRole('cell').count()) > 0)
    await look(t, page, 'operator-table')

    await page.getByRole('link', { name: 'Keep it up to date' }).click()
    const time = () => page.locator('time').first().getAttribute('datetime')
    const before = await time()
    await until(async () => (await time().catch(() => before)) !== before)
    await page.getByRole('link', { name: 'Stop' }).click()
    await page.getByRole('link', { name: 'Keep it up to date' }).waitFor()
    t.deepEqual(problems, [])
  })

  test('without the token the browser shows nothing of the operator’s page', async (t) => {
    const { url } = await start(t, { OPERATOR_TOKEN })
    const open = await startBrowser(t)
    const { page } = await open({ httpCredentials: { username: 'operator', password: 'x' } })
    const response = await page.goto(`${url}/operator`)
    t.is(response.status(), 401)
    t.is(await page.locator('svg').count(), 0)
  })
})

/** Runs ava on this spec, as on a machine without a browser. */
function runWithout(env, match) {
  const ava = join(ROOT, 'node_modules/ava/entrypoints/cli.mjs')
  const none = { MEMORYSTORE_RS_CHROMIUM: '', MEMORYSTORE_RS_REQUIRE_CHROMIUM: '', PATH: '' }
  return run(process.execPath, [ava, __filename, '--match', match], {
    cwd: ROOT,
    env: { ...process.env, ...none, ...env },
  })
}

test('without a browser the spec has a test that is skipped and says what to do', async (t) => {
  const { code, stdout } = await runWithout({}, '*was left out*')
  t.is(code, 0)
  t.regex(stdout, /__test__.browser\.spec\.js was left out.*MEMORYSTORE_RS_CHROMIUM.*CONTRIBUTING/)
  t.regex(stdout, /1 test skipped/)
})

test('where a browser is required, its lack is a failure', async (t) => {
  const { code, stdout } = await runWithout({ MEMORYSTORE_RS_REQUIRE_CHROMIUM: '1' }, '* is there')
  t.is(code, 1)
  t.regex(stdout, /put chromium on the PATH, or set MEMORYSTORE_RS_CHROMIUM/)
})
