// Everything that is known of one record, beside the list it was opened from.

import { get } from './api.js';
import { copyButton } from './clipboard.js';
import { breakable, el, icon, notice, show } from './dom.js';
import { context, utc } from './format.js';
import { personLink } from './person.js';
import { action, flags, outcome, sessionKey, time } from './records.js';
import { endOf } from './stages.js';
import { changed, go, href, params } from './url.js';

const GROUPS = [
  ['What', (name) => /^(audit\.(action|outcome|rule|stage|started|termination|duration_ms|priority|header_conflict)|event_name|body|severity_number|error\.)/.test(name)],
  ['Who', (name) => /^(user\.|client\.|audit\.(identity|auth|peer)|user_agent)/.test(name)],
  ['Session', (name) => /^(session\.|audit\.session)/.test(name)],
  ['Request and answer', (name) => /^(http\.|rpc\.|url\.|server\.|network\.|audit\.(rpc|response|request_id|upstream|capture)|trace_id|span_id)/.test(name)],
  ['Proof', (name) => /^(position|hash|flags|log\.record\.uid|audit\.(stream|batch|sequence|loss|correlation|recovered)|.*_unix_nano)/.test(name)],
  ['Other', () => true],
];

/** Attributes that the list can be filtered by, with the parameter for it. */
const FILTERS = {
  'user.id': 'user', 'user.name': 'user_name', 'user.email': 'user_email', 'session.id': 'session', 'session.token_ref': 'token_ref', 'audit.action': 'action',
  'audit.rule': 'rule', 'audit.outcome': 'outcome', 'service.name': 'service', 'audit.stream.id': 'stream',
};

/** A panel that shows the record of the URL's parameter `record`; `find(position)` yields what is at hand. */
export function detailPanel(find) {
  const panel = el('aside', { class: 'detail', 'aria-label': 'Record', hidden: true });
  panel.addEventListener('keydown', (event) => { if (event.key === 'Escape') close(); });
  let shown = null;
  let opener = null;

  function open(record) {
    opener = document.activeElement;
    go(href(changed({ record: String(record.position) })));
  }

  function close() {
    go(href(changed({ record: null })));
    const row = document.querySelector(`tr[data-position="${Number(shown)}"] .row-button`);
    (row ?? opener)?.focus();
  }

  async function update() {
    const position = params().get('record');
    if (position === shown) return;
    shown = position;
    panel.hidden = position === null;
    document.body.classList.toggle('has-detail', position !== null);
    mark();
    if (position === null) return;
    try {
      const record = find(position) ?? await fetched(position);
      if (shown !== position) return;
      show(panel, record ? content(record, close) : gone(close));
    } catch (error) {
      if (shown === position) show(panel, bar('Record', close), notice('error', 'The record cannot be shown', error.message));
    }
    panel.querySelector('h2').focus({ preventScroll: true });
  }

  /** Marks the row of the record that is open; to be called when rows have come. */
  function mark() {
    for (const row of document.querySelectorAll('[data-position]')) {
      row.classList.toggle('chosen', row.dataset.position === shown);
    }
  }

  return { panel, open, update, mark, stop: () => document.body.classList.remove('has-detail') };
}

async function fetched(position) {
  if (!/^\d+$/.test(position)) return null;
  const after = String(BigInt(position) - 1n);
  const { records } = await get('/api/records', { after, limit: 1 });
  return records.find((record) => String(record.position) === position);
}

function gone(close) {
  return [bar('Record', close), notice('empty', 'There is no such record', 'It was deleted, or the address is not complete.')];
}

function bar(title, close, ...more) {
  return el('div', { class: 'detail-bar' }, el('h2', { tabindex: '-1' }, title), ...more,
    el('button', { type: 'button', class: 'icon-button close', title: 'Close (Esc)', on: { click: close } },
      icon('close'), el('span', { class: 'hidden' }, 'Close')));
}

function content(record, close) {
  const rest = new Map(Object.entries(record).filter(([name, value]) => name !== 'flags' || value.length > 0));
  const groups = GROUPS.map(([title, belongs]) => {
    const names = [...rest.keys()].filter(belongs).sort();
    const rows = names.map((name) => field(name, rest.get(name)));
    names.forEach((name) => rest.delete(name));
    return rows.length === 0 ? null : el('section', null, el('h3', null, title), el('dl', null, rows));
  });
  const isStart = record['audit.stage'] === 'started';
  const fields = context(String(record['audit.session.context'] ?? ''));
  return [
    bar(action(record), close, copyButton('Copy JSON', 'copy', () => JSON.stringify(record, null, 2))),
    el('p', { class: 'detail-summary' }, isStart ? el('span', { class: 'outcome' }, 'started') : outcome(record), time(record.time_unix_nano), flags(record)),
    isStart ? progress(record) : null,
    el('p', { class: 'links' }, sessionLink(record), record['user.id'] ? personLink(String(record['user.id'])) : null),
    fields && el('section', null, el('h3', null, 'Context, decoded'),
      el('dl', null, Object.entries(fields).map(([name, value]) => field(name, value)))),
    groups,
  ];
}

/** Whether the exchange has ended, and the way to the record of its end. */
function progress(record) {
  const line = el('p', { class: 'progress' }, 'Its end is being looked up.');
  endOf(record).then((end) => {
    if (end === undefined) return show(line, 'Still going on: no record of its end has arrived.');
    const address = href(changed({ record: String(end.position) }));
    show(line, 'It has ended: ', el('a', { href: address, 'data-link': true }, outcome(end).textContent));
  }, (error) => show(line, `Whether it has ended is not known: ${error.message}`));
  return line;
}

function sessionLink(record) {
  const key = sessionKey(record);
  if (key === null || params().get('key') === key) return null;
  return el('a', { href: href({ view: 'sessions', key: String(key) }), 'data-link': true }, 'Timeline of this session');
}

function field(name, value) {
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  const parameter = FILTERS[name];
  return el('div', { class: 'field' },
    el('dt', null, breakable(name)),
    el('dd', null,
      el('span', { class: 'value' }, text === '' ? '(empty)' : text),
      name.endsWith('_unix_nano') ? el('span', { class: 'muted' }, utc(text)) : null,
      parameter ? el('a', { href: href({ [parameter]: text }), 'data-link': true, class: 'only', 'aria-label': `Only ${name} ${text}` }, 'only this') : null));
}
