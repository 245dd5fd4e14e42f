// What contradicts the records of the ledger, and what was deleted from it.

import { get } from './api.js';
import { breakable, el, show } from './dom.js';
import { count, counted } from './format.js';
import { repeat } from './poll.js';
import { time } from './records.js';
import { href } from './url.js';

const EVERY = 15000;
/** Entries of each kind; the latest. */
const SHOWN = 20;
/** What the ledger adds to a record; it is no part of what was sent. */
const ADDED = ['position', 'hash', 'flags', 'received_at_unix_nano'];

/** The latest conflicts and deletions, kept up to date. */
export function history() {
  const node = el('div', { class: 'history' });
  const polling = repeat(EVERY, async (signal) => {
    const limit = { limit: SHOWN };
    const [contradicted, deleted] = await Promise.all([get('/api/conflicts', limit, signal), get('/api/retention', limit, signal)]);
    show(node,
      section('Conflicts', 'No record came a second time with another content.', contradicted.conflicts.map(conflict), contradicted.next_cursor),
      section('Deleted by retention', 'Nothing was deleted.', deleted.cuts.map(cut), deleted.next_cursor));
  });
  polling.now();
  return { node, stop: polling.stop };
}

function section(title, none, lines, more) {
  return el('section', null, el('h2', null, title),
    lines.length === 0 ? el('p', { class: 'muted' }, none) : el('ul', null, lines),
    more === null ? null : el('p', { class: 'muted' }, `Only the latest ${SHOWN} are shown.`));
}

function conflict({ position, received_at_unix_nano: at, sent, stored }) {
  const link = el('a', { href: href({ record: String(position) }), 'data-link': true }, `Record ${count(position)}`);
  return el('li', null, link, ' came again at ', time(at, false), stored === null ? '; the stored one is missing.' : ' with another content:',
    stored === null ? null : el('ul', null, differences(sent, stored)));
}

/** One line for each attribute that differs. */
function differences(sent, stored) {
  const names = [...new Set([...Object.keys(stored), ...Object.keys(sent)])].filter((name) => !ADDED.includes(name));
  const text = (value) => (typeof value === 'string' ? value : JSON.stringify(value));
  const shown = (value) => el('span', { class: 'mono wrap' }, value === undefined ? '(none)' : text(value));
  return names.filter((name) => text(sent[name]) !== text(stored[name]))
    .map((name) => el('li', null, breakable(name), ': stored ', shown(stored[name]), ', then ', shown(sent[name])));
}

function cut({ first_position: first, last_position: last, records, deleted_at_unix_nano: at, received_until_unix_nano: until }) {
  return el('li', null, `${counted(records, 'record')}, positions ${count(first)} to ${count(last)}, deleted at `, time(at, false),
    until === null ? null : [', received until ', time(until, false)], '.');
}
