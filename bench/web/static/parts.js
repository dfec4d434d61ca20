// Small parts that several views draw.

import { html, useEffect, useState } from "./vendor/htm-preact.js";
import { OLD_MS, ageMs } from "./store.js";
import { duration, known, nameOf, number, say, t, unitOf } from "./words.js";

// Each state has a shape of its own, so that no colour has to be seen.
const SHAPES = {
  idle: "M8 3a5 5 0 1 0 .01 0z",
  waiting: "M3 2h10L9 8l4 6H3l4-6z",
  preflight: "M8 2l6 6-6 6-6-6z",
  running: "M4 2l10 6-10 6z",
  paused: "M3 2h4v12H3zM9 2h4v12H9z",
  asking: "M2 2h12v9H8l-4 4v-4H2z",
  observing: "M1 8q7-9 14 0q-7 9-14 0zM8 6a2 2 0 1 0 .01 0z",
  ending: "M2 4h12l-6 9z",
  held: "M3 3h10v10H3z",
  latched: "M8 1l7 14H1z",
  maintenance: "M7 2h2v5h5v2H9v5H7V9H2V7h5z",
  lost: "M3 1l5 5 5-5 2 2-5 5 5 5-2 2-5-5-5 5-2-2 5-5-5-5z",
};
const FILLED = new Set(["running", "asking", "held", "latched", "lost", "paused", "ending"]);

/** A state by shape and word. */
export function State({ state }) {
  return html`<span class=${`state state-${state}`}>
    <svg viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d=${SHAPES[state] || SHAPES.idle} class=${FILLED.has(state) ? "filled" : "open"} fill-rule="evenodd" />
    </svg><span>${t(`state.${state}`)}</span></span>`;
}

/** A value with its unit; one that is old or of doubt is grey and says so. */
export function Value({ view, named = true }) {
  const unit = unitOf(view.quantity);
  const since = ageMs();
  const late = since > OLD_MS ? since / 1000 : 0;
  const stale = view.stale || late > 0;
  const age = (view.age_s ?? 0) + late;
  const doubtful = view.quality && view.quality !== "good";
  return html`<span class=${`value${stale || doubtful ? " stale" : ""}`}>
    ${named && html`<span class="value-name">${nameOf(view.quantity)}</span>`}
    <span class="value-number">${number(view.value, unit)}</span> <span class="value-unit">${unit}</span>
    ${stale && html` <span class="value-age">${t("value.age", { age: duration(age) })}</span>`}
    ${doubtful && html` <span class="value-age">${known(`quality.${view.quality}`) ? t(`quality.${view.quality}`) : view.quality}</span>`}
  </span>`;
}

/** What went wrong, what it means, what to do, and where that is explained. */
export function Trouble({ problem }) {
  if (!problem) return null;
  const key = `help.${problem.code}.what`;
  return html`<div class="trouble" role="alert">
    <p><strong>${known(key) ? t(key) : t("trouble.title")}</strong> ${problem.detail}</p>
    ${problem.fix && html`<p>${t("trouble.fix")} ${problem.fix}</p>`}
    ${problem.faults?.length > 0 && html`<${Faults} faults=${problem.faults} />`}
    <p><a href=${`#/help/${problem.code}`}>${t("trouble.help", { code: problem.code })}</a></p>
  </div>`;
}

export function Faults({ faults }) {
  return html`<ul class="faults">${faults.map(
    (each) => html`<li><strong>${each.error}</strong> <span class="quiet">${each.where}</span> ${each.fix}</li>`,
  )}</ul>`;
}

/** A button that does something that takes time, and shows what came of it. */
export function Act({ act, label, kind = "", disabled = false, done }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const press = async () => {
    setBusy(true);
    setProblem(null);
    try {
      const said = await act();
      if (done) done(said);
    } catch (error) {
      setProblem(error);
    }
    setBusy(false);
  };
  return html`<span class="act"><button type="button" class=${kind} disabled=${disabled || busy} onClick=${press}>${label}</button>
    <${Trouble} problem=${problem} /></span>`;
}

/** Load something when `keys` change; gives [what came, what went wrong, load again]. */
export function useLoaded(load, keys) {
  const [state, setState] = useState([null, null]);
  const [count, again] = useState(0);
  useEffect(() => {
    let wanted = true;
    load().then(
      (said) => wanted && setState([said, null]),
      (error) => wanted && setState((before) => [before[0], error]),
    );
    return () => {
      wanted = false;
    };
  }, [...keys, count]);
  return [state[0], state[1], () => again((each) => each + 1)];
}

export function Loading({ problem }) {
  return problem ? html`<${Trouble} problem=${problem} />` : html`<p class="quiet" role="status">${t("loading")}</p>`;
}

/** A labelled field; `children` is the control, which the label holds. */
export function Field({ label, note, children }) {
  return html`<label class="field"><span>${label}</span>${children}${note && html`<small>${note}</small>`}</label>`;
}

/** A password that signs: what it means stands beside it. */
export function Password({ value, change, label, note }) {
  return html`<${Field} label=${label} note=${note}>
    <input type="password" autocomplete="current-password" value=${value} onInput=${(event) => change(event.target.value)} />
  </${Field}>`;
}

export const Both = ({ words }) => html`<span>${say(words)}</span>`;
