// What the page knows of the bench at this instant, and who is told when that changes.

import { useEffect, useState } from "./vendor/htm-preact.js";
import { Problem, api } from "./api.js";
import { listen } from "./events.js";

/** A picture of the bench older than this is not trusted, milliseconds. */
export const OLD_MS = 4000;
const ASK_EVERY_MS = 1000;
const SOON_MS = 200;

export const store = {
  me: null,
  signedIn: null, // not yet known
  bench: null,
  heardMs: 0,
  prompts: [],
  alarms: [],
  events: [],
  notice: null,
};

const readers = new Set();
let counted = { prompts: -1, alarms: -1 };
let asked = null;
let soon = null;
let ends = [];

export function change(fields) {
  Object.assign(store, fields);
  for (const reader of readers) reader();
}

/** The store, and a new drawing whenever it changes. */
export function useStore() {
  const [, draw] = useState(0);
  useEffect(() => {
    const reader = () => draw((count) => count + 1);
    readers.add(reader);
    return () => readers.delete(reader);
  }, []);
  return store;
}

/** How old the picture of the bench is, milliseconds. */
export const ageMs = () => (store.heardMs ? Date.now() - store.heardMs : Infinity);

export function begin() {
  if (ends.length) return;
  ends.push(listen(hear));
  const timer = setInterval(() => {
    if (ageMs() > ASK_EVERY_MS) refresh();
    else change({});
  }, ASK_EVERY_MS);
  ends.push(() => clearInterval(timer));
  refresh();
  refreshLists();
}

export function end() {
  for (const each of ends) each();
  ends = [];
  counted = { prompts: -1, alarms: -1 };
}

function hear(message) {
  if (message.kind === "bench") return take(message.bench);
  if (message.kind === "channels") return merge(message.bench);
  if (message.kind === "event") {
    store.events = [message.event, ...store.events].slice(0, 200);
    if (/prompt|asked|answer|alarm|latch|judg|shelv|acknowledg/.test(message.event.kind)) refreshLists();
  }
  if (message.kind !== "closed" && soon === null) {
    soon = setTimeout(() => {
      soon = null;
      refresh();
    }, SOON_MS);
  }
  return undefined;
}

function take(bench) {
  if (store.bench && bench.seq < store.bench.seq && bench.utc_s < store.bench.utc_s) return; // overtaken on its way
  change({ bench, heardMs: Date.now() });
  if (bench.prompts !== counted.prompts || bench.alarms !== counted.alarms) {
    counted = { prompts: bench.prompts, alarms: bench.alarms };
    refreshLists();
  }
}

/** The wall with those channels anew that changed. */
function merge(part) {
  if (!store.bench) return; // the whole is on its way
  const changed = new Map(part.channels.map((each) => [each.name, each]));
  take({ ...part, channels: store.bench.channels.map((each) => changed.get(each.name) ?? each) });
}

/** Ask for the bench now; one question at a time. */
export async function refresh() {
  if (asked !== null) return asked;
  asked = api.bench().then(take, failed);
  await asked;
  asked = null;
  return undefined;
}

export async function refreshLists() {
  try {
    const [prompts, alarms] = await Promise.all([api.prompts(), api.alarms()]);
    change({ prompts, alarms });
  } catch (error) {
    failed(error);
  }
}

function failed(error) {
  if (!(error instanceof Problem)) throw error;
  change({});
}
