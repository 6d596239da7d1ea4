// What the pages of the examples share: answers that come as events, whether a model is there, and elements without HTML.

/** Why there is no whole answer. `cut`: a part of it had come. */
export class Failed extends Error {
  constructor(message, { cut = false, status = 0 } = {}) {
    super(message);
    this.cut = cut;
    this.status = status;
  }
}

/** The server-sent events of a response, however they are cut into pieces: {event, data}. An event that is not whole is left out. */
export async function* events(response) {
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = '';
  let ended = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      ended = done;
      if (done) return;
      text += decoder.decode(value, { stream: true });
      const blocks = text.replaceAll('\r\n', '\n').split('\n\n');
      text = blocks.pop();
      for (const block of blocks) {
        const found = read(block);
        if (found) yield found;
      }
    }
  } finally {
    if (!ended) reader.cancel().catch(() => {});
  }
}

function read(block) {
  let event = 'message';
  const rows = [];
  for (const line of block.split('\n')) {
    if (line.startsWith('event:')) event = line.slice(6).trim();
    else if (line.startsWith('data:')) rows.push(line.slice(5).replace(/^ /, ''));
  }
  if (!rows.length) return null;
  const data = rows.join('\n');
  if (data === '[DONE]') return { event, data };
  try {
    return { event, data: JSON.parse(data) };
  } catch {
    return null; // broken off in its middle; what follows says why
  }
}

/** POST JSON; the response. Throws Failed with what the server says of a refusal. */
export async function post(url, body, { signal } = {}) {
  let response;
  try {
    response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body), signal });
  } catch (error) {
    throw new Failed(signal?.aborted ? 'Stopped.' : 'The server of this page does not answer. Is it still running?');
  }
  if (response.ok) return response;
  const told = await response.json().catch(() => null);
  throw new Failed(told?.error?.message ?? `The server answered with ${response.status}.`, { status: response.status });
}

/** Ask a task: `partial` is given the object so far; the result {output, homeport} is whole. Throws Failed where it is not. */
export async function task(url, body, { signal, partial = () => {} } = {}) {
  const response = await post(url, body, { signal });
  let cut = false;
  let whole = null;
  try {
    for await (const { event, data } of events(response)) {
      if (event === 'result') whole = data;
      if (event === 'error') throw new Failed(data.error?.message ?? 'The answer failed.', { cut });
      if (event === 'partial') {
        cut = true;
        partial(data.output);
      }
    }
  } catch (error) {
    if (error instanceof Failed) throw error;
    if (!whole) throw new Failed(signal?.aborted ? 'Stopped.' : 'The connection was lost in the middle of the answer.', { cut });
  }
  if (whole) return whole;
  throw new Failed('The answer ended before it was whole.', { cut });
}

/** Why the template answered and no model, in a sentence. `begun`: a part of an answer had come. */
export function unheld({ attempts }, begun) {
  const reasons = [...new Set(attempts.filter(one => one.check !== 'unanswered').map(one => one.reason))];
  if (reasons.length) return `No answer of the model held (${reasons.join('; ')}).`;
  return begun ? 'The model broke off in the middle of its answer.' : 'No model answered.';
}

/** Tell `report` now and every so often whether a model can be asked: {ready, reason}. */
export function watch(report, everyMs = 5000) {
  const look = async () => {
    let found = { ready: false, reason: 'the server of this page does not answer' };
    try {
      const response = await fetch('/ready');
      if (response.ok) found = await response.json();
    } catch { /* as said above */ }
    report(found);
    setTimeout(look, everyMs);
  };
  look();
}

/** Put a text on the clipboard; whether that went well. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** An element: el('p', {class: 'note', onclick: f}, 'text', other). Texts are put in as texts, never as HTML. */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, '');
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children.filter(child => child != null));
  return made;
}
