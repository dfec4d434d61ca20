// Readings drawn by uPlot (a classic script: the global `uPlot`), with marks where steps begin and events happen.

import { html, useEffect, useRef } from "./vendor/htm-preact.js";
import { known, nameOf, t, unitOf, when } from "./words.js";

const HEIGHT = 190;
const MARKED = /^(step_started|trip|stop|warning|alarm|reading_lost|sample_event|bench_event|contact|observation_begun|ending|paused|resumed)$/;

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function markText(mark) {
  const key = `event.${mark.kind}`;
  const name = mark.data?.name ?? mark.data?.step ?? mark.data?.rule ?? mark.data?.path ?? "";
  return `${known(key) ? t(key) : mark.kind} ${name}`.trim();
}

function drawMarks(marks) {
  return (plot) => {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textAlign = "left";
    ctx.textBaseline = "alphabetic";
    let free = -Infinity;
    for (const mark of marks) {
      const x = plot.valToPos(mark.utc_s, "x", true);
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      const bad = /trip|alarm|lost|warn/.test(mark.kind);
      ctx.strokeStyle = ctx.fillStyle = css(bad ? "--bad" : "--quiet");
      ctx.setLineDash(bad ? [] : [4 * devicePixelRatio, 4 * devicePixelRatio]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      const text = markText(mark);
      if (x > free && text) {
        ctx.fillText(text, x + 3 * devicePixelRatio, bbox.top + 12 * devicePixelRatio);
        free = x + ctx.measureText(text).width + 10 * devicePixelRatio;
      }
    }
    ctx.restore();
  };
}

/** The quantities of a series that share a unit go into one plot. */
export function grouped(series) {
  const groups = new Map();
  for (const quantity of Object.keys(series.low)) {
    const unit = unitOf(quantity);
    groups.set(unit, [...(groups.get(unit) ?? []), quantity]);
  }
  return [...groups.entries()];
}

/** One plot of quantities of one unit. Where points are buckets, the band between least and greatest is drawn. */
export function Plot({ series, unit, quantities, theme, lang }) {
  const place = useRef(null);
  const held = useRef(null);
  const marks = useRef([]);
  const bands = series.bucket_s !== null;
  const shape = `${quantities.join()}|${bands}|${theme}|${lang}`;
  marks.current = series.marks.filter((each) => MARKED.test(each.kind));
  const columns = [series.utc_s];
  for (const each of quantities) columns.push(...(bands ? [series.high[each], series.low[each]] : [series.low[each]]));

  useEffect(() => {
    const colours = [css("--line-1"), css("--line-2"), css("--line-3"), css("--line-4")];
    const lines = quantities.flatMap((each, index) => {
      const stroke = colours[index % colours.length];
      const line = { label: nameOf(each), stroke, width: 1.5, dash: index ? [6, 3 * index] : undefined };
      return bands ? [line, { ...line, label: t("plot.least", { name: nameOf(each) }) }] : [line];
    });
    const axis = { stroke: css("--text"), grid: { stroke: css("--edge"), width: 1 }, ticks: { stroke: css("--edge") } };
    const options = {
      width: place.current.clientWidth || 600,
      height: HEIGHT,
      legend: { live: false },
      cursor: { drag: { x: true, y: false } },
      series: [{}, ...lines],
      bands: bands ? quantities.map((_, index) => ({ series: [2 * index + 1, 2 * index + 2], fill: css("--band") })) : [],
      axes: [{ ...axis, values: (_, splits) => splits.map((each) => when(each).slice(11)) }, { ...axis, label: unit, size: 64 }],
      hooks: { draw: [(plot) => drawMarks(marks.current)(plot)] },
    };
    held.current = new window.uPlot(options, columns, place.current);
    const fit = new ResizeObserver(() => held.current.setSize({ width: place.current.clientWidth, height: HEIGHT }));
    fit.observe(place.current);
    return () => {
      fit.disconnect();
      held.current.destroy();
      held.current = null;
    };
  }, [shape]);
  useEffect(() => {
    if (held.current) held.current.setData(columns);
  }, [series]);
  return html`<figure class="plot"><figcaption>${quantities.map(nameOf).join(", ")}</figcaption>
    <div ref=${place} role="img" aria-label=${t("plot.label", { names: quantities.map(nameOf).join(", "), unit })}></div></figure>`;
}
