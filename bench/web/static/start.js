// Start a run: scan or choose, have it explained, then arm it; a destructive test takes two persons.

import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { api, newKey } from "./api.js";
import { Act, Faults, Field, Loading, Password, Trouble, useLoaded } from "./parts.js";
import { ScanField, classify } from "./scanner.js";
import { refresh, useStore } from "./store.js";
import { duration, say, t } from "./words.js";

const EMPTY = { sequence: "", channel: "", cell: "", sample: "" };

async function known() {
  const [sequences, cells, samples] = await Promise.all([api.sequences(), api.cells(), api.samples("", 200)]);
  return { sequences, cells, samples };
}

export function Start({ channel }) {
  const { bench, me } = useStore();
  const [lists, problem] = useLoaded(known, []);
  const [wish, setWish] = useState({ ...EMPTY, channel: channel || "" });
  const [overrides, setOverrides] = useState({});
  const [second, setSecond] = useState("");
  const [said, setSaid] = useState("");
  const [check, setCheck] = useState(null);
  const [refused, setRefused] = useState(null);
  const [run, setRun] = useState(null);
  const latest = useRef(wish);
  latest.current = wish;
  if (!lists || !bench) return html`<${Loading} problem=${problem} />`;

  const put = (fields) => {
    latest.current = { ...latest.current, ...fields };
    setWish(latest.current);
    setCheck(null);
    setRefused(null);
    setRun(null);
  };
  const scanned = (code) => {
    const found = classify(code, { ...lists, channels: bench.channels });
    if (found.length === 0) return setSaid(t("scan.unknown", { code }));
    if (found.length > 1) return setSaid(t("scan.several", { code, kinds: found.map((each) => t(`scan.kind.${each.kind}`)).join(", ") }));
    const { kind, value, type } = found[0];
    if (kind === "badge") {
      if (value.toLowerCase() === me.name.toLowerCase()) return setSaid(t("scan.badge_own", { name: value }));
      setSecond(value);
      return setSaid(t("scan.badge_second", { name: value }));
    }
    const fields = { [kind]: value };
    if (kind === "sample" && type && lists.cells.some((each) => each.name === type)) fields.cell = type;
    if (kind === "sequence") setOverrides({});
    put(fields);
    return setSaid(t("scan.taken", { kind: t(`scan.kind.${kind}`), value }));
  };
  const sequence = lists.sequences.find((each) => each.id === wish.sequence);
  const request = () => {
    const given = Object.fromEntries(Object.entries(overrides).filter(([, value]) => value.trim()));
    return { sequence: wish.sequence, channel: wish.channel, cell: wish.cell, sample: wish.sample.trim() || null, overrides: given };
  };
  const explain = async () => {
    setRefused(null);
    try {
      setCheck(await api.check(request()));
    } catch (error) {
      setRefused(error);
    }
  };
  const whole = wish.sequence && wish.channel && wish.cell;
  const choose = (name, choices) => html`<select value=${wish[name]} onChange=${(event) => put({ [name]: event.target.value })}>
    <option value="">${t("start.choose")}</option>${choices.map(([value, text]) => html`<option value=${value} selected=${value === wish[name]}>${text}</option>`)}</select>`;
  return html`<section aria-labelledby="start-title">
    <h1 id="start-title">${t("start.title")}</h1>
    <${ScanField} scanned=${scanned} />
    <p role="status" class="said">${said}</p>
    <div class="form">
      <${Field} label=${t("start.sequence")}>${choose("sequence", lists.sequences.map((each) => [each.id, `${say(each.title)} (${each.id})`]))}</${Field}>
      <${Field} label=${t("start.channel")}>${choose("channel", bench.channels.map((each) => [each.name, `${each.name} · ${t(`state.${each.state}`)}`]))}</${Field}>
      <${Field} label=${t("start.cell")}>${choose("cell", lists.cells.map((each) => [each.name, `${each.title} (${each.name})`]))}</${Field}>
      <${Field} label=${t("start.sample")}><input value=${wish.sample} autocomplete="off" onInput=${(event) => put({ sample: event.target.value })} /></${Field}>
    </div>
    ${sequence && html`<p class="why">${say(sequence.summary)} ${sequence.standard && html`<span class="quiet">${sequence.standard} ${sequence.status ?? ""}</span>`}</p>`}
    ${sequence && Object.keys(sequence.parameters).length > 0 && html`<details><summary>${t("start.parameters")}</summary><div class="form">
      ${Object.entries(sequence.parameters).map(([name, value]) => html`<${Field} key=${name} label=${name}>
        <input value=${overrides[name] ?? ""} placeholder=${value} onInput=${(event) => {
          setOverrides({ ...overrides, [name]: event.target.value });
          setCheck(null);
        }} /></${Field}>`)}</div></details>`}
    <p><button type="button" disabled=${!whole} onClick=${explain}>${t("start.check")}</button>
      ${!whole && html` <span class="quiet">${t("start.missing")}</span>`}</p>
    <${Trouble} problem=${refused} />
    ${check && !run && html`<${Approve} key=${check.plan_hash} check=${check} me=${me} second=${second} started=${setRun} />`}
    ${run && html`<p class="good" role="status">${t("start.started", { run: run.run_id })} ${t(`runstate.${run.state}`)}
      ${run.queue_why ? ` ${say(run.queue_why)}` : ""}
      ${" "}<a href=${`#/channel/${encodeURIComponent(run.channel)}`}>${t("start.look")}</a></p>`}
  </section>`;
}

