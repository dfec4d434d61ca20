// Values that people enter, held against their limits before they are sent. The bench reads them again and decides.

import { t } from "./words.js";

// How many of the base unit one of it is; a unit that is not here is left to the bench.
const SCALES = {
  "": { "": 1, "%": 0.01 }, V: { V: 1, mV: 0.001, kV: 1000 }, A: { A: 1, mA: 0.001, kA: 1000 }, ohm: { ohm: 1, mohm: 0.001, "Ω": 1, "mΩ": 0.001 },
  Ah: { Ah: 1, mAh: 0.001 }, Wh: { Wh: 1, kWh: 1000 }, W: { W: 1, kW: 1000 }, s: { s: 1, min: 60, h: 3600 }, degC: { degC: 1, "°C": 1, "℃": 1 },
  kg: { kg: 1, g: 0.001 }, mm: { mm: 1, cm: 10, m: 1000 }, N: { N: 1, kN: 1000 }, kPa: { kPa: 1, Pa: 0.001, MPa: 1000 },
};
const NUMBER = /^([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*(.*)$/i;

/** A number in the base unit; null for what only the bench can read. */
export function worth(entry, said) {
  const [, figure, unit] = NUMBER.exec(said.trim()) ?? [];
  const scale = SCALES[entry.unit ?? ""]?.[(unit ?? "").trim()];
  return figure === undefined || scale === undefined ? null : Number(figure) * scale;
}

/** A bound as a person would write it: shares in per cent. */
const written = (entry, bound) => (entry.unit ? `${bound} ${entry.unit}` : `${Number((100 * bound).toPrecision(12))} %`);

/** The limits of an entry in words; "" for none. */
export function limits(entry) {
  if (entry.low === null && entry.high === null) return "";
  if (entry.high === null) return t("prompt.at_least", { low: written(entry, entry.low) });
  if (entry.low === null) return t("prompt.at_most", { high: written(entry, entry.high) });
  return t("prompt.between", { low: written(entry, entry.low), high: written(entry, entry.high) });
}

/** Whether what was entered is surely outside its limits; a limit itself is inside. */
export function outside(entry, said) {
  const value = entry.text || !said ? null : worth(entry, said);
  if (value === null) return false;
  const slack = 1e-9 * Math.abs(value); // what scaling may lose
  return (entry.low !== null && value < entry.low - slack) || (entry.high !== null && value > entry.high + slack);
}
