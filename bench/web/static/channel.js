// One channel: what it does, why that will end, what can hurt next, and its readings.

import { html, useEffect, useMemo, useState } from "./vendor/htm-preact.js";
import { api } from "./api.js";
import { Act, Loading, State, Trouble, Value, useLoaded } from "./parts.js";
import { Plot, grouped } from "./plot.js";
import { Prompt } from "./prompts.js";
import { refresh, store, useStore } from "./store.js";
import { duration, nameOf, number, say, t, unitOf } from "./words.js";

const LATELY_S = 600;
const WINDOWS = [[LATELY_S, "plot.ten_minutes"], [3600, "plot.hour"], [86400, "plot.day"], [0, "plot.run"]]; // 0: the whole run
const POINTS = 600;
const DRAW_EVERY_MS = 1000;

/** The readings of a window that moves along. */
function useSeries(channel, windowS) {
  const [series, setSeries] = useState(null);
  const [problem, setProblem] = useState(null);
  const { name, run_id: runId } = channel;
  const quantities = channel.values.map((each) => each.quantity).join();
  useEffect(() => {
    let wanted = true;
    let timer = null;
    const load = async () => {
      const whole = windowS === 0 && runId;
      const now = store.bench ? store.bench.utc_s : null;
      const fields = {
        channel: name, quantities, points: POINTS, run_id: windowS > LATELY_S || whole ? runId : null,
        begin_s: now === null || whole || windowS === 0 ? null : now - windowS,
      };
      try {
        const said = await api.readings(fields);
        if (!wanted) return;
        setSeries(said);
        setProblem(null);
      } catch (error) {
        if (wanted) setProblem(error);
      }
      if (wanted) timer = setTimeout(load, windowS !== LATELY_S ? 5 * DRAW_EVERY_MS : DRAW_EVERY_MS);
    };
    load();
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [name, runId, quantities, windowS]);
  return [series, problem];
}

export function Channel({ name, theme, lang }) {
  const { bench, prompts, alarms } = useStore();
  const channel = bench && bench.channels.find((each) => each.name === name);
  if (!bench) return html`<${Loading} />`;
  if (!channel) return html`<p role="alert">${t("channel.unknown", { name })}</p>`;
  const asked = prompts.filter((each) => each.channel === name);
  const open = alarms.filter((each) => each.channel === name);
  return html`<section aria-labelledby="channel-title">
    <div class="bar">
      <h1 id="channel-title">${t("channel.title", { name })}</h1>
      <${State} state=${channel.state} />
      <span class="quiet">${[channel.place, channel.zone].filter(Boolean).join(" · ")}</span>
      <${RunActs} channel=${channel} />
    </div>
    ${channel.why && html`<p class="why">${say(channel.why)}</p>`}
    ${channel.run_id && html`<p class="facts">${t("channel.run")} <a href=${`#/run/${encodeURIComponent(channel.run_id)}`}>${channel.run_id}</a>
      ${" · "}${channel.sequence} · ${t("channel.sample")} ${channel.sample ?? "–"} · ${t("channel.operator")} ${channel.operator ?? "–"}</p>`}
    ${open.length > 0 && html`<p class="why"><a href="#/alarms">${t("channel.alarms", { count: open.length })}</a>
      ${" "}${open.map((each) => say(each.text)).join(" · ")}</p>`}
    ${asked.map((prompt) => html`<${Prompt} key=${prompt.prompt_id} prompt=${prompt} />`)}
    <div class="columns">
      <div><${Readings} channel=${channel} theme=${theme} lang=${lang} /></div>
      <aside><${Now} step=${channel.step} /><${Values} values=${channel.values} /><${Tree} channel=${channel} /></aside>
    </div>
  </section>`;
}

function RunActs({ channel }) {
  if (channel.state === "held") {
    const place = channel.run_id ? `#/run/${encodeURIComponent(channel.run_id)}` : "#/history";
    return html`<a class="button" href=${place}>${t("channel.held")}</a>`;
  }
  if (!channel.run_id) {
    return channel.state === "idle"
      ? html`<a class="button" href=${`#/start?channel=${encodeURIComponent(channel.name)}`}>${t("channel.start")}</a>` : null;
  }
  const paused = channel.state === "paused";
  return html`<span class="acts">
    ${channel.state === "running" && html`<${Act} label=${t("run.pause")} act=${() => api.pause(channel.run_id)} done=${refresh} />`}
    ${paused && html`<${Act} label=${t("run.resume")} act=${() => api.resume(channel.run_id)} done=${refresh} />`}
    <${Act} kind="stop" label=${t("stop.run")} act=${() => api.stop(channel.run_id)} done=${refresh} />
  </span>`;
}

/** The step under way: why it will end, when, and what comes that can hurt. */
function Now({ step }) {
  if (!step) return null;
  return html`<div class="card" aria-live="off">
    <h2>${t("step.now")}</h2>
    <p><strong>${step.name || step.kind}</strong> <span class="quiet">${step.path} · ${t(`phase.${step.phase}`)}</span></p>
    <dl><dt>${t("step.ends")}</dt><dd>${step.ends || "–"}</dd>
      <dt>${t("step.elapsed")}</dt><dd>${duration(step.step_s)}</dd>
      <dt>${t("step.remaining")}</dt><dd>${step.remaining_s === null ? t("step.unknown") : t("step.about", { time: duration(step.remaining_s) })}</dd>
      <dt>${t("step.test")}</dt><dd>${duration(step.test_s)}</dd></dl>
    ${step.next_hazard && html`<p class="hazard"><strong>${t("step.hazard")}</strong> ${step.next_hazard}
      ${step.next_hazard_s !== null ? ` ${t("step.in", { time: duration(step.next_hazard_s) })}` : ""}</p>`}
  </div>`;
}

/** Each value with the limits at which the run would trip, and how far it is from the nearer one. */
function Values({ values }) {
  const row = (each) => {
    const unit = unitOf(each.quantity);
    const rooms = [];
    if (each.value !== null && Number.isFinite(each.high)) rooms.push(each.high - each.value);
    if (each.value !== null && Number.isFinite(each.low)) rooms.push(each.value - each.low);
    const limit = [each.low, each.high].map((bound) => (Number.isFinite(bound) ? number(bound, unit) : "–")).join(" … ");
    return html`<tr key=${each.quantity}><th scope="row">${nameOf(each.quantity)}</th><td><${Value} view=${each} named=${false} /></td>
      <td>${limit}</td><td>${rooms.length ? `${number(Math.min(...rooms), unit)} ${unit}` : "–"}</td></tr>`;
  };
  return html`<div class="card"><h2>${t("values.title")}</h2><table class="figures"><thead><tr><th>${t("values.what")}</th><th>${t("values.value")}</th>
    <th>${t("values.limits")}</th><th>${t("values.margin")}</th></tr></thead><tbody>${values.map(row)}</tbody></table></div>`;
}

/** The steps of the run in order, the one under way marked. */
function Tree({ channel }) {
  const [plan] = useLoaded(async () => (channel.run_id ? stepsOf(channel.run_id) : null), [channel.run_id]);
  if (!plan || !plan.steps.length) return null;
  const at = channel.step ? plan.steps.findIndex((each) => stepNumber(each) === channel.step.path) : -1;
  return html`<div class="card"><h2>${t("step.tree")}</h2><ol class="tree">${plan.steps.map((each, index) => {
    const text = each.replace(/^.*?: step /, "");
    const here = index === at;
    return html`<li key=${index} class=${`depth-${Math.min(4, stepNumber(each).split(".").length)}${here ? " here" : ""}`}
      aria-current=${here ? "step" : null}>${text}${here ? html` <span class="quiet">${channel.step.ends}</span>` : ""}
      ${plan.hazards.includes(each) ? html` <span class="tag">${t("step.hazardous")}</span>` : ""}</li>`;
  })}</ol></div>`;
}

const stepNumber = (text) => (/step ([\d.]+)/.exec(text) ?? ["", ""])[1];

async function stepsOf(runId) {
  const run = await api.run(runId);
  const request = { sequence: run.sequence, channel: run.channel, cell: run.cell };
  return api.check(run.sample ? { ...request, sample: run.sample } : request);
}

function Readings({ channel, theme, lang }) {
  const [windowS, setWindow] = useState(LATELY_S);
  const [series, problem] = useSeries(channel, windowS);
  const groups = useMemo(() => (series ? grouped(series) : []), [series]);
  const choices = WINDOWS.filter(([seconds]) => seconds === LATELY_S || channel.run_id);
  return html`<div class="bar" role="group" aria-label=${t("plot.window")}>${choices.map(
    ([seconds, key]) => html`<button type="button" class="toggle" aria-pressed=${windowS === seconds}
      onClick=${() => setWindow(seconds)}>${t(key)}</button>`,
  )}${series && series.bucket_s !== null && html`<span class="quiet">${t("plot.buckets", { time: duration(series.bucket_s) })}</span>`}</div>
  <${Trouble} problem=${problem} />
  ${series && series.utc_s.length === 0 && html`<p class="quiet">${t("plot.empty")}</p>`}
  ${series && series.utc_s.length > 0 && groups.map(([unit, quantities]) => html`<${Plot} key=${unit} series=${series} unit=${unit}
    quantities=${quantities} theme=${theme} lang=${lang} />`)}`;
}
