// The transform without a model, word by word as the gateway's template makes it (homeport.tasks.shipped.scattering), and what can be counted of the bands.

export const BANDS = ['PERSONA', 'CONTEXT', 'DATA', 'CONSTRAINTS', 'FORMAT', 'TASK'];
const FORMULA = 'x(t) = Sigma x(nT) * sinc((t - nT) / T)';
const FORMULAS = [FORMULA, FORMULA.replace('Sigma', 'Σ').replaceAll('*', '·'), FORMULA.replace('Sigma', 'Σ'), FORMULA.replaceAll('*', '·')];
const AXIS = 'specification-axis';
const STEPS = 'A numbered list in the order of the steps.';
const FIELDS = [ // words of a prompt, who would answer it, and in which form
  ['code python function script bug api sql regex', 'a senior software engineer', 'Code in one block, then one sentence on how to run it.'],
  ['mail letter invite invitation toast speech reply', 'an editor who writes for busy readers', 'The text alone, ready to be sent.'],
  ['plan trip picnic party schedule itinerary agenda', 'an organiser who has planned many of these', STEPS],
  ['summary summarize summarise shorten explain', 'a teacher who explains in plain words', 'At most five short paragraphs.'],
  ['table spreadsheet list compare csv', 'an analyst who checks each figure', 'One table with a heading for each column.'],
];
const ANYONE = ['', 'a specialist in what is asked', 'Plain text in short paragraphs.'];
const RULES = [
  'ALWAYS do what the task says and nothing beside it.',
  'NEVER invent facts, names, dates, figures or sources that were not given.',
  'ALWAYS say which information is missing instead of guessing it.',
  'The answer MUST be complete, correct and usable without changes.',
  'NEVER repeat the task, and NEVER explain how you work unless that was asked.',
  'ALWAYS use the language and the terms in which the task is written.',
  'The answer MUST keep to the form that FORMAT says.',
];
const SENTENCE = /^.*?[.!?](?= |$)/u;
const MOST_WORDS = 40; // of the sentence that is the TASK of a long prompt
const BLANKS = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/u; // Python's; \s is another set

/** The parts between blanks. */
export const words = text => text.split(BLANKS).filter(Boolean);
const folded = text => text.toUpperCase().toLowerCase();

/** The bands of a prompt; one that is a sinc object already passes through. */
export function template(prompt) {
  const already = passing(prompt);
  if (already) return already;
  const said = new Set(folded(prompt).match(/[\p{L}\p{N}_]+/gu));
  const [, persona, form] = FIELDS.find(([keys]) => keys.split(' ').some(key => said.has(key))) ?? ANYONE;
  const text = words(prompt).join(' ');
  const [first = '', ...rest] = text;
  const bands = {
    PERSONA: `You are ${persona}.`,
    CONTEXT: 'Someone asked for what TASK says.',
    DATA: 'None is given. What is missing is to be asked for.',
    CONSTRAINTS: RULES.join(' '),
    FORMAT: form,
    TASK: first.toUpperCase() + rest.join(''),
  };
  const made = sinc(bands);
  if (!short(made)) return made;
  const [sentence] = bands.TASK.match(SENTENCE) ?? ['']; // a long prompt would make TASK the longest band: what it asks for is a rule
  const task = sentence && words(sentence).length <= MOST_WORDS ? sentence : 'Do what CONSTRAINTS asks for.';
  return sinc({ ...bands, CONSTRAINTS: `${bands.CONSTRAINTS} The answer MUST meet the whole of this wish: ${text}`, TASK: task });
}

/** Whether CONSTRAINTS falls short: it is to be the longest band, with 40 % of all words and five rules. */
function short(value) {
  const { constraints_share, constraints_rules } = measured(value, '');
  const counts = value.fragments.map(({ x }) => words(x).length);
  return constraints_share < 0.4 || constraints_rules < 5 || counts[BANDS.indexOf('CONSTRAINTS')] < Math.max(...counts);
}

/** The object of bands by name. */
export function sinc(bands) {
  return { formula: FORMULA, T: AXIS, fragments: BANDS.flatMap((band, n) => (band in bands ? [{ n, t: band, x: bands[band] }] : [])) };
}

function passing(prompt) {
  if (!prompt.includes('formula')) return null;
  try {
    const value = JSON.parse(prompt);
    return value && typeof value === 'object' && Object.hasOwn(value, 'formula') ? value : null;
  } catch {
    return null;
  }
}

/** Whether an object has the strict form. */
export function valid(value) {
  const fragments = value?.fragments;
  if (!same(value, ['T', 'formula', 'fragments']) || !FORMULAS.includes(value.formula) || value.T !== AXIS) return false;
  if (!Array.isArray(fragments) || fragments.length < 1 || fragments.length > BANDS.length) return false;
  const right = ({ n, t, x }) => Number.isInteger(n) && t !== undefined && t === BANDS[n] && typeof x === 'string' && words(x).length > 0;
  return fragments.every(one => same(one, ['n', 't', 'x']) && right(one)) && new Set(fragments.map(one => one.n)).size === fragments.length;
}

const same = (value, keys) => value !== null && typeof value === 'object' && Object.keys(value).sort().join() === keys.join();

/** What can be counted: strict form, bands, the share of CONSTRAINTS by words, its rules, the share of the prompt's words that are kept. */
export function measured(value, prompt) {
  const bands = Object.fromEntries(value.fragments.map(({ t, x }) => [t, String(x)]));
  const counts = Object.values(bands).map(text => words(text).length);
  const bare = text => words(text).map(word => folded(strip(word, '.,:;!?"\'')));
  const said = new Set(bare(prompt));
  const kept = new Set(Object.values(bands).flatMap(bare));
  const constraints = words(bands.CONSTRAINTS ?? '');
  return {
    valid: valid({ ...value, fragments: value.fragments.filter(({ t }) => t !== 'TASK_ARCHIVED') }),
    bands: BANDS.filter(band => band in bands).length,
    constraints_share: constraints.length / Math.max(1, counts.reduce((sum, count) => sum + count, 0)),
    constraints_rules: constraints.filter(word => ['NEVER', 'ALWAYS', 'MUST'].includes(strip(word, '.,:;'))).length,
    fidelity: [...said].filter(word => kept.has(word)).length / Math.max(1, said.size),
  };
}

function strip(text, signs) {
  let [from, to] = [0, text.length];
  while (from < to && signs.includes(text[from])) from += 1;
  while (to > from && signs.includes(text[to - 1])) to -= 1;
  return text.slice(from, to);
}
