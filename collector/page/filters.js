// The filters of the live view. What they are set to stands in the URL only.

import { el, show } from './dom.js';
import { OUTCOMES } from './records.js';
import { changed, go, href, params } from './url.js';

/** The parameters of the API that the page hands on as they stand in its URL. */
export const NAMES = ['q', 'user', 'session', 'rule', 'outcome', 'from', 'to', 'action', 'token_ref', 'service', 'stream',
  'user_name', 'user_email'];

const RANGES = [['', 'Any time'], ['15m', 'Last 15 minutes'], ['1h', 'Last hour'], ['6h', 'Last 6 hours'], ['1d', 'Last day'],
  ['7d', 'Last 7 days'], ['30d', 'Last 30 days']];
/** Parameters without an input of their own: they come from links, and can be taken away. */
const CHIPS = ['user_name', 'user_email', 'action', 'token_ref', 'service', 'stream'];
/** Milliseconds without a key after which a text counts. */
const TYPING = 350;

/** What the records are asked for. */
export function query() {
  const now = params();
  return Object.fromEntries(NAMES.map((name) => [name, now.get(name)]).filter(([, value]) => value));
}

/** The form; `update()` makes it show what the URL says. */
export function filterForm() {
  const inputs = {
    q: text('q', 'Action contains', 'search'), user: text('user', 'User id'), session: text('session', 'Session id'),
    rule: text('rule', 'Rule'), outcome: choice('outcome', 'Outcome', [['', 'Any outcome'], ...OUTCOMES.map((name) => [name, name])]),
  };
  const range = choice('range', 'Time range', [...RANGES, ['custom', 'From \u2026 to \u2026']]);
  const from = text('from', 'From', 'datetime-local');
  const to = text('to', 'To', 'datetime-local');
  const chips = el('div', { class: 'chips' });
  const clear = el('button', { type: 'button', class: 'button', on: { click: () => go(href({})) } }, 'Clear');

  for (const [name, input] of Object.entries(inputs)) bind(input.control, name);
  range.control.addEventListener('change', () => setRange(range.control.value));
  for (const [name, input] of [['from', from], ['to', to]]) {
    input.control.addEventListener('change', () => go(href(changed({ [name]: toUtc(input.control.value) }))));
  }

  function setRange(value) {
    const start = new Date(Date.now() - 3600000).toISOString();
    go(href(changed(value === 'custom' ? { from: start, to: null } : { from: value, to: null })));
  }

  function update() {
    const now = params();
    for (const [name, { control }] of Object.entries(inputs)) assign(control, now.get(name) ?? '');
    const custom = isCustom(now);
    assign(range.control, custom ? 'custom' : now.get('from') ?? '');
    from.whole.hidden = to.whole.hidden = !custom;
    assign(from.control, toLocal(now.get('from')));
    assign(to.control, toLocal(now.get('to')));
    show(chips, CHIPS.filter((name) => now.get(name)).map((name) => chip(name, now.get(name))));
    const set = NAMES.filter((name) => now.get(name)).length;
    clear.disabled = set === 0;
    toggle.textContent = set > 0 ? `Filters (${set})` : 'Filters';
  }

  // Where the screen is narrow the list comes first, and the form on demand.
  const toggle = el('button', { type: 'button', class: 'button filters-toggle', 'aria-expanded': 'false', on: { click: () => reveal(!form.classList.contains('shown')) } });

  function reveal(isShown) {
    form.classList.toggle('shown', isShown);
    toggle.setAttribute('aria-expanded', String(isShown));
  }

  const form = el('form', { class: 'filters filters-live', role: 'search', 'aria-label': 'Filter the records', on: { submit: (event) => event.preventDefault() } },
    Object.values(inputs).map((input) => input.whole), range.whole, from.whole, to.whole, clear, chips);
  return { form, toggle, update };
}

/** A text counts when nobody has typed for a moment; what is typed in one go is one entry of the history. */
function bind(control, name) {
  let timer = null;
  let typed = false;
  const apply = () => {
    clearTimeout(timer);
    const value = control.value.trim();
    if (value === (params().get(name) ?? '')) return;
    go(href(changed({ [name]: value })), typed);
    typed = control.type !== 'select-one';
  };
  control.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(apply, TYPING);
  });
  control.addEventListener('change', apply);
  control.addEventListener('blur', () => { typed = false; });
}

function text(name, label, type = 'text') {
  const id = `filter-${name}`;
  const control = el('input', { id, type, autocomplete: 'off', spellcheck: 'false', step: type === 'datetime-local' ? '1' : null });
  return { control, whole: el('div', { class: `filter filter-${name}` }, el('label', { for: id }, label), control) };
}

/** A labelled choice among pairs of value and words. */
export function choice(name, label, options) {
  const id = `filter-${name}`;
  const control = el('select', { id }, options.map(([value, words]) => el('option', { value }, words)));
  return { control, whole: el('div', { class: `filter filter-${name}` }, el('label', { for: id }, label), control) };
}

function chip(name, value) {
  return el('span', { class: 'chip' }, el('span', { class: 'muted' }, name.replace('_', ' ')), el('span', { class: 'chip-value' }, value),
    el('button', { type: 'button', 'aria-label': `Remove the filter ${name}`, on: { click: () => go(href(changed({ [name]: null }))) } }, '\u00d7'));
}

/** Not while somebody types there. */
function assign(control, value) {
  if (control.value === value || (control === document.activeElement && control.tagName === 'INPUT' && !moved())) return;
  if (control.tagName === 'SELECT' && ![...control.options].some((option) => option.value === value)) {
    control.append(el('option', { value }, value));
  }
  control.value = value;
}

let lastMove = 0;
addEventListener('popstate', () => { lastMove = performance.now(); });

/** Whether the URL has just been changed by the browser's own buttons. */
function moved() {
  return performance.now() - lastMove < 100;
}

function isCustom(now) {
  const from = now.get('from') ?? '';
  return Boolean(now.get('to')) || (from !== '' && !/^\d+[smhd]$/.test(from));
}

function toUtc(local) {
  return local ? new Date(local).toISOString() : null;
}

function toLocal(moment) {
  const at = new Date(moment ?? '');
  if (Number.isNaN(at.getTime())) return '';
  return new Date(at.getTime() - at.getTimezoneOffset() * 60000).toISOString().slice(0, 19);
}
