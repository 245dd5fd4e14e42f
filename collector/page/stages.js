// How far the exchange of a record has come, and how it ended.

import { get } from './api.js';
import { el, icon, show } from './dom.js';

const TERMINATIONS = { client: 'client left early', upstream: 'broken off by the upstream', timeout: 'timed out', proxy: 'broken off by the proxy' };

/** The mark of a record without an outcome: of an exchange before its end, or of another event. */
export function stage(record) {
  const name = record['audit.stage'];
  if (name === 'started') return el('span', { class: 'outcome outcome-open', 'data-exchange': exchange(record, 'audit.sequence.number') }, icon('open'), 'still going on');
  return el('span', { class: 'outcome outcome-event' }, icon('event'), name === 'received' ? 'received' : 'event');
}

/** How the answer was cut short, or null. */
export function termination(record) {
  const name = record['audit.termination'];
  return name === undefined ? null : el('span', { class: 'flag' }, TERMINATIONS[name] ?? String(name));
}

/**
 * Takes the mark "still going on" from the exchanges whose end is among these records; from all of them when the
 * records are not `whole`, so that the end of one can be missing from them.
 */
export function markEnded(root, records, whole = true) {
  const ended = new Set([...records].map((record) => exchange(record, 'audit.started.number')));
  for (const mark of root.querySelectorAll('.outcome-open')) {
    if (!whole || ended.has(mark.dataset.exchange)) show(begun(mark), icon('event'), 'started');
  }
}

function begun(mark) {
  mark.className = 'outcome outcome-event';
  return mark;
}

/** The record of the end of an exchange that a record of its start belongs to; undefined while there is none. */
export async function endOf(started) {
  const from = BigInt(started.time_unix_nano);
  // The records of all stages have the time of the request.
  const { records } = await get('/api/records', { stream: started['audit.stream.id'], from: String(from), to: String(from + 1n), limit: 1000 });
  const wanted = exchange(started, 'audit.sequence.number');
  return records.find((record) => exchange(record, 'audit.started.number') === wanted);
}

/** What the records of all stages of an exchange have in common; null without the number. */
function exchange(record, number) {
  return record[number] === undefined ? null : `${record['audit.stream.id']}/${record[number]}`;
}
