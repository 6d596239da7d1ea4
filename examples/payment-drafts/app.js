// The page: who owes what, a draft as it comes, and what a person does with it.

import { Failed, copy, el, post, task, unheld, watch } from '/static/stream.js';

const PLACEHOLDERS = /(\{(?:clientName|amount|dueDate|daysOverdue)\})/;
const at = id => document.getElementById(id);
const state = { ready: null, reason: '', running: null, clients: [], draft: null };

const toneOf = days => (days >= 14 ? 'urgent' : days >= 7 ? 'firm' : 'friendly'); // the rule of the gateway's, shown before it is asked
const days = () => at('days').valueAsNumber;
const chosen = () => state.clients.find(client => client.id === at('client').value);
const dueOf = ago => {
  const now = new Date();
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() - ago).toLocaleDateString('en-GB', { day: 'numeric', month: 'long', year: 'numeric' });
};
const button = (text, onclick, kind = '') => el('button', { class: `button ${kind}`, type: 'button', onclick }, text);

function say(text) {
  at('status').textContent = text;
}

function tell(kind, text, ...buttons) {
  at('banner').replaceChildren(el('div', { class: `banner ${kind}` }, el('p', {}, text), buttons.length ? el('div', { class: 'row' }, ...buttons) : null));
}

function controls() {
  const { ready, reason, running } = state;
  at('go').firstElementChild.textContent = running ? 'Writing' : ready === false ? 'Use the template' : 'Draft';
  at('go').classList.toggle('busy', Boolean(running));
  at('go').setAttribute('aria-disabled', String(Boolean(running) || !state.clients.length));
  at('stop').hidden = !running;
  for (const one of at('buttons').children) one.disabled = Boolean(running);
  at('dot').className = `dot ${ready === null ? '' : ready ? 'good' : 'bad'}`;
  at('model').textContent = ready === null ? 'Looking for a model …' : ready ? 'Model ready' : `Model offline: ${reason}`;
}

function rule() {
  const valid = at('days').validity.valid;
  const tone = valid ? toneOf(days()) : null;
  for (const one of at('tones').children) {
    one.classList.toggle('on', one.dataset.tone === tone);
    if (one.dataset.tone === tone) one.setAttribute('aria-current', 'true');
    else one.removeAttribute('aria-current');
  }
  const client = chosen();
  at('facts').textContent = valid && client ? `${client.name} owes ${client.amount}, due ${dueOf(days())}.` : 'Days overdue is a whole number from 0 to 3650.';
}

