// What the scripts for Node.js share; the same as told.py.
import { setTimeout as sleep } from 'node:timers/promises'

export const TALE = 'The quick brown fox jumps over the lazy dog, and nobody minds.'
export const PERSON = { name: 'Ada', age: 36 }
export const SCHEMA = {
  type: 'object',
  properties: { name: { type: 'string' }, age: { type: 'integer' } },
  required: ['name', 'age'],
  additionalProperties: false,
}
export const CITY = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false }
export const TEXTS = ['a house by the sea', '12345']
export const CUTS = ['close', 'end', 'error']
export const FAULTS = ['absent', 'refuse', 'fail']
const CELL_MS = 150_000
const GONE_MS = 1_000
const BUSY_MS = 30_000
const TRIES = 3

export class Absent extends Error {}

// What may come of a machine with too much to do: the cell is tried again.
class Slow extends Error {}

export function check(holds, what) {
  if (!holds) throw new Error(what)
}

export function same(seen, wanted) {
  check(JSON.stringify(seen) === JSON.stringify(wanted), `${JSON.stringify(seen)} instead of ${JSON.stringify(wanted)}`)
}

// Fails unless the pieces are the tale, and came one by one where the backend takes its time over each.
export function flowed(target, pieces) {
  same(pieces.join(''), TALE)
  if (target.watch !== null && pieces.filter(Boolean).length <= 2) throw new Slow(`${pieces.length} pieces of a stream of 13`)
}

// How many requests the scripted backend answers now.
export async function inFlight(target) {
  const page = await fetch(`${target.watch}/scripted`)
  return (await page.json()).in_flight
}

export async function asked(target) {
  const deadline = performance.now() + BUSY_MS
  while ((await inFlight(target)) < 1) {
    check(performance.now() < deadline, 'nothing was asked')
    await sleep(20)
  }
}

export async function gone(target) {
  const left = performance.now()
  while ((await inFlight(target)) > 0) {
    check(performance.now() < left + BUSY_MS, `the backend still answered ${BUSY_MS} ms after the client had left`)
    await sleep(20)
  }
  if (performance.now() > left + GONE_MS) throw new Slow(`the backend still answered ${GONE_MS} ms after the client had left`)
}

export function fault(target, kind) {
  return { model: kind === 'absent' ? 'absent' : target.model, prompt: `hello [${kind}]` }
}

// The names of the errors that calls end in. Fails where one ends in none.
export async function raised(calls) {
  const seen = {}
  for (const [kind, call] of Object.entries(calls)) {
    try {
      await call()
      seen[kind] = ''
    } catch (error) {
      seen[kind] = `\`${error.name}\`` + (error.statusCode ? ` ${error.statusCode}` : '')
    }
  }
  const silent = Object.keys(seen).filter((kind) => !seen[kind])
  const told = [...new Set(Object.values(seen).filter(Boolean))].join(', ')
  check(silent.length === 0, `no exception (${silent.join(', ')})` + (told ? `; else ${told}` : ''))
  return told
}

export async function main(cells) {
  for (const target of JSON.parse(process.argv[2])) {
    for (const cell of target.cells) {
      console.log(JSON.stringify({ target: target.name, cell, seen: await seenOf(() => cells[cell](target)) }))
    }
  }
  process.exit(0)
}

async function seenOf(cell, tries = TRIES) {
  try {
    const late = sleep(CELL_MS, undefined, { ref: false }).then(() => check(false, `nothing happened in ${CELL_MS / 1000} s`))
    return `✓ ${(await Promise.race([cell(), late])) ?? ''}`.trim()
  } catch (error) {
    if (error instanceof Slow && tries > 1) return seenOf(cell, tries - 1)
    const said = String(error.message).replace(/\s+/g, ' ').slice(0, 300)
    return error instanceof Absent ? `— ${said}` : error.name === 'Error' ? `✗ ${said}` : `✗ ${error.name}: ${said}`
  }
}
