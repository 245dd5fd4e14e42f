// Exports: the formats, and a form that fetches one and shows how far it has come.

import { address, pieces } from './api.js';
import { el, show } from './dom.js';
import { bytes, counted } from './format.js';
import { csvRecords, lines } from './tally.js';

/** All formats: value, words, file name, parameters of the API, and the counter of records; null where bytes do not show them. */
const FORMATS = [
  ['csv', 'CSV, for spreadsheets', 'records.csv', { format: 'csv' }, csvRecords],
  ['ndjson', 'NDJSON, a line of JSON each', 'records.ndjson', { format: 'ndjson' }, lines],
  ['csv-raw', 'CSV, no text changed', 'records.csv', { format: 'csv', formulas: 'raw' }, csvRecords],
  ['parquet', 'Parquet', 'records.parquet', { format: 'parquet' }, null],
  ['ocsf', 'OCSF, a line of JSON each', 'records.ocsf.ndjson', { format: 'ocsf' }, lines],
  ['ecs', 'ECS, a line of JSON each', 'records.ecs.ndjson', { format: 'ecs' }, lines],
];
/** Bytes that are handed to the browser as one piece, which may put it on a disk. */
const PIECE = 4 * 1024 * 1024;
/** Milliseconds between two changes of the numbers. */
const SHOWN_EVERY = 200;

/** A form that exports the records that match `query()`. */
export function exportForm(query) {
  const format = el('select', { 'aria-label': 'Format of the export' }, FORMATS.map(([value, words]) => el('option', { value }, words)));
  const start = el('button', { type: 'submit', class: 'button' }, 'Export');
  const cancel = el('button', { type: 'button', class: 'button', hidden: true }, 'Cancel');
  const bar = el('progress', { 'aria-label': 'Export in progress', hidden: true });
  // The numbers change too often to be read out; the result is read out once.
  const numbers = el('span', { class: 'export-numbers' });
  const result = el('span', { class: 'export-result', role: 'status' });
  let running = null;

  async function run() {
    const mine = running = new AbortController();
    const [, , name, parameters, counter] = FORMATS.find(([value]) => value === format.value);
    const taken = { bytes: 0, counter: counter?.() };
    busy(true);
    const showing = setInterval(() => { numbers.textContent = amount(taken); }, SHOWN_EVERY);
    try {
      const url = address('/api/records', { ...query(), ...parameters });
      save(await download(url, taken, mine.signal), name);
      finish(`Exported ${amount(taken)}.`);
    } catch (error) {
      finish(mine.signal.aborted ? 'Cancelled, nothing was saved.' : `Not exported: ${error.message}`);
    }
    clearInterval(showing);
    running = null;
  }

  function finish(words) {
    const hadFocus = document.activeElement === cancel;
    busy(false);
    result.textContent = words;
    if (hadFocus) start.focus();
  }

  function busy(isBusy) {
    start.hidden = isBusy;
    format.disabled = isBusy;
    cancel.hidden = bar.hidden = !isBusy;
    show(numbers);
    result.textContent = isBusy ? 'Exporting.' : '';
    if (isBusy) cancel.focus();
  }

  cancel.addEventListener('click', () => running?.abort());
  const submit = (event) => {
    event.preventDefault();
    if (!running) run();
  };
  const form = el('form', { class: 'exports', 'aria-label': 'Export', on: { submit } }, format, start, bar, numbers, result, cancel);
  return { form, stop: () => running?.abort() };
}

/** Reads the whole answer into the parts of a file, and counts in `taken`. Throws when it breaks off. */
async function download(url, taken, signal) {
  const parts = [];
  let chunks = [];
  let size = 0;

  for await (const chunk of pieces(url, signal)) {
    taken.counter?.add(chunk);
    taken.bytes += chunk.length;
    size += chunk.length;
    chunks.push(chunk);
    if (size < PIECE) continue;
    parts.push(new Blob(chunks));
    chunks = [];
    size = 0;
  }
  return [...parts, ...chunks];
}

/** "1,234 records, 1.2 MB", without the records where the format hides them. */
function amount(taken) {
  const records = taken.counter ? `${counted(taken.counter.records(), 'record')}, ` : '';
  return `${records}${bytes(taken.bytes)}`;
}

function save(parts, name) {
  const url = URL.createObjectURL(new Blob(parts));
  el('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}
