// The live view: the newest records, more on top as they come, older ones on demand.

import { get } from './api.js';
import { el, icon, notice, show } from './dom.js';
import { detailPanel } from './detail.js';
import { exportForm } from './exports.js';
import { filterForm, query } from './filters.js';
import { counted } from './format.js';
import { repeat } from './poll.js';
import { keepReachable, row, table } from './records.js';
import { markEnded } from './stages.js';

const PAGE = 100;
/** Milliseconds between two looks for new records. */
const EVERY = 2000;
/** More new records than these at once, or rows in all, and the list starts anew with the newest. */
const MOST_NEW = 500;
const MOST_ROWS = 3000;
/** Filters that can match one stage of an exchange and not another: the answer can change the user, the rule and the action. */
const STAGED = ['q', 'user', 'user_name', 'user_email', 'rule', 'action'];

export function live(root) {
  const { whole, body } = table('Records, newest first');
  const state = el('div', { class: 'list-state' });
  const older = el('button', { type: 'button', class: 'button older', hidden: true }, 'Older records');
  const pause = el('button', { type: 'button', class: 'button pause', 'aria-pressed': 'false' });
  const summary = el('span', { class: 'muted summary' });
  const exports = exportForm(query);
  const filters = filterForm();
  const records = new Map();
  const detail = detailPanel((position) => records.get(position));
  let cursor = null;
  let newest = null;
  let asked = null;
  let paused = false;

  /** One look: the first page, or what has come since. */
  async function look(signal) {
    if (newest === null) return restart(signal);
    if (paused) return;
    const { records: found } = await get('/api/records', { ...query(), after: newest, limit: MOST_NEW }, signal);
    if (found.length === MOST_NEW || records.size > MOST_ROWS) return restart(signal);
    for (const record of found) insert(record);
    settle();
  }

  async function restart(signal) {
    try {
      const answer = await get('/api/records', { ...query(), limit: PAGE }, signal);
      clear();
      append(answer);
    } catch (error) {
      if (!signal.aborted && records.size === 0) show(state, notice('error', 'No records can be shown', error.message));
      throw error;
    }
  }

  function append({ records: found, next_cursor: next }) {
    for (const record of found) body.append(...line(record));
    cursor = next;
    settle();
  }

  /** The row of a record, if it has none yet. */
  function line(record) {
    newest = Math.max(newest ?? 0, Number(record.position));
    const key = String(record.position);
    if (records.has(key)) return [];
    records.set(key, record);
    return [row(record, detail.open)];
  }

  /** Puts a record that has just been stored where its time belongs, which is the top or near it. */
  function insert(record) {
    const older = [...body.rows].find((other) => !isNewer(records.get(other.dataset.position), record));
    newest = Math.max(newest, Number(record.position));
    // It has been late, and its place is on a page that is not shown yet.
    if (!older && cursor !== null) return;
    for (const added of line(record)) {
      added.classList.add('new');
      body.insertBefore(added, older ?? null);
    }
  }

  function clear() {
    records.clear();
    body.replaceChildren();
    newest = cursor = null;
  }

  function settle() {
    keepReachable(body);
    detail.mark();
    markEnded(body, records.values(), !STAGED.some((name) => query()[name]));
    older.hidden = cursor === null;
    whole.hidden = records.size === 0;
    const filtered = Object.keys(query()).length > 0;
    show(state, records.size > 0 ? null : notice('empty', filtered ? 'No record matches' : 'No records yet',
      filtered ? 'Records that match will appear here as they come.' : 'They will appear here as they come.'));
    describe();
  }

  function describe() {
    summary.textContent = `${counted(records.size, 'record')} shown, ${paused ? 'paused' : 'live'}`;
    pause.setAttribute('aria-pressed', String(paused));
    show(pause, icon(paused ? 'play' : 'pause'), paused ? 'Resume' : 'Pause');
  }

  async function showOlder() {
    older.disabled = true;
    const mine = cursor;
    try {
      const answer = await get('/api/records', { ...query(), limit: PAGE, cursor });
      // Another filter has been set meanwhile, or the list has started anew.
      if (mine === cursor) append(answer);
    } catch (error) {
      show(state, notice('error', 'No older records can be shown', error.message));
    } finally {
      older.disabled = false;
    }
  }

  function update() {
    filters.update();
    detail.update();
    const now = JSON.stringify(query());
    if (now === asked) return;
    asked = now;
    clear();
    older.hidden = whole.hidden = true;
    show(state, notice('loading', 'Loading'));
    polling.now();
  }

  pause.addEventListener('click', () => {
    paused = !paused;
    describe();
    if (!paused) polling.now();
  });
  older.addEventListener('click', showOlder);
  show(root, el('h1', { class: 'hidden' }, 'Live records'), filters.form,
    el('div', { class: 'toolbar' }, pause, filters.toggle, summary, exports.form),
    el('div', { class: 'split' }, el('div', { class: 'list' }, whole, state, older), detail.panel));
  describe();
  const polling = repeat(EVERY, look);
  update();
  return { update, stop: () => { polling.stop(); detail.stop(); exports.stop(); } };
}

function isNewer(one, other) {
  const difference = BigInt(one.time_unix_nano) - BigInt(other.time_unix_nano);
  return difference > 0n || (difference === 0n && one.position > other.position);
}
