// The page's words in both languages, and what the bench says in both. Text only: nothing here is ever markup.

const LANGUAGES = ["en", "zh"];
const catalogues = {};
let language = "en";

/** Load both catalogues; a missing one is an error that the page shows. */
export async function loadWords() {
  await Promise.all(
    LANGUAGES.map(async (each) => {
      const answer = await fetch(new URL(`words/${each}.json`, import.meta.url));
      catalogues[each] = await answer.json();
    }),
  );
  let kept = null;
  try {
    kept = localStorage.getItem("language");
  } catch {
    // a browser that keeps nothing
  }
  setLanguage(LANGUAGES.includes(kept) ? kept : navigator.language.startsWith("zh") ? "zh" : "en");
}

export function setLanguage(chosen) {
  language = chosen;
  document.documentElement.lang = chosen === "zh" ? "zh-CN" : "en";
  try {
    localStorage.setItem("language", chosen);
  } catch {
    // a browser that keeps nothing
  }
}

export const currentLanguage = () => language;

/** The words of a key, with {names} filled in. An unknown key shows itself. */
export function t(key, filling = {}) {
  const text = catalogues[language]?.[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in filling ? String(filling[name]) : whole));
}

export const catalogue = () => catalogues[language] ?? {};

export const known = (key) => key in (catalogues[language] ?? {});

/** What the bench said, in the reader's language. */
export function say(words) {
  if (words === null || words === undefined) return "";
  return typeof words === "string" ? words : words[language] || words.en || "";
}

const UNITS = {
  _v: "V", _a: "A", _c: "°C", _n: "N", _mm: "mm", _kpa: "kPa", _mm_s: "mm/s", _w: "W", _ah: "Ah", _kg: "kg", _pct: "%",
};
const DIGITS = { V: 4, A: 3, "°C": 1, N: 0, mm: 2, kPa: 1 };

/** The unit that a quantity's name ends with. */
export function unitOf(quantity) {
  const end = Object.keys(UNITS).sort((a, b) => b.length - a.length).find((each) => quantity.endsWith(each));
  return end ? UNITS[end] : "";
}

export function nameOf(quantity) {
  const key = `quantity.${quantity}`;
  return known(key) ? t(key) : quantity;
}

export function number(value, unit) {
  if (value === null || value === undefined) return "–";
  return value.toFixed(DIGITS[unit] ?? 3);
}

/** Seconds as a person says them. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const whole = Math.max(0, Math.round(seconds));
  const [days, hours, minutes] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60];
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${String(minutes).padStart(2, "0")} min`;
  if (minutes) return `${minutes} min ${String(whole % 60).padStart(2, "0")} s`;
  return `${whole} s`;
}

/** A UTC time in the reader's zone, ISO 8601 in form. */
export function when(utcS) {
  if (utcS === null || utcS === undefined) return "–";
  const at = new Date(utcS * 1000);
  const two = (part) => String(part).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}
