'use strict'

// Before `npm publish`: a checkout that scripts/prepare-release.js has not made ready must not be
// published, because the package would have no binaries.

const { optionalDependencies = {}, napi } = require('../package.json')

if (Object.keys(optionalDependencies).length !== napi.targets.length) {
  console.error(
    'Not ready to be published: the workflow does it, see CONTRIBUTING.md#how-to-release',
  )
  process.exitCode = 1
}
