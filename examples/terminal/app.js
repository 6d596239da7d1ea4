// A line in, an answer out: what the data says at once, all else from the model as it comes. Texts are put in as texts, never as HTML.
import { Failed, el, post, task, watch } from '/static/stream.js';

const [log, form, line, stop, offers, said, model] = ['log', 'form', 'line', 'stop', 'offers', 'said', 'model'].map(id => document.getElementById(id));
const STARTERS = ['help', 'list', 'explain thimble', 'What is written in Rust?'];
const OFFERS = 12;
const past = []; // lines that were sent, the oldest first
let at = 0; // where the arrow keys are in them
let unsent = ''; // what stood in the line before they were pressed
let ending = true; // nobody scrolled up in the log
let height = 0; // how far the log was scrolled
let asking = null; // ends the question that a model is at
let data = { facts: [], commands: ['help', 'list', 'clear'] };

watch(({ ready, reason }) => {
  const told = ready ? 'Model ready' : `Model offline: ${reason}. Commands work all the same.`;
  if (model.textContent === told) return;
  model.textContent = told;
  model.className = ready ? 'pill good' : 'pill warn';
});

async function run(text) {
  past.push(text);
  at = past.length;
  line.value = '';
  offer();
  if (text.toLowerCase() === 'clear') {
    asking?.abort();
    log.replaceChildren();
    said.textContent = 'The screen is empty.';
    return;
  }
  const out = el('div', { class: 'out' });
  log.append(el('div', { class: 'entry' }, el('p', { class: 'asked' }, text), out));
  follow(true);
  try {
    const known = await (await post('/answer', { line: text })).json();
    if (known) show(out, ...replied(known));
    else await ask(text, out);
  } catch (error) {
    show(out, ...failed(error, text));
  }
}

/** An open question. What comes of the answer is shown as unfinished; only the whole of it is an answer. */
async function ask(text, out) {
  asking?.abort();
  const mine = asking = new AbortController();
  const partial = el('p', { class: 'unfinished waiting', 'aria-hidden': 'true' }, 'Asking the model …');
  const began = performance.now();
  out.append(partial);
  stop.hidden = false;
  said.textContent = 'Asking the model.';
  follow();
  try {
    const whole = await task('/ask', { line: text }, {
      signal: mine.signal,
      partial: output => { partial.textContent = output?.answer || 'Asking the model …'; follow(); },
    });
    show(out, ...answered(whole, (performance.now() - began) / 1000));
  } catch (error) {
    show(out, ...failed(error, text, mine.signal.aborted));
  } finally {
    if (asking === mine) {
      asking = null;
      stop.hidden = true;
      if (document.activeElement === document.body) line.focus(); // Stop had it
    }
  }
}

function replied({ text, rows }) {
  const made = rows.map(row => [row.run && row.run !== row.text ? runner(row.run, row.term) : row.term, row.run && row.run === row.text ? runner(row.run) : row.text]);
  const wide = rows.some(({ term }) => term.length > 12);
  if (!rows.some(row => row.text)) return [text && el('p', {}, text), rows.length && el('ul', { class: 'bare' }, ...made.map(([term]) => el('li', {}, term)))];
  return [text && el('p', {}, text), el('dl', { class: wide && 'wide' }, ...made.flatMap(([term, text]) => [el('dt', {}, term), el('dd', {}, text)]))];
}

function answered({ output, homeport }, seconds) {
  const { model: by = 'code', location = 'no model' } = homeport.route ?? {};
  const tiny = by === 'pilot' ? ' The bundled model is tiny, and often quotes the wrong words.' : '';
  const note = (...before) => el('p', { class: 'note' }, ...before, `Answered by ${by} (${location}), ${homeport.tokens ?? '?'} tokens in ${seconds.toFixed(2)} s.${tiny}`);
  if (output.answer === null) return [el('p', {}, 'The data does not say.'), note()];
  if (!/[\p{L}\p{N}]/u.test(output.answer)) return [el('p', {}, 'The model quoted no word of the data.'), note()];
  const found = data.facts.filter(({ text }) => holds(text, output.answer));
  if (!found.length || found.length > 3) return [el('p', { class: 'answer' }, output.answer), note()];
  return [el('p', { class: 'answer' }, output.answer), note('It stands in ', ...found.flatMap(({ run: command }, number) => [number ? ', ' : '', runner(command)]), '. ')];
}

