// The page: a form, six bands that fill as they stream, what they took, and what can be done where no model is there.

import { BANDS, measured, template } from '/own/template.js';
import { Failed, copy, el, task, unheld, watch } from '/static/stream.js';

const SAMPLES = ['Plan a picnic for ten people by the river', 'Fix the bug in my date function', 'Write a letter about a cold radiator'];
const at = id => document.getElementById(id);
const form = at('form');
const field = at('prompt');
const state = { ready: null, reason: '', running: null };

function controls() {
  const { ready, reason, running } = state;
  const go = at('go');
  const offline = ready === false && !running;
  go.firstElementChild.textContent = running ? 'Transforming' : offline ? 'Model offline' : 'Transform';
  go.classList.toggle('busy', Boolean(running));
  go.setAttribute('aria-disabled', String(Boolean(running) || ready !== true || !field.value.trim()));
  at('offline').disabled = Boolean(running) || !field.value.trim();
  at('offline').classList.toggle('primary', offline);
  at('stop').hidden = !running;
  at('dot').className = `dot ${ready === null ? '' : ready ? 'good' : 'bad'}`;
  at('model').textContent = ready === null ? 'Looking for a model …' : ready ? 'Model ready' : `Model offline: ${reason}`;
}

function say(text) {
  at('status').textContent = text;
}

function warn(kind, text, ...buttons) {
  at('banner').replaceChildren(el('div', { class: `banner ${kind}` }, el('p', {}, text), buttons.length ? el('div', { class: 'row' }, ...buttons) : null));
}

const button = (text, onclick, kind = '') => el('button', { class: `button ${kind}`, type: 'button', onclick }, text);

function copier(text, what) {
  const made = button('Copy', async () => {
    const done = await copy(text());
    made.textContent = done ? 'Copied' : 'Not copied';
    say(done ? `${what} is copied.` : `The browser did not let ${what} be copied.`);
    setTimeout(() => { made.textContent = 'Copy'; }, 1600);
  }, 'quiet');
  made.setAttribute('aria-label', `Copy ${what}`);
  return made;
}

/** One band: its text so far; `mark` says what is to be said of it. */
function band(name, text, { open = false, mark = '', whole = false } = {}) {
  const head = el('div', { class: 'row spread' }, el('h3', {}, name), mark ? el('span', { class: 'pill bad' }, mark) : null, whole ? copier(() => text, name) : null);
  const said = el('p', { class: 'text' }, text || (whole ? '' : '…'));
  return el('li', { class: `card band ${name.toLowerCase()} ${open ? 'open' : ''} ${text ? '' : 'empty'}` }, head, said);
}

const shown = value => (typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value));

/** The bands while they come, and where they broke off. */
function filling(output, cut = false) {
  const bands = output && typeof output === 'object' ? output : {};
  const last = BANDS.findLast(name => shown(bands[name]));
  const mark = name => (!cut ? '' : name === last ? 'Cut' : shown(bands[name]) ? '' : 'Missing');
  at('bands').replaceChildren(...BANDS.map(name => band(name, shown(bands[name]), { open: !cut && name === last, mark: mark(name) })));
  return last;
}

function figures(place, rows) {
  place.replaceChildren(...rows.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))));
}

const seconds = value => (value === null || value === undefined ? '–' : `${value.toFixed(value < 10 ? 2 : 1)} s`);
const part = value => `${Math.round(value * 100)} %`;

function clear() {
  at('banner').replaceChildren();
  for (const id of ['origin', 'all', 'measured', 'raw']) at(id).hidden = true;
  at('result').hidden = false;
}

/** A whole object, from the model, the template, or the prompt itself. */
function whole(value, prompt, origin, kind) {
  const fragments = Array.isArray(value.fragments) ? value.fragments.filter(one => one && typeof one === 'object') : [];
  at('bands').replaceChildren(...fragments.map(one => band(shown(one.t), shown(one.x), { whole: true })));
  Object.assign(at('origin'), { textContent: origin, className: `pill ${kind}` });
  at('origin').hidden = at('all').hidden = at('raw').hidden = false;
  at('json').textContent = JSON.stringify(value, null, 2);
  at('measured').hidden = fragments.length === 0;
  if (!fragments.length) return;
  const found = measured({ ...value, fragments }, prompt);
  figures(at('measured'), [
    ['Strict form', found.valid ? 'valid' : 'not valid'], ['Bands', `${found.bands} of 6`], ['Share of CONSTRAINTS', part(found.constraints_share)],
    ['Rules in it', String(found.constraints_rules)], ['Words of the prompt kept', part(found.fidelity)],
  ]);
}

