// The sessions, and the way to the timeline of one.

import { get } from './api.js';
import { el, icon, notice, show } from './dom.js';
import { choice } from './filters.js';
import { counted, short, span } from './format.js';
import { repeat } from './poll.js';
import { OUTCOMES, time } from './records.js';
import { timeline } from './timeline.js';
import { changed, go, href, params } from './url.js';

const EVERY = 5000;
const PAGE = 100;
const TYPING = 350;

/** The list, or with the parameter `key` one session. */
export function sessions(root) {
  let key;
  let inner = null;

  function update() {
    const wanted = params().get('key');
    if (wanted === key) return inner.update();
    inner?.stop();
    key = wanted;
    inner = key === null ? list(root) : timeline(root, key);
  }

  update();
  return { update, stop: () => inner.stop() };
}

function query() {
  const now = params();
  return { user: now.get('user'), state: now.get('state'), from: now.get('from') };
}

function list(root) {
  const form = filterForm();
  const body = el('tbody');
  const heads = ['User', 'Session', 'Start', 'Duration', 'Events', 'Last action', 'State'];
  const whole = el('table', { class: 'sessions', 'aria-label': 'Sessions, last seen first', hidden: true },
    el('thead', null, el('tr', null, heads.map((text) => el('th', { scope: 'col' }, text)))), body);
  const state = el('div', { class: 'list-state' }, notice('loading', 'Loading'));
  const older = el('button', { type: 'button', class: 'button older', hidden: true }, 'Older sessions');
  let cursor = null;
  let pages = 0;
  let asked = JSON.stringify(query());

  async function look(signal) {
    // What somebody has turned the pages to is not taken away from under the eyes.
    if (pages > 1) return;
    try {
      const answer = await get('/api/sessions', { ...query(), limit: PAGE }, signal);
      const focused = body.contains(document.activeElement) ? document.activeElement.getAttribute('href') : null;
      pages = 1;
      body.replaceChildren(...answer.sessions.map(line));
      settle(answer.next_cursor);
      if (focused) [...body.querySelectorAll('a')].find((link) => link.getAttribute('href') === focused)?.focus();
    } catch (error) {
      if (!signal.aborted && pages === 0) show(state, notice('error', 'The sessions cannot be shown', error.message));
      throw error;
    }
  }

  function settle(next) {
    cursor = next;
    older.hidden = cursor === null;
    whole.hidden = body.rows.length === 0;
    show(state, body.rows.length > 0 ? null : notice('empty', 'No session', 'A session is seen as soon as a record names it.'));
  }

  older.addEventListener('click', async () => {
    const mine = cursor;
    try {
      const answer = await get('/api/sessions', { ...query(), limit: PAGE, cursor });
      if (mine !== cursor) return;
      pages += 1;
      body.append(...answer.sessions.map(line));
      settle(answer.next_cursor);
    } catch (error) {
      show(state, notice('error', 'No older sessions can be shown', error.message));
    }
  });

  function update() {
    form.update();
    const now = JSON.stringify(query());
    if (now === asked) return;
    asked = now;
    pages = 0;
    polling.now();
  }

  show(root, el('h1', { class: 'hidden' }, 'Sessions'), form.whole, whole, state, older);
  form.update();
  const polling = repeat(EVERY, look);
  polling.now();
  return { update, stop: polling.stop };
}

function line(session) {
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

function filterForm() {
  const user = el('input', { id: 'filter-user', type: 'text', autocomplete: 'off', spellcheck: 'false' });
  const state = choice('state', 'State', [['', 'Any state'], ['open', 'Open'], ['ended', 'Ended']]);
  const range = choice('range', 'Last seen', [['', 'Any time'], ['1h', 'Last hour'], ['1d', 'Last day'], ['7d', 'Last 7 days']]);
  let timer = null;
  const set = (changes) => go(href(changed(changes)));
  user.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(() => set({ user: user.value.trim() }), TYPING);
  });
  state.control.addEventListener('change', () => set({ state: state.control.value }));
  range.control.addEventListener('change', () => set({ from: range.control.value }));

  function update() {
    const { user: name, state: which, from } = query();
    if (document.activeElement !== user) user.value = name ?? '';
    state.control.value = which ?? '';
    range.control.value = from ?? '';
  }

  const whole = el('form', { class: 'filters', role: 'search', 'aria-label': 'Filter the sessions', on: { submit: (event) => event.preventDefault() } },
    el('div', { class: 'filter' }, el('label', { for: 'filter-user' }, 'User id'), user), state.whole, range.whole);
  return { whole, update };
}

/** "12 events in 3 m 4 s" */
export function extent(session) {
  return `${counted(session.events, 'event')} in ${span(session.duration_ms) || '0 ms'}`;
}
