// Usage over time: requests and the users behind them.

import { get } from './api.js';
import { el, notice, show } from './dom.js';
import { choice } from './filters.js';
import { clock, count } from './format.js';
import { plot } from './plot.js';
import { repeat } from './poll.js';
import { changed, go, href, params } from './url.js';

const EVERY = 15000;
const RANGES = [['1h', 'Last hour'], ['6h', 'Last 6 hours'], ['1d', 'Last day'], ['7d', 'Last 7 days'], ['30d', 'Last 30 days']];
const BUCKETS = [['5m', '5 minutes'], ['15m', '15 minutes'], ['1h', '1 hour'], ['1d', '1 day']];
/** Seconds of the units in a span, and the bucket that shows a range best. */
const UNIT = { m: 60, h: 3600, d: 86400 };
const BEST = { '1h': '5m', '6h': '5m', '1d': '15m', '7d': '1h', '30d': '1d' };
/** Records that are looked through for the names of rules. */
const SAMPLE = 500;

function query() {
  const now = params();
  const from = RANGES.some(([value]) => value === now.get('from')) ? now.get('from') : '6h';
  return { rule: now.get('rule') ?? 'check', from, bucket: now.get('bucket') ?? BEST[from] };
}

export function usage(root) {
  const rule = choice('rule', 'Rule', [['check', 'check']]);
  const range = choice('range', 'Range', RANGES);
  const bucket = choice('bucket', 'Bucket', BUCKETS);
  const body = el('div', { class: 'usage' }, notice('loading', 'Loading'));
  let drawn = null;
  let asked = null;

  async function look(signal) {
    const mine = query();
    try {
      const answer = await get('/api/usage', mine, signal);
      const text = JSON.stringify(answer);
      // Nothing is drawn anew under the pointer without need; the axis still moves on with every bucket.
      const key = text + Math.floor(Date.now() / 1000 / answer.bucket_seconds);
      if (drawn !== key) draw(answer, mine);
      drawn = key;
    } catch (error) {
      if (!signal.aborted && drawn === null) show(body, notice('error', 'The usage cannot be shown', error.message));
      throw error;
    }
  }

  function draw(answer, { rule: name, from }) {
    const isOpen = body.querySelector('details')?.open ?? false;
    chart?.stop();
    chart = plot(answer, seconds(from));
    const empty = answer.buckets.length === 0 ? notice('empty', 'No request in this range', 'Choose another rule or a longer range.') : null;
    show(body, el('figure', null, el('figcaption', null, `Requests that the rule "${name}" recorded, and the users behind them`), empty ?? chart.node),
      empty ? null : [bucketTable(answer, isOpen), userTable(answer, name, from)]);
    if (!empty) chart.start();
  }

  function update() {
    const { rule: name, from, bucket: size } = query();
    offer(rule.control, name);
    range.control.value = from;
    bucket.control.value = size;
    const now = JSON.stringify(query());
    if (now === asked) return;
    asked = now;
    drawn = null;
    polling.now();
  }

  let chart = null;
  rule.control.addEventListener('change', () => go(href(changed({ rule: rule.control.value }))));
  range.control.addEventListener('change', () => go(href(changed({ from: range.control.value, bucket: null }))));
  bucket.control.addEventListener('change', () => go(href(changed({ bucket: bucket.control.value }))));
  show(root, el('h1', { class: 'hidden' }, 'Usage'),
    el('form', { class: 'filters', 'aria-label': 'What to count', on: { submit: (event) => event.preventDefault() } }, rule.whole, range.whole, bucket.whole), body);
  const polling = repeat(EVERY, look);
  update();
  namesOfRules().then((names) => names.forEach((name) => offer(rule.control, name, false)), () => {});
  return { update, stop: () => { polling.stop(); chart?.stop(); } };
}

/** There is no list of rules: the latest records tell of those in use. */
async function namesOfRules() {
  const { records } = await get('/api/records', { limit: SAMPLE });
  return [...new Set(records.map((record) => record['audit.rule']).filter(Boolean))].sort();
}

function offer(control, name, choose = true) {
  if (![...control.options].some((option) => option.value === name)) control.append(el('option', { value: name }, name));
  if (choose) control.value = name;
}

function seconds(text) {
  return Number(text.slice(0, -1)) * UNIT[text.slice(-1)];
}

function bucketTable(answer, isOpen) {
  const cell = (value) => el('td', { class: 'mono' }, value);
  const rows = [...answer.buckets].reverse().map((bucket) => el('tr', null, el('th', { scope: 'row' }, clock(bucket.start_unix_nano, false)),
    cell(count(bucket.requests)), cell(count(bucket.unique_users)), cell(bucket.mean_per_user.toFixed(1)), cell(bucket.stddev_per_user.toFixed(1))));
  const heads = ['From', 'Requests', 'Unique users', 'Mean per user', 'Std. deviation'];
  return el('details', { open: isOpen }, el('summary', null, 'The same as a table'),
    el('table', { class: 'numbers' }, el('thead', null, el('tr', null, heads.map((text) => el('th', { scope: 'col' }, text)))), el('tbody', null, rows)));
}

function userTable(answer, rule, from) {
  const most = Math.max(1, ...answer.users.map((user) => user.requests));
  const rows = answer.users.map((user) => el('tr', null,
    el('td', null, el('a', { href: href({ user: user.user_id, rule, from }), 'data-link': true }, user.user_id)),
    el('td', { class: 'mono' }, count(user.requests)),
    el('td', { class: 'share' }, el('meter', { min: 0, max: most, value: user.requests, 'aria-hidden': 'true' }))));
  return el('section', null, el('h2', null, 'Users with most requests'),
    el('table', { class: 'numbers users' }, el('thead', null, el('tr', null, el('th', { scope: 'col' }, 'User'), el('th', { scope: 'col' }, 'Requests'), el('td'))),
      el('tbody', null, rows)));
}
