// One event stream per browser: the tab that holds the lock reads it and tells the others.

import { EVENTS } from "./api.js";

const LOCK = "cellbench-events";

/**
 * Hear every event of the bench, whichever tab reads them. `hear` gets {kind: "event" | "bench" | "open" | "closed"};
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
      tell(Array.isArray(data?.channels) ? { kind: "bench", bench: data } : { kind: "event", event: data });
    };
    source.onmessage = hear;
    for (const name of ["bench", "event", "view", "dropped"]) source.addEventListener(name, hear);
    signal.addEventListener("abort", () => {
      source.close();
      done();
    });
  });
}
