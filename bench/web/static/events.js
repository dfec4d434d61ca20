// One event stream per browser: the tab that holds the lock reads it and tells the others.

import { EVENTS } from "./api.js";

const LOCK = "cellbench-events";
// `bench` is the whole wall, `channels` what of it changed; the others are events of that kind.
const NAMES = [
  "bench", "channels", "run_state", "run_asked", "prompt", "prompt_gone", "alarm", "shelved", "unlatched", "judged",
  "step_started", "step_ended", "message", "trip", "warning",
];

/**
 * Hear every event of the bench, whichever tab reads them. `hear` gets {kind: "event" | "bench" | "channels" | "open" | "closed"};
 * gives what ends it. A tab that closes hands the stream on by itself.
 */
export function listen(hear) {
  const channel = new BroadcastChannel(LOCK);
  const end = new AbortController();
  channel.onmessage = (message) => hear(message.data);
  const tell = (message) => {
    hear(message);
    channel.postMessage(message);
  };
  const lead = () => read(tell, end.signal);
  if (navigator.locks) navigator.locks.request(LOCK, { signal: end.signal }, lead).catch(() => {});
  else lead();
  return () => {
    end.abort();
    channel.close();
  };
}

function read(tell, signal) {
  return new Promise((done) => {
    const source = new EventSource(EVENTS);
    source.onopen = () => tell({ kind: "open" });
    source.onerror = () => tell({ kind: "closed" });
    const hear = (event) => {
      let data = null;
      try {
        data = JSON.parse(event.data);
      } catch {
        return; // not ours
      }
      if (/^(bench|channels)$/.test(event.type) && Array.isArray(data?.channels)) tell({ kind: event.type, bench: data });
      else if (typeof data?.kind === "string") tell({ kind: "event", event: data });
    };
    source.onmessage = hear;
    for (const name of NAMES) source.addEventListener(name, hear);
    signal.addEventListener("abort", () => {
      source.close();
      done();
    });
  });
}
