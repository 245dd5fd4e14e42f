// How many records the bytes of an export have, as they come.

const LINE_FEED = 10;
const QUOTE = 34;

/** For formats with a line for each record. */
export function lines() {
  let count = 0;
  return {
    add(chunk) {
      for (const byte of chunk) if (byte === LINE_FEED) count += 1;
    },
    records: () => count,
  };
}

/** For CSV: a head, and fields in quotes that may have lines of their own. A doubled quote leaves and enters one. */
export function csvRecords() {
  let count = 0;
  let isQuoted = false;
  return {
    add(chunk) {
      for (const byte of chunk) {
        if (byte === QUOTE) isQuoted = !isQuoted;
        else if (byte === LINE_FEED && !isQuoted) count += 1;
      }
    },
    records: () => Math.max(count - 1, 0),
  };
}
