'use strict'

/** Which of the 16384 slots of a cluster a key is in, as the specification of Redis Cluster says. */

const SLOTS = 16384

/** CRC-16 (XMODEM), a byte at a time. */
const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  return crc
})

function slotOf(key) {
  const bytes = Buffer.from(taggedPart(key))
  let crc = 0
  for (const byte of bytes) crc = ((crc << 8) & 0xffff) ^ TABLE[(crc >> 8) ^ byte]
  return crc % SLOTS
}

/** What is between the first brace and the next closing one, if that is not empty. */
function taggedPart(key) {
  const start = key.indexOf('{')
  if (start === -1) return key
  const end = key.indexOf('}', start + 1)
  return end <= start + 1 ? key : key.slice(start + 1, end)
}

module.exports = { SLOTS, slotOf }
