// The Vercel AI SDK, with the provider that the second argument names.
import { embedMany, generateText, jsonSchema, Output, stepCountIs, streamText, tool } from 'ai'
import { createAnthropic } from '@ai-sdk/anthropic'
import { createOpenAI } from '@ai-sdk/openai'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { Absent, asked, check, CITY, CUTS, fault, FAULTS, flowed, gone, main, PERSON, raised, same, SCHEMA, TALE, TEXTS } from './told.mjs'

const PROVIDER = process.argv[3]

function provider(target) {
  const shared = { baseURL: `${target.url}/v1`, apiKey: target.key }
  if (PROVIDER === 'anthropic') return createAnthropic(shared)
  if (PROVIDER === 'openai') return createOpenAI(shared)
  return createOpenAICompatible({ ...shared, name: 'homeport', includeUsage: true, supportsStructuredOutputs: true })
}

function asks(target, prompt = 'hello', more = {}) {
  return { model: provider(target)(more.named ?? target.model), prompt, maxRetries: 0, ...more }
}

// A stream to its end; throws what it reports.
async function told(stream) {
  const pieces = []
  for await (const part of stream.fullStream) {
    if (part.type === 'text-delta') pieces.push(part.text)
    if (part.type === 'error') throw part.error
  }
  return pieces
}

function streamed(options) {
  return streamText({ ...options, onError: () => {} })
}

async function chat(target) {
  const reply = await generateText(asks(target, 'hello', { instructions: 'Be brief.' }))
  same([reply.text, reply.finishReason], [TALE, 'stop'])
  check(reply.usage.outputTokens > 5, 'no usage')
}

async function stream(target) {
  const answer = streamed(asks(target))
  flowed(target, await told(answer))
  same(await answer.finishReason, 'stop')
}

async function tools(target) {
  const cities = []
  const weather = tool({
    description: 'Weather of a city.',
    inputSchema: jsonSchema(CITY),
    execute: async ({ city }) => {
      cities.push(city)
      return 'rain'
    },
  })
  const steps = target.watch === null ? 1 : 3 // the talker would go on to call
  const options = { tools: { weather }, stopWhen: stepCountIs(steps) }
  const whole = await generateText(asks(target, '[tool]', options))
  const pieces = await told(streamed(asks(target, '[tool]', options)))
  same(cities, ['Oslo', 'Oslo'])
  if (target.watch !== null) same([whole.text, pieces.join('')], [TALE, TALE])
}

async function schema(target) {
  const output = Output.object({ schema: jsonSchema(SCHEMA), name: 'person' })
  same((await generateText(asks(target, '[json]', { output }))).output, PERSON)
}

async function embeddings(target) {
  if (PROVIDER === 'anthropic') throw new Absent('Anthropic has none')
  const model = provider(target).embeddingModel(target.model)
  const [first, second] = (await embedMany({ model, values: TEXTS, maxRetries: 0 })).embeddings
  check(first.length === second.length && first.length > 8 && first.join() !== second.join(), 'no two vectors')
}

async function error(target) {
  const calls = {}
  for (const kind of FAULTS) {
    const { model, prompt } = fault(target, kind)
    calls[kind] = () => generateText(asks(target, prompt, { named: model }))
    calls[`${kind} streamed`] = () => told(streamed(asks(target, prompt, { named: model })))
  }
  return raised(calls)
}

async function cut(target) {
  return raised(Object.fromEntries(CUTS.map((how) => [how, () => told(streamed(asks(target, `[cut:${how}]`)))])))
}

async function cancel(target) {
  for (const ask of [streamed, generateText]) {
    const stop = new AbortController()
    const answer = ask(asks(target, '[slow]', { abortSignal: stop.signal }))
    const end = ask === streamed ? told(answer) : answer
    const settled = Promise.resolve(end).catch(() => {})
    await asked(target)
    stop.abort()
    await gone(target)
    await settled
  }
}

await main({ chat, stream, tools, schema, embeddings, error, cut, cancel })
