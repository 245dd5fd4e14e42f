// How a record looks in a list.

import { breakable, el, icon } from './dom.js';
import { clock, counted, short, span, utc } from './format.js';
import { stage, termination } from './stages.js';

/** The outcomes, with what they are called. */
export const OUTCOMES = ['success', 'failure', 'denied', 'aborted'];

const EVENTS = {
  'audit.stream.start': 'stream started',
  'audit.stream.alive': 'stream alive',
  'audit.stream.end': 'stream ended',
  'audit.loss': 'records lost',
};

/** What was done. */
export function action(record) {
  return String(record['audit.action'] ?? EVENTS[record.event_name] ?? record.event_name ?? record.body ?? 'record');
}

/** Where it was done, when that says more than the action. */
export function place(record) {
  if (record.event_name === 'audit.loss') return lossText(record);
  const method = record['http.request.method'];
  const path = record['rpc.method'] ?? record['url.path'];
  if (!path) return record['audit.action'] ? '' : String(record['audit.stream.id'] ?? '');
  const whole = record['rpc.method'] || !method ? String(path) : `${method} ${path}`;
  return whole === action(record) ? '' : whole;
}

function lossText(record) {
  const lost = counted(record['audit.loss.count'] ?? 0, 'record');
  const numbers = `numbers ${record['audit.loss.first_number']} to ${record['audit.loss.last_number']}`;
  return `${lost}, ${record['audit.loss.reason'] ?? 'no reason given'}, ${numbers}`;
}

/** Who did it, or null. */
export function user(record) {
  const who = record['user.name'] ?? record['user.id'] ?? record['user.email'];
  return who === undefined ? null : String(who);
}

/** The session's key: its id, else the reference of its token, or null. */
export function sessionKey(record) {
  return record['session.id'] ?? record['session.token_ref'] ?? null;
}

/** The status of the answer: gRPC's by name, else HTTP's. */
export function status(record) {
  return String(record['rpc.response.status_code'] ?? record['http.response.status_code'] ?? '');
}

/** Mark and word of an outcome; an exchange before its end has none, nor have events of the filter. */
export function outcome(record) {
  const name = record['audit.outcome'];
  if (!name) return stage(record);
  const known = OUTCOMES.includes(name) ? name : 'event';
  return el('span', { class: `outcome outcome-${known}` }, icon(known), String(name));
}

/** How an answer was cut short, and what the collector found odd about a record. */
export function flags(record) {
  return [termination(record), ...(record.flags ?? []).map((flag) => el('span', { class: 'flag' }, String(flag).replaceAll('_', ' ')))];
}

/** A time that shows UTC when pointed at. */
export function time(nanos, fraction = true) {
  const [whole, milliseconds] = clock(nanos, fraction).split('.');
  return el('time', { datetime: utc(nanos), title: utc(nanos) }, whole,
    milliseconds ? el('span', { class: 'fraction' }, `.${milliseconds}`) : null);
}

/** One row; `open(record)` is called when it is chosen. */
export function row(record, open) {
  const button = el('button', { type: 'button', class: 'row-button', tabindex: '-1' }, time(record.time_unix_nano));
  const session = sessionKey(record);
  const line = el('tr', { 'data-position': record.position, on: { click: () => open(record) } },
    el('td', { class: 'c-time' }, button),
    el('td', { class: 'c-outcome' }, outcome(record)),
    el('td', { class: 'c-action' },
      el('span', { class: 'action' }, action(record)), flags(record),
      el('span', { class: 'place' }, breakable(place(record)))),
    el('td', { class: 'c-user' }, user(record)),
    el('td', { class: 'c-session mono', title: session }, session === null ? null : short(session)),
    el('td', { class: 'c-rule' }, record['audit.rule']),
    el('td', { class: 'c-status mono' }, breakable(status(record))),
    el('td', { class: 'c-duration mono' }, span(record['audit.duration_ms'])));
  return line;
}

/** The table of records, empty. */
export function table(label) {
  const heads = ['Time', 'Outcome', 'Action', 'User', 'Session', 'Rule', 'Status', 'Duration'];
  const body = el('tbody');
  const head = heads.map((text) => el('th', { scope: 'col', class: `c-${text.toLowerCase()}` }, text));
  const whole = el('table', { class: 'records', 'aria-label': label }, el('thead', null, el('tr', null, head)), body);
  body.addEventListener('keydown', walk);
  body.addEventListener('focusin', (event) => reach(body, event.target));
  return { whole, body };
}

/** Of all rows one is reached by Tab, the others from there by arrow keys. */
export function keepReachable(body) {
  if (!body.querySelector('.row-button[tabindex="0"]')) body.querySelector('.row-button')?.setAttribute('tabindex', '0');
}

function reach(body, button) {
  if (!button.classList.contains('row-button')) return;
  for (const other of body.querySelectorAll('.row-button[tabindex="0"]')) other.setAttribute('tabindex', '-1');
  button.setAttribute('tabindex', '0');
}

function walk(event) {
  const here = event.target.closest('tr');
  const rows = event.currentTarget.rows;
  const targets = { ArrowDown: here?.nextElementSibling, ArrowUp: here?.previousElementSibling, Home: rows[0], End: rows[rows.length - 1] };
  if (!(event.key in targets)) return;
  event.preventDefault();
  targets[event.key]?.querySelector('.row-button').focus();
}