/** A text as nodes: placeholders as holes, or the values that code put in as marks. */
function pieces(text, marked) {
  const values = marked.filter(value => value.length > 1).map(value => value.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')); // a single figure may be the model's own
  const parts = text.split(values.length ? new RegExp(`((?<!\\w)(?:${values.join('|')})(?!\\w))`) : PLACEHOLDERS);
  return parts.map((part, number) => (number % 2 ? el(values.length ? 'mark' : 'span', values.length ? {} : { class: 'hole' }, part) : part));
}

const shown = value => (typeof value === 'string' ? value : '');

function letter(output, { marked = [], open = false, cut = false } = {}) {
  const found = output && typeof output === 'object' ? output : {};
  at('draft').className = `card ${open ? 'open' : ''} ${cut ? 'cut' : ''}`;
  at('draft').replaceChildren(
    el('p', { class: 'subject' }, el('span', { class: 'label' }, 'Subject '), ...pieces(shown(found.subject) || (open ? '…' : ''), marked)),
    el('p', { class: 'body' }, ...pieces(shown(found.body), marked)),
  );
}

function pills(...rows) {
  at('pills').replaceChildren(...rows.map(([text, kind]) => el('span', { class: `pill ${kind}` }, text)));
}

function frame({ legend = false, buttons = [] } = {}) {
  at('result').hidden = false;
  at('legend').hidden = !legend;
  at('buttons').replaceChildren(...buttons);
  controls();
}

/** Ask for a draft for one client. `before` is the one that it replaces, where there is one. */
async function write(wanted, before = null) {
  const client = state.clients.find(one => one.id === wanted.client);
  if (state.running || !client) return;
  const marked = [client.name, client.amount, dueOf(wanted.days_overdue), String(wanted.days_overdue)];
  state.running = new AbortController();
  state.draft = null;
  at('banner').replaceChildren();
  let sofar = null;
  at('title').textContent = `Draft for ${client.name}`;
  letter({}, { open: true });
  pills([toneOf(wanted.days_overdue), '']);
  frame();
  say('The draft is being written.');
  const partial = output => {
    sofar = output;
    letter(output, { open: true });
  };
  try {
    const { output, homeport } = await task('/draft', wanted, { signal: state.running.signal, partial });
    state.draft = { ...output, draft: crypto.randomUUID(), wanted, client: client.id, offline: homeport.offline, marked };
    state.running = null;
    whole(homeport, before, sofar !== null);
  } catch (error) {
    if (!(error instanceof Failed)) throw error;
    state.running = null;
    broken(error, sofar, wanted);
  } finally {
    controls();
  }
}

function origin(draft, edited = false) {
  const by = draft.offline ? ['By the template', 'warn'] : ['By the model', 'good'];
  pills([draft.tone, ''], by, ...(edited ? [['Edited', '']] : []));
}

function whole(homeport, before, begun) {
  const draft = state.draft;
  open(draft);
  if (draft.offline) tell('warn', `${unheld(homeport, begun)} This is the template’s.`);
  else if (before && before.subject === draft.subject && before.body === draft.body) tell('', 'It wrote the same again: this task is asked at temperature 0.');
  say(`The draft is there. Subject: ${draft.subject}`);
}

function open(draft) {
  letter(draft, { marked: draft.marked });
  origin(draft, draft.edited);
  frame({ legend: !draft.edited, buttons: [button('Accept', accept, 'primary'), button('Edit', edit), button('Regenerate', regenerate)] });
}

function broken(error, sofar, wanted) {
  pills([error.cut ? 'Cut' : 'No draft', 'bad']);
  frame();
  if (error.cut) letter(sofar, { cut: true });
  else at('result').hidden = true;
  const what = error.cut ? 'What had come is below; it is cut, and cannot be accepted.' : 'Nothing had come.';
  tell('bad', `${error.message} ${what}`, button('Try again', () => write(wanted)));
}

/** Post what was decided; whether it is kept. */
async function decide(kind, draft, before = null) {
  const { draft: name, client, tone, offline, subject, body } = draft;
  try {
    await post('/events', { kind, draft: name, client, tone, offline, subject, body, ...(before ? { before } : {}) });
  } catch (error) {
    tell('bad', `This could not be noted: ${error.message}`);
    return false;
  }
  await history();
  return true;
}

async function accept() {
  const draft = state.draft;
  if (!draft || !await decide('accepted', draft)) return;
  letter(draft, { marked: draft.marked });
  pills([draft.tone, ''], ['Accepted', 'good']);
  const copied = button('Copy the e-mail', async () => {
    const done = await copy(`${draft.subject}\n\n${draft.body}`);
    copied.textContent = done ? 'Copied' : 'Not copied';
    say(done ? 'The e-mail is copied.' : 'The browser did not let it be copied.');
    setTimeout(() => { copied.textContent = 'Copy the e-mail'; }, 1600);
  }, 'primary');
  frame({ legend: !draft.edited, buttons: [copied] });
  at('banner').replaceChildren();
  say('Accepted.');
  copied.focus();
}

function edit() {
  const draft = state.draft;
  const subject = el('input', { id: 'subject', value: draft.subject, maxlength: 300 });
  const body = el('textarea', { id: 'body', rows: 9, maxlength: 8000 });
  body.value = draft.body;
  at('draft').className = 'card';
  at('draft').replaceChildren(el('label', { for: 'subject' }, 'Subject'), subject, el('label', { for: 'body' }, 'Text'), body);
  const save = async () => {
    const before = { subject: draft.subject, body: draft.body };
    if (!subject.value.trim() || !body.value.trim()) return tell('bad', 'A draft needs a subject and a text.');
    if (subject.value === before.subject && body.value === before.body) return back();
    const changed = { ...draft, subject: subject.value, body: body.value, edited: true, marked: [] }; // what stands in it now, a person may have written
    if (!await decide('edited', changed, before)) return undefined;
    state.draft = changed;
    say('Saved.');
    return back();
  };
  const back = () => {
    at('banner').replaceChildren();
    open(state.draft);
    at('buttons').firstElementChild.focus();
  };
  frame({ buttons: [button('Save', save, 'primary'), button('Cancel', back)] });
  body.focus();
}

async function regenerate() {
  const draft = state.draft;
  if (draft && await decide('regenerated', draft)) await write(draft.wanted, draft);
}

async function history() {
  const response = await fetch('/events').catch(() => null);
  if (!response?.ok) return;
  const rows = (await response.text()).split('\n').filter(Boolean).map(line => JSON.parse(line)).reverse();
  at('none').hidden = rows.length > 0;
  at('log').replaceChildren(...rows.slice(0, 50).map(row => {
    const moment = new Date(row.at * 1000);
    const name = state.clients.find(client => client.id === row.client)?.name ?? row.client;
    const when = el('time', { datetime: moment.toISOString() }, moment.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }));
    return el('li', {}, when, el('strong', {}, row.kind), el('span', {}, `${name}, ${row.tone}${row.offline ? ', template' : ''}`));
  }));
}

at('form').addEventListener('submit', event => {
  event.preventDefault();
  if (chosen() && at('form').reportValidity()) write({ client: chosen().id, days_overdue: days() });
});
at('stop').addEventListener('click', () => state.running?.abort());
for (const id of ['client', 'days']) at(id).addEventListener('input', rule);
const listed = await fetch('/own/clients.json');
state.clients = await listed.json();
at('client').replaceChildren(...state.clients.map(client => el('option', { value: client.id }, client.name)));
rule();
watch(found => {
  Object.assign(state, found);
  controls();
});
await history();
controls();