/** What would be run, and the leave to run exactly that. */
function Approve({ check, me, second, started }) {
  const [password, setPassword] = useState("");
  const [other, setOther] = useState(second);
  const [otherPassword, setOtherPassword] = useState("");
  const key = useRef(newKey());
  const heading = useRef(null);
  useEffect(() => heading.current.focus(), []);
  useEffect(() => {
    if (second) setOther(second);
  }, [second]);
  if (check.plan_hash === null) {
    return html`<div class="card"><h2 tabindex="-1" ref=${heading}>${t("start.faults")}</h2><${Faults} faults=${check.faults} /></div>`;
  }
  const two = check.two_persons;
  const same = two && other.trim().toLowerCase() === me.name.toLowerCase();
  const ready = !two || (password && other.trim() && otherPassword && !same);
  const arm = () =>
    api.start({
      request: check.request, plan_hash: check.plan_hash,
      ...(two ? { password, second: { name: other.trim(), password: otherPassword } } : {}),
    }, key.current);
  return html`<div class="card approve">
    <h2 tabindex="-1" ref=${heading}>${say(check.title)}</h2>
    <ul>${check.summary.map((each) => html`<li>${each}</li>`)}</ul>
    <p>${t("start.takes")} <strong>${duration(check.estimated_s)}</strong></p>
    ${check.hazards.length > 0 && html`<div class="hazard"><strong>${t("start.hazards")}</strong><ul>${check.hazards.map((each) => html`<li>${each}</li>`)}</ul></div>`}
    ${check.warnings.length > 0 && html`<div class="warning"><strong>${t("start.warnings")}</strong><ul>${check.warnings.map((each) => html`<li>${each}</li>`)}</ul></div>`}
    <details><summary>${t("start.steps", { count: check.steps.length })}</summary><ol class="tree">${check.steps.map((each) => html`<li>${each.replace(/^.*?: step /, "")}</li>`)}</ol></details>
    <p class="quiet">${t("start.hash")} <code>${check.plan_hash.slice(0, 16)}</code></p>
    ${two && html`<fieldset><legend>${t("start.two")}</legend>
      <p>${t("start.two_note")}</p>
      <${Password} label=${t("start.first_password", { name: me.name })} value=${password} change=${setPassword} note=${t("sign.meaning.arm")} />
      <${Field} label=${t("start.second_name")}><input autocomplete="off" value=${other} onInput=${(event) => setOther(event.target.value)} /></${Field}>
      <${Password} label=${t("start.second_password")} value=${otherPassword} change=${setOtherPassword} note=${t("sign.meaning.arm")} />
      ${same && html`<p role="alert">${t("start.same")}</p>`}
    </fieldset>`}
    <${Act} kind="primary" disabled=${!ready} label=${two ? t("start.arm") : t("start.start")} act=${arm}
      done=${(run) => { started(run); refresh(); }} />
  </div>`;
}