function failed(error, text, stopped = false) {
  if (!(error instanceof Failed)) throw error;
  if (stopped) return [el('p', {}, 'Stopped.')];
  const what = error.cut ? 'The answer broke off before its end, so nothing of it is shown.' : 'There is no answer.';
  return [el('p', { class: 'wrong' }, `${what} ${error.message}`), el('p', { class: 'note' }, runner(text, 'Ask again'), '. What the data says is still here: ', runner('list'), ', ', runner('help'), '.')];
}

/** Whether the words stand in the text, and not in the middle of other words. */
function holds(text, words) {
  const place = text.indexOf(words);
  return place >= 0 && [place, place + words.length].every(edge => !/\w\w/.test(text.slice(Math.max(edge - 1, 0), edge + 1)));
}

function runner(command, text = command) {
  return el('button', { class: 'run', type: 'button', title: command === text ? null : command, onclick: () => run(command) }, text);
}

function show(out, ...parts) {
  out.replaceChildren(...parts.filter(Boolean));
  said.textContent = '';
  follow();
}

/** Keep the end in sight, unless somebody scrolled up to read. */
function follow(always = false) {
  if (always || ending) log.scrollTop = log.scrollHeight;
}

/** What the line may become. */
function completions() {
  const begun = line.value.toLowerCase().trimStart().replace(/\s+/g, ' ');
  const words = begun.split(' ').length;
  return begun ? data.commands.filter(command => command.startsWith(begun) && command !== begun && command.split(' ').length <= words) : [];
}

function offer(found = completions()) {
  const shown = line.value ? found.slice(0, OFFERS) : STARTERS;
  const short = text => line.value ? text.split(' ').at(-1) : text; // the words before it stand in the line already
  offers.replaceChildren(...shown.map(text => el('button', { class: 'button', type: 'button', 'aria-label': text, onclick: () => take(text) }, short(text))));
  offers.scrollTop = 0;
}

function take(text) {
  if (['show', 'explain'].includes(text)) {
    put(`${text} `);
    line.focus();
  } else run(text);
}

function put(text) {
  line.value = text;
  line.setSelectionRange(text.length, text.length);
  offer();
}

/** Tab: as far as it is clear, and what it may be. False where it completes nothing (more): then Tab moves on, as everywhere else. */
function complete() {
  const found = completions();
  const longer = command => data.commands.some(other => other.startsWith(`${command} `));
  let shared = found[0] ?? line.value.toLowerCase();
  for (const command of found) while (!command.startsWith(shared)) shared = shared.slice(0, -1);
  if (found.length < 2 && longer(shared)) shared += ' ';
  const told = found.length > 1 ? `${found.length} completions: ${found.slice(0, OFFERS).join(', ')}` : shared;
  if (!line.value || (shared === line.value && (!found.length || said.textContent === told))) return false;
  put(shared);
  said.textContent = told;
  return true;
}

function recall(step) {
  if (!past.length) return;
  if (at === past.length) unsent = line.value;
  at = Math.min(Math.max(at + step, 0), past.length);
  put(past[at] ?? unsent);
}

form.addEventListener('submit', event => {
  event.preventDefault();
  const text = line.value.trim();
  if (text) run(text);
});
line.addEventListener('input', () => { at = past.length; said.textContent = ''; offer(); });
line.addEventListener('keydown', event => {
  if (event.isComposing) return;
  if (event.key === 'ArrowUp' || event.key === 'ArrowDown') {
    event.preventDefault();
    recall(event.key === 'ArrowUp' ? -1 : 1);
  } else if (event.key === 'Tab' && !event.shiftKey && !event.ctrlKey && !event.altKey && complete()) event.preventDefault();
});
document.addEventListener('keydown', event => {
  if (event.key === 'Escape') asking?.abort();
});
log.addEventListener('scroll', () => {
  if (log.scrollTop + log.clientHeight >= log.scrollHeight - 8) ending = true;
  else if (log.scrollTop < height) ending = false; // what came meanwhile is no reason
  height = log.scrollTop;
});
new ResizeObserver(() => follow()).observe(log);
stop.addEventListener('click', () => asking?.abort());

offer();
fetch('/data').then(response => response.json()).then(found => { data = found; }).catch(() => {}).then(() => {
  const count = data.commands.filter(command => command.startsWith('explain ')).length;
  const start = ['Start with ', runner('help'), ' or ', runner('list'), ', or ask a question.'];
  log.prepend(el('div', { class: 'entry' }, el('p', {}, count ? `There are ${count} small projects in here. ` : '', ...start)));
});
