'use strict'

const { mkdtempSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { getRawAsset } = require('node:sea')

// An addon can only be loaded from a file.
const file = join(mkdtempSync(join(tmpdir(), 'app-')), 'memorystore-rs.node')
writeFileSync(file, Buffer.from(getRawAsset('memorystore-rs.node')))
process.env.MEMORYSTORE_RS_BINARY = file

require('./express.cjs')
