// Codes from a scanner: one that types like a keyboard, or one on a serial port of this computer.

import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { t } from "./words.js";

const PREFIXES = { badge: "badge", person: "badge", cell: "cell", sample: "sample", tray: "channel", channel: "channel", recipe: "sequence" };

/**
 * What a code is: a badge, a sample, a cell type, a channel or a sequence; [] for nobody knows, several where it could be
 * more than one. A prefix such as `badge:` settles it.
 */
export function classify(code, { sequences, cells, samples, channels }) {
  const [, prefix, rest] = /^([a-z]+):(.+)$/i.exec(code) ?? [];
  const kind = prefix && PREFIXES[prefix.toLowerCase()];
  if (kind) return [{ kind, value: rest.trim() }];
  const same = (text) => Boolean(text) && text.toLowerCase() === code.toLowerCase();
  const found = [];
  for (const each of sequences) if (same(each.id)) found.push({ kind: "sequence", value: each.id });
  for (const each of channels) if (same(each.name)) found.push({ kind: "channel", value: each.name });
  for (const each of cells) if (same(each.name)) found.push({ kind: "cell", value: each.name });
  for (const each of samples) {
    if (same(each.id) || same(each.serial)) found.push({ kind: "sample", value: each.id, type: each.type });
  }
  return found;
}

const isField = (element) => /^(INPUT|TEXTAREA|SELECT)$/.test(element?.tagName ?? "");

/** The field that always takes the next code: keys pressed anywhere outside a field go here. */
export function ScanField({ scanned }) {
  const field = useRef(null);
  const [code, setCode] = useState("");
  useEffect(() => {
    field.current.focus();
    const catchKey = (event) => {
      if (isField(document.activeElement) || event.key.length !== 1 || event.ctrlKey || event.altKey || event.metaKey) return;
      if (event.key === " " && document.activeElement?.tagName === "BUTTON") return;
      field.current.focus(); // the key itself then lands in the field
    };
    document.addEventListener("keydown", catchKey);
    return () => document.removeEventListener("keydown", catchKey);
  }, []);
  const take = (event) => {
    event.preventDefault();
    const whole = field.current.value.trim();
    setCode("");
    field.current.value = "";
    if (whole) scanned(whole);
  };
  return html`<form class="scan" onSubmit=${take}>
    <label for="scan">${t("scan.label")}</label>
    <input id="scan" ref=${field} value=${code} autocomplete="off" autocapitalize="off" spellcheck=${false}
      onInput=${(event) => setCode(event.target.value)} aria-describedby="scan-note" />
    <button type="submit">${t("scan.take")}</button>
    <small id="scan-note">${t("scan.note")}</small>
    <${SerialScanner} scanned=${scanned} />
  </form>`;
}

/** Where the browser can open a serial port: lines read there are codes. */
function SerialScanner({ scanned }) {
  const [state, setState] = useState("");
  const hear = useRef(scanned);
  hear.current = scanned;
  if (!navigator.serial) return null;
  const open = async () => {
    try {
      const port = await navigator.serial.requestPort();
      await port.open({ baudRate: 9600 });
      setState(t("scan.serial_on"));
      let rest = "";
      const decoder = new TextDecoder();
      for (const reader = port.readable.getReader(); ; ) {
        const { value, done } = await reader.read();
        if (done) break;
        const lines = (rest + decoder.decode(value, { stream: true })).split(/[\r\n]+/);
        rest = lines.pop().slice(-200);
        for (const line of lines) if (line.trim()) hear.current(line.trim());
      }
      setState("");
    } catch (error) {
      setState(error.name === "NotFoundError" ? "" : t("scan.serial_off"));
    }
  };
  return html`<span><button type="button" onClick=${open}>${t("scan.serial")}</button> <span role="status">${state}</span></span>`;
}
