// The wall: one cell a channel, from 1 to 512.

import { Component, html, useMemo, useRef, useState } from "./vendor/htm-preact.js";
import { Loading, State, Value } from "./parts.js";
import { OLD_MS, ageMs, useStore } from "./store.js";
import { duration, say, t } from "./words.js";

const SHOWN = ["voltage_v", "current_a", "temperature_c"];
const ROOMY = 64;

/** Drawn anew only when what it shows is another: a wall of 512 stays quick. */
class Cell extends Component {
  shouldComponentUpdate(next) {
    return next.picture !== this.props.picture || next.late !== this.props.late || next.first !== this.props.first;
  }

  render({ channel, late, first }) {
    const step = channel.step;
    const values = SHOWN.map((each) => channel.values.find((value) => value.quantity === each)).filter(Boolean);
    const needs = channel.needs_me ? " needs-me" : "";
    return html`<li class="cell-item">
      <a class=${`cell cell-${channel.state}${needs}${late ? " late" : ""}`} href=${`#/channel/${encodeURIComponent(channel.name)}`}
        tabindex=${first ? 0 : -1} data-channel=${channel.name}>
        <span class="cell-head"><strong>${channel.name}</strong><${State} state=${channel.state} /></span>
        ${channel.needs_me && html`<span class="cell-needs">${t("wall.needs_me")}</span>`}
        <span class="cell-values">${values.map((view) => html`<${Value} key=${view.quantity} view=${view} named=${false} />`)}</span>
        ${channel.why && html`<span class="cell-why">${say(channel.why)}</span>`}
        ${channel.sample && html`<span class="cell-sample">${channel.sample}</span>`}
        ${step && html`<span class="cell-step">${step.name || step.kind}${
          step.remaining_s !== null ? ` · ${t("step.left", { time: duration(step.remaining_s) })}` : ""
        }</span>`}
        ${channel.alarms > 0 && html`<span class="cell-alarms">${t("wall.alarms", { count: channel.alarms })}</span>`}
      </a></li>`;
  }
}

/** What of a channel is drawn, as text: the same text is the same drawing. */
function pictureOf(channel, lang) {
  const values = channel.values.map((each) => [
    each.value === null ? null : each.value.toPrecision(6), each.quality, each.stale, each.stale ? Math.round(each.age_s) : 0,
  ]);
  const left = channel.step && channel.step.remaining_s !== null ? Math.round(channel.step.remaining_s) : null;
  return JSON.stringify([lang, channel.state, channel.needs_me, channel.why, channel.sample, channel.alarms,
    channel.step && channel.step.path, left, values]);
}

/** Arrow keys go from cell to cell as they lie on the screen. */
function move(event, list) {
  const cells = [...list.querySelectorAll(".cell")];
  const at = cells.indexOf(document.activeElement);
  if (at < 0) return;
  const top = cells[0].getBoundingClientRect().top;
  const across = Math.max(1, cells.filter((each) => each.getBoundingClientRect().top === top).length);
  const to = {
    ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + across, ArrowUp: at - across, Home: 0, End: cells.length - 1,
  }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  cells[Math.min(cells.length - 1, Math.max(0, to))].focus();
}

export function Wall({ lang }) {
  const { bench } = useStore();
  const [onlyMine, setOnlyMine] = useState(false);
  const [words, setWords] = useState("");
  const list = useRef(null);
  const wanted = words.trim().toLowerCase();
  const channels = useMemo(
    () =>
      (bench ? bench.channels : []).filter(
        (each) =>
          (!onlyMine || each.needs_me) &&
          (!wanted || `${each.name} ${each.sample ?? ""} ${each.sequence ?? ""} ${each.place}`.toLowerCase().includes(wanted)),
      ),
    [bench, onlyMine, wanted],
  );
  if (!bench) return html`<${Loading} />`;
  const late = ageMs() > OLD_MS;
  const mine = bench.channels.filter((each) => each.needs_me).length;
  return html`<section aria-labelledby="wall-title">
    <div class="bar">
      <h1 id="wall-title">${t("wall.title")}</h1>
      <button type="button" class="toggle" aria-pressed=${onlyMine} onClick=${() => setOnlyMine(!onlyMine)}>
        ${t("wall.filter", { count: mine })}</button>
      <label class="inline">${t("wall.search")} <input type="search" value=${words} onInput=${(event) => setWords(event.target.value)} /></label>
      <span class="quiet" role="status">${t("wall.count", { shown: channels.length, all: bench.channels.length })}</span>
    </div>
    ${channels.length === 0 && html`<p class="quiet">${t("wall.none")}</p>`}
    <ul class=${`wall${bench.channels.length > ROOMY ? " dense" : ""}`} ref=${list} onKeyDown=${(event) => move(event, list.current)}>
      ${channels.map((channel, index) => html`<${Cell} key=${channel.name} channel=${channel} late=${late} first=${index === 0}
        picture=${pictureOf(channel, lang)} />`)}
    </ul>
    <${Devices} devices=${bench.devices} />
  </section>`;
}

function Devices({ devices }) {
  if (!devices.length) return null;
  return html`<details class="devices"><summary>${t("devices.title", {
    good: devices.filter((each) => each.connected).length, all: devices.length,
  })}</summary>
    <div class="scroll" tabindex="0" role="region" aria-label=${t("devices.name")}><table><thead><tr><th>${t("devices.name")}</th><th>${t("devices.model")}</th>
      <th>${t("devices.serial")}</th><th>${t("devices.state")}</th><th>${t("devices.lease")}</th></tr></thead>
    <tbody>${devices.map((each) => html`<tr key=${each.name}><td>${each.name}</td><td>${each.model}</td><td>${each.serial ?? "–"}</td>
      <td>${each.connected ? t("devices.answers") : `${t("devices.silent")} ${each.error ?? ""}`}</td>
      <td>${[each.leased_by ?? "", ...each.queue.map((one) => t("devices.waits", { run: one }))].filter(Boolean).join(", ") || "–"}</td>
    </tr>`)}</tbody></table></div></details>`;
}
