// One session: what happened in it, in the order of time, with what changed about the user's side.

import { get } from './api.js';
import { detailPanel } from './detail.js';
import { breakable, el, icon, notice, show } from './dom.js';
import { millis, span } from './format.js';
import { personLink } from './person.js';
import { repeat } from './poll.js';
import { action, flags, outcome, place, status, time } from './records.js';
import { extent, sessionState } from './session.js';
import { markEnded } from './stages.js';
import { href } from './url.js';

const EVERY = 5000;
const PAGE = 200;
/** Milliseconds without an event that are worth a word. */
const QUIET = 60000;

export function timeline(root, key) {
  const head = el('div', { class: 'session-head' });
  const line = el('ol', { class: 'timeline', 'aria-label': 'Events in the order of time' });
  const state = el('div', { class: 'list-state' }, notice('loading', 'Loading'));
  const earlier = el('button', { type: 'button', class: 'button older', hidden: true }, 'Earlier events');
  const records = new Map();
  const detail = detailPanel((position) => records.get(position));
  const path = `/api/sessions/${encodeURIComponent(key)}`;
  let signals = [];
  let cursor;

  async function look(signal) {
    try {
      const answer = await get(path, { limit: PAGE }, signal);
      if (cursor === undefined) cursor = answer.next_cursor;
      take(answer);
    } catch (error) {
      if (!signal.aborted && records.size === 0) show(state, notice('error', 'The session cannot be shown', error.message));
      throw error;
    }
  }

  function take(answer) {
    const before = records.size + signals.length;
    for (const record of answer.records) records.set(String(record.position), record);
    signals = answer.signals;
    show(head, summary(answer.session, signals));
    show(state);
    earlier.hidden = !cursor;
    if (records.size + signals.length !== before) draw();
  }

  function draw() {
    const focused = line.contains(document.activeElement) ? document.activeElement.closest('[data-position]')?.dataset.position : null;
    show(line, items([...records.values()], signals, detail.open));
    detail.mark();
    markEnded(line, records.values());
    if (focused) line.querySelector(`[data-position="${Number(focused)}"] button`)?.focus();
  }

  earlier.addEventListener('click', async () => {
    try {
      const answer = await get(path, { limit: PAGE, cursor });
      cursor = answer.next_cursor;
      take(answer);
    } catch (error) {
      show(state, notice('error', 'No earlier events can be shown', error.message));
    }
  });

  show(root, el('p', { class: 'crumbs' }, el('a', { href: '/?view=sessions', 'data-link': true }, 'All sessions')), head,
    el('div', { class: 'split' }, el('div', { class: 'list' }, earlier, state, line), detail.panel));
  const polling = repeat(EVERY, look);
  polling.now();
  detail.update();
  return { update: detail.update, stop: () => { polling.stop(); detail.stop(); } };
}

function summary(session, signals) {
  const fact = (name, ...value) => el('div', { class: 'fact' }, el('dt', null, name), el('dd', null, value));
  const now = new Map(signals.map((signal) => [signal.name, signal]).sort(([, a], [, b]) => order(a.since_unix_nano, b.since_unix_nano)));
  const filter = session.session_id ? { session: session.session_id } : { token_ref: session.token_ref };
  return [
    el('h1', null, session.user_name ?? session.user_id ?? 'Unknown user', ' ', sessionState(session)),
    el('dl', { class: 'facts-row' },
      fact('Session', el('span', { class: 'mono wrap' }, session.key)),
      session.user_id && session.user_name ? fact('User id', session.user_id) : null,
      fact('Start', time(session.start_unix_nano, false)),
      fact(session.end_unix_nano ? 'End' : 'Last seen', time(session.end_unix_nano ?? session.last_seen_unix_nano, false)),
      fact('Extent', extent(session)),
      [...now.values()].map((signal) => fact(signal.name.replaceAll('_', ' '), String(signal.value)))),
    el('p', { class: 'links' }, el('a', { href: href(filter), 'data-link': true }, 'Its records in the live view'),
      session.user_id ? personLink(session.user_id) : null),
  ];
}

function order(a, b) {
  const difference = BigInt(a) - BigInt(b);
  return difference < 0n ? -1 : Number(difference > 0n);
}

/** Events, changes of signals and quiet spells, in the order of time. */
function items(records, signals, open) {
  const events = [
    ...records.map((record) => ({ at: record.time_unix_nano, position: record.position, record })),
    ...withPrevious(signals).map((signal) => ({ at: signal.since_unix_nano, position: signal.position, signal })),
  ];
  // A signal stands before the record that brought it.
  events.sort((a, b) => order(a.at, b.at) || a.position - b.position || Number(Boolean(b.signal)) - Number(Boolean(a.signal)));
  return events.flatMap((event, index) => {
    const pause = index === 0 ? 0 : millis(event.at) - millis(events[index - 1].at);
    const item = event.signal ? signalItem(event.signal) : recordItem(event.record, open);
    return pause < QUIET ? [item] : [el('li', { class: 'quiet' }, `${span(pause)} without an event`), item];
  });
}

/** Each signal with the value that it had before. */
function withPrevious(signals) {
  const last = new Map();
  return [...signals].sort((a, b) => order(a.since_unix_nano, b.since_unix_nano) || a.position - b.position).map((signal) => {
    const previous = last.get(signal.name);
    last.set(signal.name, signal.value);
    return { ...signal, previous };
  });
}

function signalItem({ name, value, previous, since_unix_nano: since }) {
  const isFirst = previous === undefined;
  return el('li', { class: isFirst ? 'signal' : 'signal signal-changed' },
    el('span', { class: 'when' }, time(since)), icon('signal'),
    el('span', { class: 'what' }, el('strong', null, name.replaceAll('_', ' ')),
      isFirst ? ' is ' : ' changed from ', isFirst ? null : el('del', null, String(previous)), isFirst ? null : ' to ', el('ins', null, String(value))));
}

function recordItem(record, open) {
  const answer = [status(record), span(record['audit.duration_ms'])].filter(Boolean).join(', ');
  const event = record['audit.session.event'];
  return el('li', { class: 'event', 'data-position': record.position },
    el('span', { class: 'when' }, time(record.time_unix_nano)), icon(record['audit.outcome'] ?? 'event'),
    el('button', { type: 'button', class: 'what', on: { click: () => open(record) } },
      el('span', { class: 'what-line' }, el('span', { class: 'action' }, action(record)), outcome(record),
        event ? el('span', { class: 'flag' }, `session ${event}`) : null, flags(record), el('span', { class: 'muted' }, answer)),
      el('span', { class: 'place' }, breakable(place(record)))));
}