function result({ output, homeport }, prompt, took, begun) {
  const tried = homeport.attempts.filter(one => one.check !== null);
  const asked = homeport.route !== null;
  whole(output, prompt, asked ? 'By the model' : homeport.offline ? 'By the template' : 'Passed through', asked ? 'good' : 'warn');
  const cost = homeport.tokens ?? homeport.attempts.reduce((sum, one) => sum + (one.tokens ?? 0), 0);
  const speed = homeport.tok_per_s;
  figures(at('figures'), [
    ['Time', seconds(took)], ['Tokens', String(cost)], ['Tokens/s', speed ? speed.toFixed(1) : '–'],
    ['Answered by', asked ? `${homeport.route.model} on ${homeport.route.backend}` : 'no model'],
  ]);
  if (homeport.offline) {
    warn('warn', `${unheld(homeport, begun)} These bands are the template’s.`, button('Try again', transform));
  } else if (tried.length) {
    at('banner').replaceChildren(el('p', { class: 'banner' }, `It took ${homeport.attempts.length} attempts; before: ${tried.map(one => one.reason).join('; ')}.`));
  }
  say(`${homeport.offline ? 'The bands are the template’s' : 'All bands are there'}, after ${seconds(took)}.`);
}

async function transform() {
  const prompt = field.value;
  if (state.running || state.ready !== true || !prompt.trim()) return;
  state.running = new AbortController();
  const began = performance.now();
  const took = () => (performance.now() - began) / 1000;
  let sofar = {};
  let last;
  clear();
  filling(sofar);
  controls();
  say('The model begins.');
  const tick = () => figures(at('figures'), [['Time', seconds(took())], ['Tokens', '…'], ['Tokens/s', '…']]);
  tick();
  const clock = setInterval(tick, 200);
  const partial = output => {
    sofar = output;
    const now = filling(output);
    if (now && now !== last) say(`Writing ${now}, ${BANDS.indexOf(now) + 1} of 6.`);
    last = now;
  };
  try {
    const found = await task('/transform', { prompt }, { signal: state.running.signal, partial });
    clearInterval(clock);
    result(found, prompt, took(), last !== undefined);
  } catch (error) {
    if (!(error instanceof Failed)) throw error;
    broken(error, sofar, took());
  } finally {
    clearInterval(clock);
    state.running = null;
    controls();
  }
}

function broken(error, sofar, took) {
  figures(at('figures'), [['Time', seconds(took)], ['Tokens', '–'], ['Tokens/s', '–']]);
  if (error.cut) {
    filling(sofar, true);
    Object.assign(at('origin'), { textContent: 'Cut', className: 'pill bad', hidden: false });
  } else at('result').hidden = true;
  const what = error.cut ? 'Below is what had come; it is cut, and not to be used as it is.' : 'Nothing had come.';
  warn('bad', `${error.message} ${what}`, button('Try again', transform), button('Use the template', offline));
}

function offline() {
  const prompt = field.value;
  if (state.running || !prompt.trim()) return;
  const began = performance.now();
  clear();
  whole(template(prompt), prompt, 'By the template, in this browser', 'warn');
  figures(at('figures'), [['Time', seconds((performance.now() - began) / 1000)], ['Tokens', '0'], ['Answered by', 'no model']]);
  say('The bands are the template’s.');
}

form.addEventListener('submit', event => {
  event.preventDefault();
  transform();
});
field.addEventListener('keydown', event => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) transform();
});
field.addEventListener('input', controls);
at('stop').addEventListener('click', () => state.running?.abort());
at('offline').addEventListener('click', offline);
at('all').addEventListener('click', async () => {
  const done = await copy(at('json').textContent);
  say(done ? 'The JSON is copied.' : 'The browser did not let it be copied.');
  at('all').textContent = done ? 'Copied' : 'Not copied';
  setTimeout(() => { at('all').textContent = 'Copy as JSON'; }, 1600);
});
at('samples').append(...SAMPLES.map(text => button(text, () => {
  field.value = text;
  controls();
  field.focus();
}, 'quiet')));
watch(found => {
  Object.assign(state, found);
  controls();
});
controls();
