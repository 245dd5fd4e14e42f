// How a session looks in a list.

import { el, icon } from './dom.js';
import { counted, short, span } from './format.js';
import { OUTCOMES, time } from './records.js';
import { go, href } from './url.js';

const HEADS = ['User', 'Session', 'Start', 'Duration', 'Events', 'Last action', 'State'];

/** The table of sessions, empty and hidden. */
export function sessionTable(label) {
  const body = el('tbody');
  const whole = el('table', { class: 'sessions', 'aria-label': label, hidden: true },
    el('thead', null, el('tr', null, HEADS.map((text) => el('th', { scope: 'col' }, text)))), body);
  return { whole, body };
}

/** One row. */
export function sessionRow(session) {
  const address = href({ view: 'sessions', key: session.key });
  return el('tr', { on: { click: (event) => { if (!event.target.closest('a')) go(address); } } },
    el('td', { class: 'c-user' }, session.user_name ?? session.user_id ?? el('span', { class: 'muted' }, 'unknown')),
    el('td', { class: 'c-key' }, el('a', { class: 'mono', href: address, 'data-link': true, title: session.key }, short(session.key))),
    el('td', { class: 'c-start' }, time(session.start_unix_nano, false)),
    el('td', { class: 'c-span' }, span(session.duration_ms)),
    el('td', { class: 'c-events' }, session.events),
    el('td', { class: 'c-last' }, lastAction(session)),
    el('td', { class: 'c-state' }, sessionState(session)));
}

function lastAction(session) {
  const known = OUTCOMES.includes(session.last_outcome);
  return [known ? el('span', { class: `outcome outcome-${session.last_outcome}`, title: session.last_outcome }, icon(session.last_outcome),
    el('span', { class: 'hidden' }, session.last_outcome)) : null, ' ', session.last_action];
}

/** Whether a session goes on, and what has ended it. */
export function sessionState(session) {
  const words = session.state === 'open' ? 'open' : `ended${session.ended_by ? ` by ${session.ended_by}` : ''}`;
  return el('span', { class: 'state', 'data-state': session.state }, words);
}

/** "12 events in 3 m 4 s" */
export function extent(session) {
  return `${counted(session.events, 'event')} in ${span(session.duration_ms) || '0 ms'}`;
}

/** Puts newly made rows in the place of the present ones; the focus stays on its link. */
export function renew(body, rows) {
  const focused = body.contains(document.activeElement) ? document.activeElement.getAttribute('href') : null;
  body.replaceChildren(...rows);
  if (focused) [...body.querySelectorAll('a')].find((link) => link.getAttribute('href') === focused)?.focus();
}
